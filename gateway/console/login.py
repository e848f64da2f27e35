"""The login of browsers and programs, as far as requests show it: bearer tokens, the cookie, the token of forms."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from gateway.console.access import SESSION_SECONDS, Access, Role, Visitor
from gateway.sandbox.web_request import WebRequest

COOKIE = "mailgateway_session"
LONGEST_PATH = 500  # of a page to come back to; ours are a tenth of it


def visitor_of(request: WebRequest, access: Access) -> Visitor | None:
    """Who makes a request: by its bearer token, else by its cookie; None when neither is good."""
    if access.is_open:
        return Visitor(Role.STEER)
    scheme, _, token = (request.getHeader("Authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return access.by_token(token.strip())
    return access.by_session(session_name(request))


def session_name(request: WebRequest) -> str:
    """What the cookie says, empty without one."""
    try:
        cookies = SimpleCookie(request.getHeader("Cookie") or "")
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def forms_token(request: WebRequest) -> bytes:
    """What a form, or a script of ours, repeats to show that it comes from our page."""
    header = request.getHeader("X-CSRF-Token")
    return header.encode() if header is not None else request.args.get(b"csrf", [b""])[-1]


def set_cookie(request: WebRequest, name: str, *, secure: bool) -> None:
    """Give the browser its session, or take it away when name is empty. No script sees it, no other site sends it."""
    lasts = int(SESSION_SECONDS) if name else 0
    flags = "; Secure" if secure else ""
    request.setHeader("Set-Cookie", f"{COOKIE}={name}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{flags}")


def login_address(request: WebRequest) -> str:
    """The login page, and from there back to where the browser wanted to go."""
    return f"/login?next={quote(request.path[:LONGEST_PATH], safe='')}"


def next_path(text: str) -> str:
    """Where to go after the login: a path of this console, whatever somebody put into the address."""
    parts = urlsplit(text)
    plain = not parts.scheme and not parts.netloc and text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if plain and text.isprintable() and text.isascii() and len(text) <= LONGEST_PATH else "/"
