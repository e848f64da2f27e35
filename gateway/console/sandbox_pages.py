"""The sandbox inbox: its pages, the same as JSON, and the stand-ins of the vendors' APIs below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klein import Klein
from twisted.web.resource import IResource

from gateway.console import api, health
from gateway.console.attachment import content_disposition, served_type
from gateway.console.message_page import MessagePage
from gateway.console.preview import without_reaching_out
from gateway.console.rendering import Rendering, answer_errors, argument, see_other
from gateway.console.security import allow_preview
from gateway.sandbox.inbox import Inbox
from gateway.sandbox.json_strings import base64_octets
from gateway.sandbox.magic import MagicTable
from gateway.sandbox.streaming import stream
from gateway.sandbox.web_request import WebRequest

_PAGE_MESSAGES = 50  # what one can look over, and quick to lay out


@dataclass(frozen=True, slots=True)
class SandboxParts:
    """A sandbox: apis are mounted at /sandbox/<name>/v1, magic are their tables; first_message is how to send one,
    shown while the inbox is empty."""

    inbox: Inbox
    apis: Mapping[str, IResource]
    magic: Sequence[MagicTable] = ()
    first_message: str = ""


class SandboxPages:
    """The inbox at /, and all below /sandbox/ and /api/v1/sandbox/."""

    app = Klein()

    def __init__(self, parts: SandboxParts, rendering: Rendering) -> None:
        self.rendering = rendering
        self._parts = parts
        self._inbox = parts.inbox

    @app.route("/", methods=["GET"])
    def front(self, request: WebRequest) -> str:
        """The inbox."""
        page = max(1, _page_number(request))
        entries = self._inbox.entries()
        last_page = max(1, -(-len(entries) // _PAGE_MESSAGES))
        shown = entries[(page - 1) * _PAGE_MESSAGES : page * _PAGE_MESSAGES]
        return self.rendering.page(
            request,
            "inbox.html",
            here="inbox",
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
        return self.rendering.page(request, "magic.html", here="magic", tables=self._parts.magic)

    @app.route("/sandbox/clear", methods=["POST"])
    def clear(self, request: WebRequest) -> None:
        """Empty the inbox from its page's form, then show it again."""
        self._inbox.clear()
        see_other(request, "/")

    @app.route("/sandbox/messages/<message_id>", methods=["GET"])
    def message(self, request: WebRequest, message_id: str) -> str:
        """All that is known of one message."""
        return self.rendering.page(request, "sandbox_message.html", message=MessagePage.of(self._inbox, message_id))

    @app.route("/sandbox/messages/<message_id>/html", methods=["GET"])
    async def html(self, request: WebRequest, message_id: str) -> None:
        """A mail's own HTML, shut in: see PREVIEW_POLICY."""
        pieces = self._inbox.html(message_id)
        allow_preview(request)
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        await stream(request, without_reaching_out(pieces))

    @app.route("/sandbox/messages/<message_id>/text", methods=["GET"])
    async def text(self, request: WebRequest, message_id: str) -> None:
        """A mail's text, whole."""
        pieces = self._inbox.text(message_id)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        await stream(request, pieces)

    @app.route("/sandbox/messages/<message_id>/attachments/<int:number>", methods=["GET"])
    async def attachment(self, request: WebRequest, message_id: str, number: int) -> None:
        """One attachment, to be saved; number counts from 0."""
        attachment, pieces = self._inbox.attachment(message_id, number)
        length = base64_octets(attachment.content)
        request.setHeader("Content-Type", served_type(attachment.content_type))
        request.setHeader("Content-Disposition", content_disposition(attachment.filename))
        request.setHeader("Content-Length", str(length))
        await stream(request, pieces)

    @app.route("/sandbox/<vendor>/v1/", endpoint="vendor_api_root")
    @app.route("/sandbox/<vendor>/v1", branch=True)
    def vendor_api(self, request: WebRequest, vendor: str) -> IResource:
        """A vendor's stand-in."""
        return self._parts.apis[vendor]

    @app.route("/api/v1/sandbox/summary", methods=["GET"])
    def summary_json(self, request: WebRequest) -> bytes:
        """Whether the inbox changed."""
        return health.write_json(request, api.summary(self._inbox))

    @app.route("/api/v1/sandbox/messages", methods=["GET"])
    async def messages_json(self, request: WebRequest) -> None:
        """The accepted messages, newest first; with ?all=1 the refused ones too."""
        everything = argument(request, b"all") == "1"
        request.setHeader("Content-Type", "application/json")
        await stream(request, api.list_pieces(self._inbox, self._inbox.entries(include_refused=everything)))

    @app.route("/api/v1/sandbox/messages", methods=["DELETE"])
    def clear_json(self, request: WebRequest) -> None:
        """Empty the inbox."""
        self._inbox.clear()
        request.setResponseCode(204)

    @app.route("/api/v1/sandbox/messages/<message_id>", methods=["GET"])
    async def message_json(self, request: WebRequest, message_id: str) -> None:
        """One message, with its whole request."""
        entry = self._inbox.entry(message_id)
        request.setHeader("Content-Type", "application/json")
        await stream(request, api.message_pieces(self._inbox, entry))

    answer_errors(app, ValueError)  # a message that is no send request has no bodies and no attachments either


def _page_number(request: WebRequest) -> int:
    text = argument(request, b"page") or "1"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
