"""The console's routes and pages: the sandbox inbox, its messages, the magic table, health.

What may come in and which headers go out is security.py's; JSON is api.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.console import api, health, login
from gateway.console.access import OPEN, Access
from gateway.console.attachment import content_disposition, octets_in_words, served_type
from gateway.console.message_page import MessagePage
from gateway.console.security import Guard, allow_preview
from gateway.sandbox.inbox import Inbox
from gateway.sandbox.json_strings import base64_octets
from gateway.sandbox.magic import MagicTable
from gateway.sandbox.streaming import stream
from gateway.sandbox.web_request import WebRequest

_STATIC_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

# Messages on one page of the inbox: what one can look over, and quick to lay out.
_PAGE_MESSAGES = 50

_log = Logger()


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What the console is made of.

    inbox: None when there is no sandbox. sandboxes: vendor name -> its API, mounted at /sandbox/<name>/v1.
    ready: gives the reasons for not being ready, none when all is well. allowed_hosts: names, without port, that the
    Host header may have. first_message: how to send one, shown while the inbox is empty. magic: the tables of the
    sandboxes that are mounted. control: what is mounted at /api/v1/. is_https: cookies are for TLS alone.
    """

    inbox: Inbox | None
    sandboxes: Mapping[str, IResource]
    ready: Callable[[], list[str]]
    allowed_hosts: frozenset[str]
    first_message: str = ""
    magic: Sequence[MagicTable] = ()
    control: IResource | None = None
    access: Access = OPEN
    is_https: bool = False


