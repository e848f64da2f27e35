"""The message log: where is my mail? And each message's story, its content and its source."""

from __future__ import annotations

from klein import Klein

from gateway.console.acting import act, read_done, read_wish
from gateway.console.attachment import content_disposition, served_type
from gateway.console.filters import read_filters
from gateway.console.kept_content import KeptContent, decoded, octets_of
from gateway.console.preview import without_reaching_out
from gateway.console.query import DEFAULT_LIMIT
from gateway.console.rendering import Rendering, answer_errors, see_other
from gateway.console.security import allow_preview
from gateway.console.steering import Steering
from gateway.console.story import Story
from gateway.content.structure import UnreadableError
from gateway.sandbox.streaming import stream
from gateway.sandbox.web_request import WebRequest
from gateway.store.records import Selection, State

SHOWN_TEXT_CHARACTERS = 200_000  # a hundred pages of print; the whole text is a link away
SHOWN_SOURCE_OCTETS = 64 * 1024  # all of most mail, and quick to lay out


class MessagePages:
    """/messages and all below. vendors are the entries of the settings, to which a message may be moved."""

    app = Klein()

    def __init__(self, steering: Steering, content: KeptContent, vendors: frozenset[str], rendering: Rendering) -> None:
        self.rendering = rendering
        self._steering = steering
        self._content = content
        self._vendors = vendors

    @app.route("/messages", methods=["GET"])
    async def messages(self, request: WebRequest) -> str:
        """The newest messages that fit."""
        filters = read_filters(request)
        found = await self._steering.messages(filters.selection, DEFAULT_LIMIT + 1)
        return self.rendering.page(
            request,
            "messages.html",
            here="messages",
            filters=filters,
            states=list(State),
            vendors=sorted(self._vendors),
            messages=found[:DEFAULT_LIMIT],
            next=found[DEFAULT_LIMIT - 1].message_id if len(found) > DEFAULT_LIMIT else None,
        )

    @app.route("/messages/<message_id>", methods=["GET"])
    async def message(self, request: WebRequest, message_id: str) -> str:
        """A message's story."""
        story = Story.of(*await self._steering.records(message_id))
        vendors = sorted(self._vendors)
        return self._page(request, "story.html", story, vendors=vendors, done=read_done(request))

    @app.route("/messages/<message_id>", methods=["POST"])
    async def act(self, request: WebRequest, message_id: str) -> str | None:
        """Retry, hold, release, cancel or move it."""
        wish = read_wish(request, self._vendors)
        path = f"/messages/{message_id}"
        if wish.action == "cancel" and not wish.is_sure:
            fields = [("action", "cancel"), ("sure", "1")]
            question = "Cancel this message? It will not be delivered, and nobody is told."
            return self.rendering.page(
                request, "confirm.html", question=question, label="Cancel it", path=path, back=path, fields=fields
            )
        done = await act(self._steering, wish, Selection(message_ids=(message_id,)))
        see_other(request, f"{path}?done={done.action}&changed={done.changed}&unchanged={done.unchanged}")
        return None

    @app.route("/messages/<message_id>/content", methods=["GET"])
    async def content(self, request: WebRequest, message_id: str) -> str:
        """What a reader of the mail would see, shut in."""
        story = Story.of(*await self._steering.records(message_id))
        try:
            async with self._content.opened(message_id) as content:
                text = await self._content.text(content.text, SHOWN_TEXT_CHARACTERS) if content.text else ""
        except UnreadableError as error:
            return self._page(request, "content.html", story, content=None, unreadable=str(error))
        is_cut = len(text) > SHOWN_TEXT_CHARACTERS
        shown = text[:SHOWN_TEXT_CHARACTERS]
        return self._page(request, "content.html", story, content=content, text=shown, text_cut=is_cut)

    @app.route("/messages/<message_id>/source", methods=["GET"])
    async def source(self, request: WebRequest, message_id: str) -> str:
        """The mail data as it came: its beginning."""
        story = Story.of(*await self._steering.records(message_id))
        octets = await self._content.beginning(message_id, SHOWN_SOURCE_OCTETS)
        source = octets.decode("utf-8", "replace").replace("\r\n", "\n")
        return self._page(request, "source.html", story, source=source, shown_octets=len(octets))

    @app.route("/messages/<message_id>/html", methods=["GET"])
    async def html(self, request: WebRequest, message_id: str) -> None:
        """A mail's own HTML, shut in: see PREVIEW_POLICY."""
        async with self._content.opened(message_id) as content:
            if content.html is None:
                raise LookupError(message_id)
            allow_preview(request)
            request.setHeader("Content-Type", "text/html; charset=utf-8")
            await stream(request, without_reaching_out(octets_of(content.html)))

    @app.route("/messages/<message_id>/text", methods=["GET"])
    async def text(self, request: WebRequest, message_id: str) -> None:
        """A mail's text, whole."""
        async with self._content.opened(message_id) as content:
            if content.text is None:
                raise LookupError(message_id)
            request.setHeader("Content-Type", "text/plain; charset=utf-8")
            await stream(request, octets_of(content.text))

    @app.route("/messages/<message_id>/attachments/<int:number>", methods=["GET"])
    async def attachment(self, request: WebRequest, message_id: str, number: int) -> None:
        """One attachment, to be saved; number counts from 0."""
        async with self._content.opened(message_id) as content:
            attachment = content.attachments[number]
            request.setHeader("Content-Type", served_type(attachment.content_type))
            request.setHeader("Content-Disposition", content_disposition(attachment.filename))
            request.setHeader("Content-Length", str(attachment.size_octets))
            await stream(request, decoded(attachment.source))

    def _page(self, request: WebRequest, template: str, story: Story, **values: object) -> str:
        return self.rendering.page(request, template, here="messages", story=story, **values)

    answer_errors(app, UnreadableError)
