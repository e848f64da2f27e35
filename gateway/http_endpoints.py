"""How the HTTP client gets its connections: a TLS connection is given out once its handshake is done, not before.

So a request is only begun when the vendor has proved who it is, and a request that was not begun is known to be unsent.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from gateway.http_tls import VerifiedHttps


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
