"""The two ends of an HTTP exchange as Twisted moves them: a request body in pieces, an answer body with a cap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol as Shape

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import CooperativeTask, Cooperator, TaskStopped
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


class RequestBody(Shape):
    """A request body of known length. Every call of pieces() gives equal octets; a short body comes as one piece."""

    @property
    def length_octets(self) -> int:
        """How many octets all the pieces have together."""

    def pieces(self) -> Iterator[bytes]:
        """The octets from the beginning."""


class OctetsBody:
    """A request body that is there as octets: what has been signed must travel exactly so."""

    def __init__(self, octets: bytes) -> None:
        self.length_octets = len(octets)
        self._octets = octets

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        return iter((self._octets,))


@implementer(IBodyProducer)
class BodyProducer:
    """Writes a body piece by piece, as fast as the connection takes it.

    wholly_written turns true as soon as the last piece has been handed to the connection: from then on the other side
    may have it all.
    """

    def __init__(self, body: RequestBody, clock: IReactorTime) -> None:
        self.length = body.length_octets
        self.wholly_written = False
        self._left_octets = body.length_octets
        self._body = body
        self._clock = clock
        self._task: CooperativeTask[Iterator[None]] | None = None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the body; fires when the last piece is with the consumer, and never after stopProducing()."""
        pieces = self._body.pieces()
        first = next(pieces, b"")
        if len(first) == self.length:
            self._hand_over(first, consumer)
            return succeed(None)
        cooperator = Cooperator(scheduler=lambda turn: self._clock.callLater(0, turn))
        self._task = cooperator.cooperate(self._write(first, pieces, consumer))
        done: Deferred[None] = Deferred()
        self._task.whenDone().addCallbacks(lambda _: self._finish(done), lambda failure: _fail(done, failure))
        return done

    def _write(self, first: bytes, pieces: Iterator[bytes], consumer: IConsumer) -> Iterator[None]:
        self._hand_over(first, consumer)
        yield None
        for piece in pieces:
            self._hand_over(piece, consumer)
            yield None

    def _hand_over(self, piece: bytes, consumer: IConsumer) -> None:
        self._left_octets -= len(piece)
        self.wholly_written = self._left_octets <= 0
        consumer.write(piece)

    def _finish(self, done: Deferred[None]) -> None:
        self._task = None  # a task that is done cannot be stopped
        done.callback(None)

    def pauseProducing(self) -> None:
        """The connection has enough for now."""
        if self._task is not None:
            self._task.pause()

    def resumeProducing(self) -> None:
        """The connection takes more."""
        if self._task is not None:
            self._task.resume()

    def stopProducing(self) -> None:
        """Write no more: the connection is gone, or nobody needs the rest."""
        task, self._task = self._task, None  # Twisted's client says so more than once
        if task is not None:
            task.stop()


def _fail(done: Deferred[None], failure: Failure) -> None:
    """The body could not be read. That it was stopped is no failure: whoever stopped it knows."""
    if not failure.check(TaskStopped):
        done.errback(failure)


class CappedBody(Protocol):
    """Collects an answer's body up to a cap; what is beyond it is not waited for.

    done fires with None when the body has ended, or has been cut at the cap; octets is what came, in any case.
    """

    def __init__(self, maximum_octets: int) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._cut())
        self._pieces: list[bytes] = []
        self._room = maximum_octets

    @property
    def octets(self) -> bytes:
        """What has come so far."""
        return b"".join(self._pieces)

    def dataReceived(self, data: bytes) -> None:
        """Keep what there is room for."""
        self._pieces.append(data[: self._room])
        self._room -= len(self._pieces[-1])
        if not self._room:
            self._cut()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The body has ended, whole or not: the status decides anyway."""
        if not self.done.called:
            self.done.callback(None)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
