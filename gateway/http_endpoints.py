"""Connections for the HTTP client: a TLS connection is given out once its handshake is done, not before.

So a request is only begun when the vendor has proved who it is, and a request that was not begun is known to be unsent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import URI, _HTTP11ClientFactory
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from gateway.http_tls import VerifiedHttps

ANSWERED_EARLY = "TRANSMITTING_AFTER_RECEIVING_RESPONSE"  # of the states of Twisted's HTTP11ClientProtocol
WRITING = ("TRANSMITTING", ANSWERED_EARLY)


@implementer(IHandshakeListener)
class HttpConnection(HTTP11ClientProtocol):
    """Twisted's own, which can also be asked to tell when TLS is up."""

    def __init__(self, quiescent: Callable[[HTTP11ClientProtocol], None]) -> None:
        super().__init__(quiescent)  # type: ignore[no-untyped-call]  # Twisted's is untyped
        self._handshake: Deferred[IProtocol] | None = None

    def handshake(self) -> Deferred[IProtocol]:
        """Fires with this connection; fails with why it was lost before. Cancelling it aborts the connection."""
        self._handshake = Deferred(lambda _: self._abort())
        return self._handshake

    def handshakeCompleted(self) -> None:
        """TLS is up, and the certificate was good."""
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.callback(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted's is untyped
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.errback(reason)

    def _giveUp(self, reason: Failure) -> None:
        """Twisted's name: the answer is there, or was none. A request still being written ends with it.

        Twisted lets such a request run on over a connection that it closes, and fails when its body is closed first.
        """
        if self._state not in WRITING or self._currentRequest is None:
            super()._giveUp(reason)  # type: ignore[no-untyped-call]  # Twisted's is untyped
            return
        request: Any = self._currentRequest
        request.stopWriting()
        transport: Any = self.transport  # ITransport does not know abortConnection
        transport.abortConnection()
        if self._state == ANSWERED_EARLY:  # else connectionLost() fails the request
            self._disconnectParser(reason)  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def _abort(self) -> None:
        self._handshake = None  # nobody waits for it any more
        transport: Any = self.transport  # ITransport does not know abortConnection
        transport.abortConnection()


class HttpConnectionFactory(_HTTP11ClientFactory):
    """Builds the pool's connections, without a log line for each."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> HttpConnection:
        """A connection that goes back to the pool when its exchange is over."""
        return HttpConnection(self._quiescentCallback)


@implementer(IStreamClientEndpoint)
class HandshakenEndpoint:
    """A TLS endpoint whose connections are ready only when they are secure."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, and wait for the handshake; protocolFactory builds HttpConnections."""
        connecting: Deferred[Any] = self._endpoint.connect(protocolFactory)
        return connecting.addCallback(lambda connection: connection.handshake())


@implementer(IOpenSSLClientConnectionCreator)
class LateConnections:
    """Makes TLS connections by the trust store of their own time, so that an endpoint may be kept."""

    def __init__(self, policy: VerifiedHttps, host: bytes, port: int) -> None:
        self._policy = policy
        self._host = host
        self._port = port

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection that fails its handshake unless the chain and the name are good."""
        return self._policy.creatorForNetloc(self._host, self._port).clientConnectionForTLS(tlsProtocol)


@implementer(IAgentEndpointFactory)
class VerifiedEndpoints:
    """Says how to reach the host of a URL: over verified TLS, or in the clear for http, which stays on this host.

    Endpoints are kept: making one encodes the host's name, and is asked for before each request.
    """

    def __init__(self, reactor: Any, policy: VerifiedHttps, connect_seconds: float) -> None:
        self._reactor = reactor
        self._policy = policy
        self._connect_seconds = connect_seconds
        self._made: dict[tuple[bytes, bytes, int], IStreamClientEndpoint] = {}

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint for a URL. ValueError for a scheme other than http and https."""
        key = (uri.scheme, uri.host, uri.port)
        if key not in self._made:
            self._made[key] = self._make(uri)  # one for each entry of the settings
        return self._made[key]

    def _make(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        endpoint = HostnameEndpoint(self._reactor, host, uri.port, timeout=self._connect_seconds)
        if uri.scheme == b"http":
            return endpoint
        if uri.scheme != b"https":
            raise ValueError("only http and https are spoken")
        connections = LateConnections(self._policy, uri.host, uri.port)
        return HandshakenEndpoint(wrapClientTLS(connections, endpoint))
