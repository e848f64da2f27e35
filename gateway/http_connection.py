"""Connections of the HTTP client: each carries one exchange after the other, and is ready only when it is secure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHandshakeListener, IProtocol, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from gateway.http_exchange import HttpExchange


@implementer(IHandshakeListener)
class HttpConnection(Protocol):
    """One connection. on_idle is told when it can carry the next request, on_lost when it never will again.

    idle_until is for who keeps it meanwhile.
    """

    transport: Any

    def __init__(self, on_idle: Callable[[HttpConnection], None], on_lost: Callable[[HttpConnection], None]) -> None:
        self.idle_until = 0.0
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._exchange: HttpExchange | None = None
        self._handshake: Deferred[IProtocol] | None = None
        self._closed: Deferred[None] | None = None

    def connectionMade(self) -> None:
        """Requests go out at once: head and body of one may be two segments."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def handshake(self) -> Deferred[IProtocol]:
        """Fires with this connection; fails with why it was lost before. Cancelling it aborts the connection."""
        self._handshake = Deferred(lambda _: self._abort())
        return self._handshake

    def handshakeCompleted(self) -> None:
        """TLS is up, and the certificate was good."""
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.callback(self)

    def request(self, head: bytes, body: IBodyProducer | None, *, has_body: bool) -> HttpExchange:
        """Begin an exchange; only on an idle connection. has_body tells whether the answer may have a body."""
        assert self._exchange is None
        exchange = self._exchange = HttpExchange(self, head, body, has_body=has_body)
        exchange.start()
        return exchange

    def exchange_over(self, *, whole: bool, reusable: bool) -> None:
        """The exchange needs this connection no more."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return  # the connection itself has ended it
        if reusable:
            self._on_idle(self)
            return
        self._on_lost(self)
        if whole:
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()

    def close(self) -> Deferred[None]:
        """Close an idle connection; fires when it is closed."""
        closed: Deferred[None] = Deferred()
        self._closed = closed
        self.transport.loseConnection()
        return closed

    def dataReceived(self, data: bytes) -> None:
        """Octets of an answer; those that nobody has asked for end the connection."""
        if self._exchange is not None:
            self._exchange.received(data)
        else:
            self._on_lost(self)
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._on_lost(self)
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.errback(reason)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lost(reason)
        closed, self._closed = self._closed, None
        if closed is not None:
            closed.callback(None)

    def _abort(self) -> None:
        self._handshake = None  # nobody waits for it any more
        self.transport.abortConnection()


class HttpConnectionFactory(Factory):
    """Builds connections, without a log line for each."""

    noisy = False

    def __init__(self, on_idle: Callable[[HttpConnection], None], on_lost: Callable[[HttpConnection], None]) -> None:
        self._on_idle = on_idle
        self._on_lost = on_lost

    def buildProtocol(self, addr: IAddress | None) -> HttpConnection:
        """A connection that is not yet secure."""
        return HttpConnection(self._on_idle, self._on_lost)
