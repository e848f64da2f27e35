"""What every response and every request of the console's port is held to: response headers, Host, Origin, login.

Where the console is open without login, a foreign web page in the same browser is the attacker.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from typing import cast
from urllib.parse import unquote_to_bytes, urlsplit

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from zope.interface import implementer

from gateway.console.access import Access, Role
from gateway.console.login import forms_token, login_address, visitor_of
from gateway.sandbox.web_request import WebRequest

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Content-Security-Policy of every response but the preview: nothing inline, nothing from elsewhere."""

PREVIEW_POLICY = (
    "sandbox; default-src 'none'; img-src data: cid:; style-src 'unsafe-inline'; "
    "form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
)
"""Content-Security-Policy of a mail's own HTML: no script, no remote content, an origin of its own."""

_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    # Browsers look up the hosts of links beforehand, and a sender can see that.
    "X-DNS-Prefetch-Control": "off",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Mail content must not stay in a browser's cache after the inbox was emptied.
    "Cache-Control": "no-store",
}

PUBLIC_PATHS = (b"/livez", b"/readyz", b"/login", b"/static/", b"/api/v1/postmark/")
STAND_IN = re.compile(rb"/sandbox/[a-z]+/v1/")
"""What needs no login: health, the login itself, and what asks for a key of its own, as the vendors' stand-ins do. The
sandbox's inbox is read by whoever may look: test mail may have been made from real mail."""

METRICS_PATH = b"/metrics"
FOR_PROGRAMS = (b"/api/", METRICS_PATH)
"""Whoever asks for these without a token is told so, and not led to a page with a form."""

NO_TOKEN = "Show a token: Authorization: Bearer, and the text of console-look.token or console-steer.token."  # noqa: S105

_SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")


def allow_preview(request: WebRequest) -> None:
    """Put the preview's policy in place of the pages': the page may frame it, and it may do nothing."""
    request.setHeader("Content-Security-Policy", PREVIEW_POLICY)
    request.setHeader("X-Frame-Options", "SAMEORIGIN")


def _values(request: WebRequest, name: str) -> list[str]:
    return list(request.requestHeaders.getRawHeaders(name, []))


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; empty when it cannot be read."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if "@" not in host and "/" not in host else ""
    except ValueError:
        return ""


def is_misdirected(request: WebRequest, allowed_hosts: frozenset[str]) -> bool:
    """Whether the request names a host that is not ours: a foreign name that points here (DNS rebinding)."""
    hosts = _values(request, "Host")
    return len(hosts) != 1 or _host_name(hosts[0]) not in allowed_hosts


def is_forged(request: WebRequest) -> bool:
    """Whether a foreign web page sent a request that changes something. Programs send no Origin and are not asked.

    A form on our own page says `Origin: null`, because of our Referrer-Policy (Fetch standard, "append a request Origin
    header"); Sec-Fetch-Site then tells it from a foreign one, and pages cannot set that header.
    """
    if request.method in _SAFE_METHODS:
        return False
    site = "".join(_values(request, "Sec-Fetch-Site"))
    if site in ("cross-site", "same-site"):
        return True
    own = [f"{scheme}://{host}".lower() for scheme in ("http", "https") for host in _values(request, "Host")]
    foreign = [origin for origin in _values(request, "Origin") if origin.lower() not in own]
    return bool(foreign) and not (foreign == ["null"] and site == "same-origin")


@implementer(IResource)
class Guard:
    """The console's root: refuses what must not come in, and sets the headers of everything that goes out."""

    isLeaf = True  # Twisted's name

    def __init__(
        self, inner: IResource, allowed_hosts: frozenset[str], access: Access, public: tuple[bytes, ...] = PUBLIC_PATHS
    ) -> None:
        """public: how the paths begin that need no login."""
        self._inner = inner
        self._public = public
        self._allowed_hosts = allowed_hosts
        self._access = access

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:  # Twisted's name
        """A leaf has no children."""
        raise LookupError(name)

    def putChild(self, path: bytes, child: IResource) -> None:  # Twisted's name
        """A leaf takes no children."""
        raise TypeError("the console's routes are fixed")

    def render(self, request: IRequest) -> object:
        """Check the request, then let the routes answer."""
        web = cast("WebRequest", request)
        for name, value in _HEADERS.items():
            web.setHeader(name, value)
        if not all(map(_is_utf_8, _header_values(web))):
            return _refuse(web, 400, b"Bad Request", "A header of this request is no UTF-8.\n")
        if is_misdirected(web, self._allowed_hosts):
            return _refuse(web, 421, b"Misdirected Request", "This console does not answer for this host name.\n")
        if is_forged(web):
            return _refuse(web, 403, b"Forbidden", "This request came from another web site.\n")
        if not _is_text(web.path):
            return _refuse(web, 400, b"Bad Request", "This path is no UTF-8.\n")
        if not self._access.is_open and not web.path.startswith(self._public) and not STAND_IN.match(web.path):
            refusal = self._refusal(web)
            if refusal is not None:
                return refusal
        return self._inner.render(request)

    def _refusal(self, request: WebRequest) -> bytes | None:
        """Why the visitor may not do this; None when it may be done."""
        visitor = visitor_of(request, self._access)
        if visitor is None and request.path.startswith(FOR_PROGRAMS):
            request.setHeader("WWW-Authenticate", 'Bearer realm="mailgateway"')
            return _refuse(request, 401, b"Unauthorized", f"{NO_TOKEN}\n")
        if visitor is None:
            request.setHeader("Location", login_address(request))
            return _refuse(request, 303, b"See Other", "Log in first.\n")
        if request.method in _SAFE_METHODS or request.path == b"/logout":
            return None
        if visitor.role < Role.STEER:
            return _refuse(request, 403, b"Forbidden", "This login may look, and not change anything.\n")
        if visitor.csrf and not hmac.compare_digest(forms_token(request), visitor.csrf.encode()):
            return _refuse(request, 403, b"Forbidden", "This form is not of this login. Load the page again.\n")
        return None


def _header_values(request: WebRequest) -> Iterator[bytes]:
    for _, values in request.requestHeaders.getAllRawHeaders():
        yield from values


def _is_text(path: bytes) -> bool:
    """Whether a path can be decoded; klein answers one that cannot with a trace in the log."""
    return _is_utf_8(unquote_to_bytes(path))


def _is_utf_8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refuse(request: WebRequest, status: int, phrase: bytes, text: str) -> bytes:
    request.setResponseCode(status, phrase)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    return text.encode()
