"""Writing a long response body in pieces, no faster than the client reads, and stopping when the client leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from zope.interface import implementer

from gateway.sandbox.web_request import WebRequest


@implementer(IPullProducer)
class _PieceProducer:
    """Gives the next piece whenever the connection has room for one."""

    def __init__(self, request: WebRequest, pieces: Iterator[bytes]) -> None:
        self._request = request
        self._pieces = pieces
        self.done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    def resumeProducing(self) -> None:  # Twisted's name
        """Write one piece; a pull producer that writes nothing would not be asked again, so empty ones are passed."""
        try:
            piece = next((one for one in self._pieces if one), None)
        except Exception:
            self._request.unregisterProducer()
            self.done.errback()
            return
        if piece is not None:
            self._request.write(piece)
            return
        self._request.unregisterProducer()
        self.done.callback(None)

    def stopProducing(self) -> None:  # Twisted's name
        """The client is gone: let go of the source, which may hold a file open."""
        self._pieces = iter(())


async def stream(request: WebRequest, pieces: Iterator[bytes]) -> None:
    """Write all pieces to the request. Cancelled when the client leaves; an error of the source passes through.

    The caller finishes the request. A HEAD request is answered without reading the source.
    """
    if request.method == b"HEAD":
        return
    producer = _PieceProducer(request, pieces)
    request.registerProducer(producer, False)
    await producer.done


async def stream_async(request: WebRequest, first: bytes, rest: AsyncIterator[bytes]) -> None:
    """Write a piece, and then those that have to be waited for, each once the client has taken the one before."""
    await stream(request, iter((first,)))
    async for piece in rest:
        await stream(request, iter((piece,)))
