"""The two ends of an HTTP exchange as Twisted moves them: a request body in pieces, an answer body with a cap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol as Shape

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
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

    def __init__(self, body: RequestBody) -> None:
        self.length = body.length_octets
        self.wholly_written = False
        self._left_octets = body.length_octets
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] = Deferred()
        self._paused = False
        self._stopped = False
        self._writing = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the body; fires when the last piece is with the consumer, and never after stopProducing()."""
        self._consumer = consumer
        if not self._stopped:  # else the connection was lost as soon as it was asked
            self._pieces = self._body.pieces()
            self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """The connection has enough for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The connection takes more: pieces follow until it says that it has enough."""
        self._paused = False
        if self._writing:
            return  # the loop below is where this call comes from
        self._writing = True
        try:
            while self._pieces is not None and not self._paused:
                self._write(next(self._pieces, None))
        except Exception:  # the source could not be read
            self.stopProducing()
            self._done.errback(Failure())
        finally:
            self._writing = False

    def stopProducing(self) -> None:
        """Write no more: the connection is gone, or nobody needs the rest."""
        self._stopped = True
        self._pieces = None
        self._consumer = None  # which knows this producer: neither would be given back before the next collection

    def _write(self, piece: bytes | None) -> None:
        if piece is None:
            self._pieces = None
            self._done.callback(None)
            return
        assert self._consumer is not None
        self._left_octets -= len(piece)
        self.wholly_written = self._left_octets <= 0
        self._consumer.write(piece)
        if self.wholly_written and self._pieces is not None:
            self._write(next(self._pieces, None))  # whether it really was the last does not wait for the connection


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