class Console:
    """The web pages and JSON of the console's port."""

    app = Klein()

    def __init__(self, parts: ConsoleParts) -> None:
        self._parts = parts
        self._inbox = parts.inbox
        self._access = parts.access
        loader = PackageLoader("gateway.console", "templates")
        self._templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters["octets"] = octets_in_words
        # Few and small, so they are read once; a name that is not among them is not found.
        folder = files("gateway.console").joinpath("static")
        self._static = {one.name: one.read_bytes() for one in folder.iterdir() if one.name[0] not in "._"}

    def resource(self) -> IResource:
        """The root of the console's port."""
        return Guard(self.app.resource(), self._parts.allowed_hosts, self._access)

    @app.route("/", methods=["GET"])
    def front(self, request: WebRequest) -> str:
        """The inbox; without one, a short page that says the gateway runs."""
        if self._inbox is None:
            return self._page(request, "running.html")
        page = max(1, _page_number(request))
        entries = self._inbox.entries()
        last_page = max(1, -(-len(entries) // _PAGE_MESSAGES))
        shown = entries[(page - 1) * _PAGE_MESSAGES : page * _PAGE_MESSAGES]
        return self._page(
            request,
            "inbox.html",
            entries=shown,
            total=len(entries),
            page=page,
            last_page=last_page,
            change=self._inbox.change,
            first_message=self._parts.first_message,
        )

    @app.route("/sandbox/magic", methods=["GET"])
    def magic(self, request: WebRequest) -> str:
        """The addresses and keys that make the sandboxes fail."""
        self._kept()
        return self._page(request, "magic.html", tables=self._parts.magic)

    @app.route("/sandbox/clear", methods=["POST"])
    def clear(self, request: WebRequest) -> None:
        """Empty the inbox from its page's form, then show it again (RFC 9110 §15.4.4)."""
        self._kept().clear()
        request.setResponseCode(303)
        request.setHeader("Location", "/")

    @app.route("/sandbox/messages/<message_id>", methods=["GET"])
    def message(self, request: WebRequest, message_id: str) -> str:
        """All that is known of one message."""
        return self._page(request, "message.html", message=MessagePage.of(self._kept(), message_id))

    @app.route("/sandbox/messages/<message_id>/html", methods=["GET"])
    async def html(self, request: WebRequest, message_id: str) -> None:
        """A mail's own HTML, shut in: see PREVIEW_POLICY."""
        pieces = self._kept().html(message_id)
        allow_preview(request)
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        await stream(request, pieces)

    @app.route("/sandbox/messages/<message_id>/text", methods=["GET"])
    async def text(self, request: WebRequest, message_id: str) -> None:
        """A mail's text, whole."""
        pieces = self._kept().text(message_id)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        await stream(request, pieces)

    @app.route("/sandbox/messages/<message_id>/attachments/<int:number>", methods=["GET"])
    async def attachment(self, request: WebRequest, message_id: str, number: int) -> None:
        """One attachment, to be saved; number counts from 0."""
        attachment, pieces = self._kept().attachment(message_id, number)
        length = base64_octets(attachment.content)
        request.setHeader("Content-Type", served_type(attachment.content_type))
        request.setHeader("Content-Disposition", content_disposition(attachment.filename))
        request.setHeader("Content-Length", str(length))
        await stream(request, pieces)

    @app.route("/sandbox/<vendor>/v1/", endpoint="vendor_api_root")
    @app.route("/sandbox/<vendor>/v1", branch=True)
    def vendor_api(self, request: WebRequest, vendor: str) -> IResource:
        """A vendor's stand-in."""
        return self._parts.sandboxes[vendor]

    @app.route("/api/v1/", branch=True)
    def control_api(self, request: WebRequest) -> IResource:
        """The control API."""
        if self._parts.control is None:
            raise LookupError("no control API")
        return self._parts.control

    @app.route("/login", methods=["GET"])
    def login(self, request: WebRequest) -> str:
        """Where a browser shows a token."""
        return self._page(request, "login.html", next=login.next_path(_argument(request, b"next")), wrong=False)

    @app.route("/login", methods=["POST"])
    def log_in(self, request: WebRequest) -> str | None:
        """Begin a session and go to where the browser wanted to go."""
        wanted = login.next_path(_argument(request, b"next"))
        name = self._access.begin_session(_argument(request, b"token").strip())
        if name is None:
            request.setResponseCode(403)
            return self._page(request, "login.html", next=wanted, wrong=True)
        login.set_cookie(request, name, secure=self._parts.is_https)
        request.setResponseCode(303)
        request.setHeader("Location", wanted)
        return None

    @app.route("/logout", methods=["POST"])
    def log_out(self, request: WebRequest) -> None:
        """End the browser's session."""
        self._access.end_session(login.session_name(request))
        login.set_cookie(request, "", secure=self._parts.is_https)
        request.setResponseCode(303)
        request.setHeader("Location", "/login")

    @app.route("/api/v1/sandbox/summary", methods=["GET"])
    def summary_json(self, request: WebRequest) -> bytes:
        """Whether the inbox changed."""
        return health.write_json(request, api.summary(self._kept()))

    @app.route("/api/v1/sandbox/messages", methods=["GET"])
    async def messages_json(self, request: WebRequest) -> None:
        """The accepted messages, newest first; with ?all=1 the refused ones too."""
        inbox = self._kept()
        everything = request.args.get(b"all", [b"0"])[-1] == b"1"
        request.setHeader("Content-Type", "application/json")
        await stream(request, api.list_pieces(inbox, inbox.entries(include_refused=everything)))

    @app.route("/api/v1/sandbox/messages", methods=["DELETE"])
    def clear_json(self, request: WebRequest) -> None:
        """Empty the inbox."""
        self._kept().clear()
        request.setResponseCode(204)

    @app.route("/api/v1/sandbox/messages/<message_id>", methods=["GET"])
    async def message_json(self, request: WebRequest, message_id: str) -> None:
        """One message, with its whole request."""
        inbox = self._kept()
        entry = inbox.entry(message_id)
        request.setHeader("Content-Type", "application/json")
        await stream(request, api.message_pieces(inbox, entry))

    @app.route("/livez", methods=["GET"])
    def livez(self, request: WebRequest) -> bytes:
        """Whether the process runs."""
        return health.live(request)

    @app.route("/readyz", methods=["GET"])
    def readyz(self, request: WebRequest) -> bytes:
        """Whether the gateway should get work."""
        return health.readiness(request, self._parts.ready)

    @app.route("/static/<name>", methods=["GET"])
    def static(self, request: WebRequest, name: str) -> bytes:
        """Style, script and icon."""
        octets = self._static[name]
        request.setHeader("Content-Type", _STATIC_TYPES[name.rpartition(".")[2]])
        request.setHeader("Cache-Control", "no-cache")
        return octets

    @app.handle_errors(HTTPException, LookupError, ValueError)
    def not_found(self, request: IRequest, failure: Failure) -> str | bytes:
        """404, or 405; a message that is no send request has no bodies and no attachments either."""
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            return self._error(web, 405, "This address does not take this method.")
        return self._error(web, 404, "There is nothing here. A message may have made room for newer ones.")

    @app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> str | bytes:
        """The console's own fault; the log has it, the page does not."""
        _log.failure("the console failed", failure)
        return self._error(cast("WebRequest", request), 500, "The console failed; the log says why.")

    def _kept(self) -> Inbox:
        """The inbox; LookupError, which is 404, when there is none."""
        if self._inbox is None:
            raise LookupError("no sandbox")
        return self._inbox

    def _page(self, request: WebRequest, template: str, **values: object) -> str:
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        return self._templates.get_template(template).render(values)

    def _error(self, request: WebRequest, status: int, text: str) -> str | bytes:
        if request.path.startswith(b"/api/"):
            return health.write_json(request, {"error": text}, status)
        request.setResponseCode(status)
        return self._page(request, "error.html", status=status, text=text)


def _argument(request: WebRequest, name: bytes) -> str:
    return request.args.get(name, [b""])[-1].decode("utf-8", "replace")


def _page_number(request: WebRequest) -> int:
    text = request.args.get(b"page", [b"1"])[-1]
    return int(text) if text.isdigit() and len(text) < 6 else 1
