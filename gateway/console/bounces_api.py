"""Postmark's bounce API on the console's port: with the vendor's libraries an application sees what became of its mail.

The documents are made in notices/bounces.py. Who asks is told by X-Postmark-Server-Token, and sees its own mail alone.
"""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol, cast

import msgspec
from klein import Klein
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.accounts.account import Account
from gateway.accounts.throttle import FailedLoginCount
from gateway.console.bounce_query import BounceQueryError, read_bounce_query
from gateway.console.health import write_json
from gateway.errors import LoginRefused, LoginUndecided
from gateway.notices import bounces
from gateway.sandbox.streaming import stream
from gateway.sandbox.web_request import WebRequest
from gateway.store.interface import Store, StoreError, Transaction
from gateway.store.records import Bounce, Selection, StoredMessage

_log = Logger(namespace="mailgateway")


class Tokens(Protocol):
    """Who an application is, as far as this API needs it."""

    def check(self, token: str) -> Awaitable[Account]:
        """The account of a token, or LoginRefused or LoginUndecided."""


class BounceError(Exception):
    """A request that is not done: the vendor's error code, the text, and the HTTP status."""

    def __init__(self, code: int, text: str, status: int) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


NO_SUCH_BOUNCE = "This bounce was not found."


class BouncesApi:
    """The API below its base URL, /api/v1/postmark. failed_logins slows guessing down as it does in SMTP."""

    app = Klein()

    def __init__(self, store: Store, tokens: Tokens, failed_logins: FailedLoginCount, reactor: Any) -> None:
        self._store = store
        self._tokens = tokens
        self._failed_logins = failed_logins
        self._reactor = reactor

    def resource(self) -> IResource:
        """What to mount at the base URL."""
        return cast("IResource", self.app.resource())

    @app.route("/deliveryStats", methods=["GET"], endpoint="statistics_as_one_library_writes_it")
    @app.route("/deliverystats", methods=["GET"])
    async def statistics(self, request: WebRequest) -> bytes:
        """How many bounces there are."""
        mine = Selection(account_name=await self._account_name(request))
        total, _ = await self._store.read(lambda at: at.bounces(mine, 1))
        return write_json(request, bounces.statistics_document(total))

    @app.route("/bounces", methods=["GET"])
    async def listing(self, request: WebRequest) -> bytes:
        """The bounces that the query asks for, newest first."""
        account_name = await self._account_name(request)
        query = read_bounce_query(_parameters(request), account_name)
        if query.is_empty:
            return write_json(request, bounces.list_document(0, []))

        def read(at: Transaction) -> dict[str, Any]:
            total, page = at.bounces(query.selection, query.count, query.offset, query.tag, query.stream)
            messages = _messages(at, page)
            documents = [bounces.bounce_document(one, messages.get(one.message_id)) for one in page]
            return bounces.list_document(total, documents)

        return write_json(request, await self._store.read(read))

    @app.route("/bounces/<int:number>", methods=["GET"])
    async def bounce(self, request: WebRequest, number: int) -> bytes:
        """One bounce."""
        bounce = await self._own(request, number)
        message = await self._store.read(lambda at: at.message(bounce.message_id))
        return write_json(request, bounces.bounce_document(bounce, message))

    @app.route("/bounces/<int:number>/activate", methods=["PUT"])
    async def activate(self, request: WebRequest, number: int) -> bytes:
        """Refused: the address was never made inactive by it."""
        await self._own(request, number)
        raise BounceError(bounces.NOT_ACTIVATED, "This bounce cannot be reactivated: its address is active.", 422)

    @app.route("/bounces/<int:number>/dump", methods=["GET"])
    async def dump(self, request: WebRequest, number: int) -> None:
        """What was told, and the message itself, piece by piece; empty when the message's content is gone."""
        bounce = await self._own(request, number)
        request.setHeader("Content-Type", "application/json")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        piece = await self._piece(bounce, 0)
        head = bounces.dump_head(bounce) if piece is not None else ""
        await stream(request, iter((b'{"Body":"' + _escaped(head),)))
        piece_number = 0
        while piece is not None:
            await stream(request, iter((_escaped(decoder.decode(piece)),)))
            piece_number += 1
            piece = await self._piece(bounce, piece_number)
        await stream(request, iter((_escaped(decoder.decode(b"", final=True)) + b'"}',)))

    # -- what all of them do

    async def _piece(self, bounce: Bounce, number: int) -> bytes | None:
        return await self._store.read(lambda at: at.content_piece(bounce.message_id, number))

    async def _own(self, request: WebRequest, number: int) -> Bounce:
        """A bounce of the account that asks; another's is not found, as one that does not exist."""
        account_name = await self._account_name(request)
        bounce = await self._store.read(lambda at: at.bounce(number)) if number < 2**63 else None
        if bounce is None or bounce.account_name != account_name:
            raise BounceError(bounces.NOT_FOUND, NO_SUCH_BOUNCE, 404)
        return bounce

    async def _account_name(self, request: WebRequest) -> str:
        peer = getattr(cast("IRequest", request).getClientAddress(), "host", "")
        if self._failed_logins.exceeded(peer):
            raise BounceError(429, "Too many requests with a bad token.", 429)
        token = (request.getHeader("X-Postmark-Server-Token") or "").strip()
        try:
            account = await self._tokens.check(token)
        except LoginRefused:
            await deferLater(self._reactor, self._failed_logins.add(peer, "", token), lambda: None)
            raise BounceError(bounces.BAD_TOKEN, "The server token is missing or is not valid.", 401) from None
        return account.name

    # -- errors, in the vendor's shape

    @app.handle_errors(BounceError)
    def refused(self, request: IRequest, failure: Failure) -> bytes:
        """What a call says itself."""
        error = cast("BounceError", failure.value)
        return _write_error(request, error.code, str(error), error.status)

    @app.handle_errors(BounceQueryError)
    def not_understood(self, request: IRequest, failure: Failure) -> bytes:
        """A parameter that means nothing."""
        return _write_error(request, bounces.BAD_PARAMETER, str(failure.value), 400)

    @app.handle_errors(LoginUndecided, StoreError)
    def not_now(self, request: IRequest, failure: Failure) -> bytes:
        """The vendor cannot be asked about the token, or the store cannot be read."""
        return _write_error(request, bounces.MAINTENANCE, "This cannot be told now; try again later.", 503)

    @app.handle_errors(HTTPException)
    def not_found(self, request: IRequest, failure: Failure) -> bytes:
        """No such call."""
        if isinstance(failure.value, MethodNotAllowed):
            cast("WebRequest", request).setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            return _write_error(request, 403, "Method not allowed.", 405)
        return _write_error(request, 403, "No such resource.", 404)

    @app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Our own fault; the log has it, the answer does not."""
        _log.failure("the bounce API failed", failure)
        return _write_error(request, 101, "An unexpected error occurred.", 500)


def _write_error(request: IRequest, code: int, text: str, status: int) -> bytes:
    web = cast("WebRequest", request)
    web.setHeader("X-PM-ApiErrorCode", str(code))
    return write_json(web, bounces.error_document(code, text), status)


def _parameters(request: WebRequest) -> dict[str, str]:
    return {
        name.decode("utf-8", "replace"): values[-1].decode("utf-8", "replace") for name, values in request.args.items()
    }


def _messages(transaction: Transaction, page: Sequence[Bounce]) -> dict[str, StoredMessage]:
    """The messages of a page of bounces, as far as the log still has them."""
    ids = tuple({one.message_id for one in page})
    return {one.message_id: one for one in transaction.select(Selection(message_ids=ids), len(ids))} if ids else {}


def _escaped(text: str) -> bytes:
    """A piece of text as the inside of a JSON string."""
    return msgspec.json.encode(text)[1:-1]
