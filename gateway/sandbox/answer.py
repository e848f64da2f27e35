"""How a sandbox answers: status, headers and body, and the ways in which a real API fails to answer.

Which answer a request gets is the vendor's sandbox file's; this file only gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gateway.sandbox.request_body import PIECE_OCTETS
from gateway.sandbox.streaming import stream
from gateway.sandbox.web_request import WebRequest


class Delivery(Enum):
    """What happens to the answer on its way."""

    WHOLE = auto()
    NEVER = auto()
    """The connection stays open and silent."""
    CUT = auto()
    """The connection is closed without an answer."""
    CUT_HALFWAY = auto()
    """The head and half of the body are sent, then the connection is closed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. padding_octets of blanks follow the body (JSON allows them); error is what the body says."""

    status: int
    body: bytes
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_seconds: float = 0
    padding_octets: int = 0
    delivery: Delivery = Delivery.WHOLE

    @property
    def status_given(self) -> int | None:
        """The status that the client gets to see; None when it gets no answer."""
        return None if self.delivery in (Delivery.NEVER, Delivery.CUT) else self.status


def json_answer(status: int, document: object) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, msgspec.json.encode(document))


def refusal(status: int, error: str) -> Answer:
    """A refusal in the general shape, `{"error": "<text>"}`."""
    return Answer(status, msgspec.json.encode({"error": error}), error)


def from_a_proxy(status: int, text: str) -> Answer:
    """What no contract tells of: an answer in HTML, from something in front of the API."""
    body = f"<html><head><title>{status} {text}</title></head><body><h1>{status} {text}</h1></body></html>\n"
    return Answer(status, body.encode(), text.lower(), content_type="text/html")


def _pieces(answer: Answer) -> Iterator[bytes]:
    yield answer.body
    for written in range(0, answer.padding_octets, PIECE_OCTETS):
        yield b" " * min(PIECE_OCTETS, answer.padding_octets - written)


async def give(request: WebRequest, answer: Answer, reactor: IReactorTime) -> None:
    """Give the answer; the caller finishes the request. Cancelled, with nothing left behind, when the client leaves."""
    if answer.delay_seconds:
        await deferLater(reactor, answer.delay_seconds)
    if answer.delivery is Delivery.CUT:
        request.loseConnection()
    if answer.delivery in (Delivery.CUT, Delivery.NEVER):
        await Deferred()
    request.setResponseCode(answer.status)
    request.setHeader("Content-Type", answer.content_type)
    request.setHeader("Content-Length", str(len(answer.body) + answer.padding_octets))
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    if answer.delivery is Delivery.CUT_HALFWAY:
        request.write(answer.body[: len(answer.body) // 2])
        request.loseConnection()
        await Deferred()
    await stream(request, _pieces(answer))
