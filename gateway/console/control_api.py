"""The control API: messages, queue, events, the sum and credentials, as JSON.

openapi.json beside this file describes it.

Who may call what is the guard's; what the calls mean is steering.py's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files
from typing import cast

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.console.credential_office import CredentialOffice
from gateway.console.event_stream import EventStream
from gateway.console.health import write_json
from gateway.console.message_document import credential_document, event_document
from gateway.console.query import (
    BODY_OCTETS,
    NoVendorError,
    QueryError,
    check_texts,
    read_action,
    read_limit,
    read_new_credential,
    read_number,
    read_selection,
)
from gateway.console.steering import Steering
from gateway.sandbox.streaming import stream_async
from gateway.sandbox.web_request import WebRequest
from gateway.store.interface import StoreError
from gateway.store.records import WAITING

_log = Logger(namespace="mailgateway")


class ControlApi:
    """JSON below /api/v1/. vendors are the entries of the settings, to which messages may be moved."""

    app = Klein()

    def __init__(
        self, steering: Steering, events: EventStream, office: CredentialOffice, vendors: frozenset[str]
    ) -> None:
        self._steering = steering
        self._events = events
        self._office = office
        self._vendors = vendors
        self._description = files("gateway.console").joinpath("openapi.json").read_bytes()

    def resource(self) -> IResource:
        """What is mounted at /api/v1/."""
        return self.app.resource()

    @app.route("/openapi.json", methods=["GET"])
    def description(self, request: WebRequest) -> bytes:
        """The OpenAPI description of all this."""
        request.setHeader("Content-Type", "application/json")
        return self._description

    @app.route("/messages", methods=["GET"])
    async def messages(self, request: WebRequest) -> bytes:
        """Where is my mail? Newest first."""
        asked = arguments(request)
        return write_json(request, await self._steering.listing(read_selection(asked), read_limit(asked)))

    @app.route("/messages/<message_id>", methods=["GET"])
    async def message(self, request: WebRequest, message_id: str) -> bytes:
        """One message's whole story."""
        return write_json(request, await self._steering.story(message_id))

    @app.route("/messages/<message_id>/content", methods=["GET"])
    async def content(self, request: WebRequest, message_id: str) -> None:
        """The mail data as it came, while it is kept."""
        pieces = self._pieces(message_id)
        first = await anext(pieces, None)
        if first is None:
            raise LookupError(message_id)
        # What a mail says must never be taken for a page of ours
        request.setHeader("Content-Type", "application/octet-stream")
        request.setHeader("Content-Disposition", f'attachment; filename="{message_id}.eml"')
        await stream_async(request, first, pieces)

    @app.route("/queue", methods=["GET"])
    async def queue(self, request: WebRequest) -> bytes:
        """What waits: queued and held."""
        asked = arguments(request)
        if "state" not in asked:
            asked["state"] = [one.value for one in WAITING]
        return write_json(request, await self._steering.listing(read_selection(asked), read_limit(asked)))

    @app.route("/queue", methods=["POST"])
    async def act(self, request: WebRequest) -> bytes:
        """Retry, hold, release, cancel or move waiting messages."""
        action = read_action(request.content.read(BODY_OCTETS + 1), self._vendors)
        return write_json(request, await self._steering.act(action))

    @app.route("/totals", methods=["GET"])
    async def totals(self, request: WebRequest) -> bytes:
        """The sum: accepted = relayed + refused + expired + cancelled + queued + held."""
        arguments(request, allowed=())
        return write_json(request, await self._steering.totals())

    @app.route("/events", methods=["GET"])
    async def events(self, request: WebRequest) -> bytes | None:
        """The event feed from a number on; as server-sent events when that is what the client accepts."""
        asked = arguments(request, allowed=("after", "limit", "message_id"))
        after, limit = read_number(asked, "after"), read_limit(asked)
        if "text/event-stream" in (request.getHeader("Accept") or ""):
            last = request.getHeader("Last-Event-ID") or ""
            await self._events.serve(request, int(last) if last.isascii() and last.isdigit() else None)
            return None
        found = await self._steering.events(after, limit, asked.get("message_id", [""])[-1])
        last_number = found[-1].number if found else after
        return write_json(request, {"events": [event_document(one) for one in found], "last": last_number})

    @app.route("/credentials", methods=["GET"])
    async def credentials(self, request: WebRequest) -> bytes:
        """All credentials, without anything of their secrets."""
        arguments(request, allowed=())
        found = await self._office.listing()
        return write_json(request, {"credentials": [credential_document(one) for one in found]})

    @app.route("/credentials", methods=["POST"])
    async def add_credential(self, request: WebRequest) -> bytes:
        """A new one; this answer alone has its secret."""
        told = read_new_credential(request.content.read(BODY_OCTETS + 1))
        try:
            name, secret = await self._office.add(
                told.user_name, told.vendor, told.stream, keeps_secret=told.challenge_mechanisms
            )
        except ValueError as error:
            return write_json(request, {"error": str(error)}, 409)
        return write_json(request, {"user_name": name, "secret": secret}, 201)

    @app.route("/credentials/<user_name>/regenerate", methods=["POST"])
    async def regenerate_credential(self, request: WebRequest, user_name: str) -> bytes:
        """A new secret; the old one is good no more."""
        try:
            secret = await self._office.regenerate(user_name)
        except ValueError:
            raise LookupError(user_name) from None
        return write_json(request, {"user_name": user_name, "secret": secret})

    @app.route("/credentials/<user_name>/deactivate", methods=["POST"])
    async def deactivate_credential(self, request: WebRequest, user_name: str) -> bytes:
        """Nobody can log in with it any more; the name stays taken."""
        if not await self._office.deactivate(user_name):
            raise LookupError(user_name)
        return write_json(request, {"user_name": user_name, "active": False})

    @app.handle_errors(QueryError)
    def not_understood(self, request: IRequest, failure: Failure) -> bytes:
        """400, and what was expected."""
        return write_json(cast("WebRequest", request), {"error": str(failure.value)}, 400)

    @app.handle_errors(NoVendorError)
    def no_vendor(self, request: IRequest, failure: Failure) -> bytes:
        """404, and which there are."""
        return write_json(cast("WebRequest", request), {"error": str(failure.value)}, 404)

    @app.handle_errors(StoreError)
    def no_store(self, request: IRequest, failure: Failure) -> bytes:
        """503: it may work later."""
        return write_json(cast("WebRequest", request), {"error": str(failure.value)}, 503)

    @app.handle_errors(HTTPException, LookupError)
    def not_found(self, request: IRequest, failure: Failure) -> bytes:
        """404, or 405."""
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            return write_json(web, {"error": "this address does not take this method"}, 405)
        return write_json(web, {"error": "there is no such thing, or it is not kept any more"}, 404)

    @app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """A fault of our own; the log has it, the answer does not."""
        _log.failure("the control API failed", failure)
        return write_json(cast("WebRequest", request), {"error": "the gateway failed; its log says why"}, 500)

    async def _pieces(self, message_id: str) -> AsyncIterator[bytes]:
        number = 0
        while (piece := await self._steering.content_piece(message_id, number)) is not None:
            yield piece
            number += 1


def arguments(request: WebRequest, allowed: tuple[str, ...] | None = None) -> dict[str, list[str]]:
    """The query string. QueryError when it is no UTF-8, or names a parameter that is not allowed."""
    try:
        asked = {name.decode(): [one.decode() for one in values] for name, values in request.args.items()}
    except UnicodeDecodeError:
        raise QueryError("the query string is no UTF-8") from None
    for name in asked:
        if allowed is not None and name not in allowed:
            raise QueryError(f"there is no parameter {name}; there are: {', '.join(allowed) or 'none'}")
    check_texts(asked)
    return asked
