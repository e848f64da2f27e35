"""What the stand-ins of all vendors do alike: read a send request, judge it in order, keep it, and answer.

A vendor's file has its routes, its answers and its keys; which answer is magic is magic.py's.
"""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

from klein import Klein
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.sandbox.answer import Answer, give, json_answer
from gateway.sandbox.inbox import Inbox, plain_headers
from gateway.sandbox.letter import Arrival, Letter, Reader, Summary
from gateway.sandbox.magic import MagicKey, MagicTable
from gateway.sandbox.reading import Reading
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.threads import beside, uncancelled
from gateway.sandbox.web_request import WebRequest

T = TypeVar("T")

_JSON = re.compile(r'application/json( *; *charset="?utf-8"?)?', re.IGNORECASE)
_log = Logger()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a send request, the id that its message gets, and the recipients that are skipped."""

    answer: Answer
    vendor_message_id: str = ""
    skipped: tuple[str, ...] = ()


class StandIn(ABC):
    """An API below its base URL. A vendor's class adds its routes to an app that is made by new_app.

    reactor: counts its delays, and has the threads in which large requests are read. The wall clock is the inbox's.
    """

    app: ClassVar[Klein]
    magic: ClassVar[MagicTable]
    title: ClassVar[str]
    """The vendor's name in the log."""
    accepted_status: ClassVar[int]
    """Of the answer to a message that is taken."""
    no_such_resource: ClassVar[Answer]
    method_not_allowed: ClassVar[Answer]
    failure: ClassVar[Answer]
    """The sandbox's own fault, for example a full disk."""
    request_id_header: ClassVar[str] = ""
    """When named, every answer has an id in this header, and is kept out of caches."""

    def __init__(self, inbox: Inbox, reactor: Any) -> None:
        self._inbox = inbox
        self._reactor = reactor

    @abstractmethod
    def find_key(self, request: WebRequest) -> MagicKey | Answer:
        """The row of the magic table for the request's key; the refusal when there is none."""

    @abstractmethod
    def check_head(self, request: WebRequest) -> Answer | None:
        """The refusal of a send request for its header fields, the key aside; None when they are right."""

    def resource(self) -> IResource:
        """What to mount at the base URL, for example at /sandbox/<vendor>/v1."""
        return cast("IResource", self.app.resource())

    async def give(self, request: WebRequest, answer: Answer) -> None:
        """Give an answer; the caller finishes the request."""
        if self.request_id_header:
            request.setHeader(self.request_id_header, f"req_{secrets.token_hex(12)}")
            request.setHeader("Cache-Control", "no-store")
        await give(request, answer, self._reactor)

    async def give_received(self, request: WebRequest, receive: Coroutine[Deferred[Any], Any, Answer]) -> None:
        """Give the answer to a send request. A client that leaves has sent it nevertheless."""
        await self.give(request, await uncancelled(ensureDeferred(receive)))

    async def show(self, request: WebRequest, make: Callable[[MagicKey], Answer]) -> None:
        """Answer a GET request: make is called when its key alone does not decide."""
        key = self.find_key(request)
        answer = key if isinstance(key, Answer) else self.paced(key, self.decided(key, request) or make(key))
        await self.give(request, answer)

    async def read(self, request: WebRequest, read: Callable[[RequestBody], T]) -> T:
        """Read a body, beside the reactor when it is large."""
        # Taken at once: Twisted closes request.content when the client leaves.
        body = RequestBody(request.content)
        # A small body is read sooner than a thread begins.
        return read(body) if body.in_memory else await beside(self._reactor, lambda: read(body))

    def answer_and_keep(
        self, request: WebRequest, reading: Reading, read: Reader, judge: Callable[[MagicKey, Letter], Verdict]
    ) -> Answer:
        """The answer to a send request, which is kept. judge gets a letter that the contract allows; read is kept."""
        verdict = self._verdict(request, reading, judge)
        self.keep(request, reading, read, verdict, verdict.answer.status_given)
        return verdict.answer

    def keep(self, request: WebRequest, reading: Reading, read: Reader, verdict: Verdict, status: int | None) -> None:
        """Put a message into the inbox; status is the one that its client gets to see."""
        answer, letter = verdict.answer, reading.letter
        arrival = Arrival(
            vendor=self.magic.vendor,
            method="POST",
            path=request.path.decode("utf-8", "replace"),
            headers=plain_headers(list(request.requestHeaders.getAllRawHeaders())),
            status=status,
            read=read,
            error=answer.error,
            vendor_message_id=verdict.vendor_message_id if answer.status == self.accepted_status else "",
            skipped=verdict.skipped,
            summary=Summary.of(letter) if letter else Summary(),
            well_formed=reading.well_formed,
            long_strings=reading.long_strings,
        )
        self._inbox.keep(arrival, reading.copy)

    def _verdict(self, request: WebRequest, reading: Reading, judge: Callable[[MagicKey, Letter], Verdict]) -> Verdict:
        """The key comes first, then the header fields, then the body."""
        key = self.find_key(request)
        if isinstance(key, Answer):
            return Verdict(key)
        refusal = self.decided(key, request) or self.check_head(request) or reading.refusal
        if refusal is not None or reading.letter is None:
            return Verdict(self.paced(key, refusal or self.failure))
        verdict = judge(key, reading.letter)
        return Verdict(self.paced(key, verdict.answer), verdict.vendor_message_id, verdict.skipped)

    def decided(self, key: MagicKey, request: WebRequest) -> Answer | None:
        """The answer when the key alone decides it."""
        return self.magic.answer_for_key(key, request.method, json_answer(200, {}), self._inbox.seconds())

    def paced(self, key: MagicKey, answer: Answer) -> Answer:
        """The answer as late as the key has it."""
        return self.magic.paced(key, answer, self._inbox.seconds())

    async def not_routed(self, request: IRequest, failure: Failure) -> None:
        """404 for an unknown path, 405 for a wrong method."""
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            await self.give(web, self.method_not_allowed)
            return
        await self.give(web, self.no_such_resource)

    async def failed(self, request: IRequest, failure: Failure) -> None:
        """What went wrong is for the log alone."""
        _log.failure("the {title} sandbox failed", failure, title=self.title)
        await self.give(cast("WebRequest", request), self.failure)


def new_app() -> Klein:
    """An app for the routes of a stand-in, whose errors are answered already."""
    app = Klein()
    app.handle_errors(HTTPException)(StandIn.not_routed)
    app.handle_errors(Exception)(StandIn.failed)
    return app


def bearer_key(request: WebRequest) -> str:
    """The key in `Authorization: Bearer <key>` (RFC 6750 §2.1); empty when there is none."""
    scheme, _, text = (request.getHeader("Authorization") or "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def is_json(request: WebRequest) -> bool:
    """Whether the Content-Type of a request is JSON, in UTF-8 when it says in what."""
    return _JSON.fullmatch((request.getHeader("Content-Type") or "").strip()) is not None
