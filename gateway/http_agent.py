"""Requests over connections that are kept: an agent as treq takes it, for one request and answer at a time each.

It writes requests and reads answers by itself: Twisted's own agent does so at five times the cost, most of it in
objects that are made anew for each request. What a request says and what an answer means is left to others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from gateway.http_connection import HttpConnection, HttpConnectionFactory
from gateway.http_endpoints import VerifiedEndpoints

KNOWN_URLS = 256  # a vendor's API has a few; the cap is for a caller who puts something else into them
# Requests without a body that change nothing (RFC 9110 §9.2.1): the only ones that may be made twice
SAFE_METHODS = (b"GET", b"HEAD")


@dataclass(eq=False, slots=True)
class Origin:
    """A server (RFC 9110 §4.3.1): how to reach it, and the connections to it that wait for a request."""

    endpoint: IStreamClientEndpoint
    factory: HttpConnectionFactory = field(init=False)
    idle: list[HttpConnection] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says: the server, and the first two lines of a request to it but for the method."""

    origin: Origin
    lines: bytes


@implementer(IAgent)
class KeepingAgent:
    """Makes requests. At most idle_connections wait for the next one to a server, each for idle_seconds."""

    def __init__(
        self, reactor: Any, endpoints: VerifiedEndpoints, *, idle_connections: int, idle_seconds: float
    ) -> None:
        self._reactor = reactor
        self._endpoints = endpoints
        self._idle_connections = idle_connections
        self._idle_seconds = idle_seconds
        self._origins: dict[tuple[bytes, bytes, int], Origin] = {}
        self._targets: dict[bytes, Target] = {}
        self._sweep_call: IDelayedCall | None = None

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """Begin a request. A connection found closed is replaced only for a request that may be made twice."""
        fields = b"".join(
            b"%b: %b\r\n" % (name, value)
            for name, values in (headers.getAllRawHeaders() if headers is not None else ())
            for value in values
            if name != b"Accept-Encoding"
        )
        return self.send(method, uri, fields, bodyProducer)

    def send(self, method: bytes, uri: bytes, fields: bytes, bodyProducer: IBodyProducer | None) -> Deferred[IResponse]:
        """The same with the header fields as they are to be written, but for those of the body and its encoding."""
        target = self._targets.get(uri) or self._learn(uri)
        head = _head(method, target, fields, bodyProducer)
        has_body = method != b"HEAD"
        connection = self._kept(target.origin)
        if connection is None:
            return self._on_a_new_connection(target.origin, head, bodyProducer, has_body)
        exchange = connection.request(head, bodyProducer, has_body=has_body)
        if method not in SAFE_METHODS or bodyProducer is not None:
            return exchange.answered

        def again(failure: Failure) -> Any:
            if exchange.heard or failure.check(CancelledError):
                return failure
            return self._on_a_new_connection(target.origin, head, None, has_body)

        return exchange.answered.addErrback(again)

    async def close(self) -> None:
        """Close the connections that are kept."""
        connections = [one for origin in self._origins.values() for one in origin.idle]
        for origin in self._origins.values():
            origin.idle.clear()
        self._sweep()
        await DeferredList([one.close() for one in connections])

    def _learn(self, uri: bytes) -> Target:
        """What a URL says. ValueError for one that is none, or not of http or https."""
        if not all(0x21 <= octet <= 0x7E for octet in uri):
            raise ValueError("no URL to make a request to")
        parsed = URI.fromBytes(uri)
        if not parsed.host:
            raise ValueError("no URL to make a request to")
        key = (parsed.scheme, parsed.host, parsed.port)
        origin = self._origins.get(key)
        if origin is None:
            origin = self._origins[key] = self._make_origin(parsed)
        host = b"[%b]" % parsed.host if b":" in parsed.host else parsed.host
        if parsed.port != {b"http": 80, b"https": 443}[parsed.scheme]:
            host += b":%d" % parsed.port
        target = Target(origin, b" %b HTTP/1.1\r\nHost: %b\r\n" % (parsed.originForm, host))
        if len(self._targets) >= KNOWN_URLS:
            self._targets.clear()
        self._targets[uri] = target
        return target

    def _make_origin(self, uri: URI) -> Origin:
        origin = Origin(self._endpoints.endpointForURI(uri))
        origin.factory = HttpConnectionFactory(
            lambda connection: self._keep(origin, connection), lambda connection: self._forget(origin, connection)
        )
        return origin

    def _on_a_new_connection(
        self, origin: Origin, head: bytes, body: IBodyProducer | None, has_body: bool
    ) -> Deferred[IResponse]:
        connecting: Deferred[Any] = maybeDeferred(origin.endpoint.connect, origin.factory)
        return connecting.addCallback(lambda one: one.request(head, body, has_body=has_body).answered)

    # -- the connections that are kept

    def _kept(self, origin: Origin) -> HttpConnection | None:
        """The connection that was used last: the fewer are used, the sooner the rest is closed."""
        if not origin.idle:
            return None
        connection = origin.idle[-1]
        if connection.idle_until <= self._reactor.seconds():
            self._sweep()  # the others have waited longer still
            return None
        return origin.idle.pop()

    def _keep(self, origin: Origin, connection: HttpConnection) -> None:
        connection.idle_until = self._reactor.seconds() + self._idle_seconds
        origin.idle.append(connection)
        if len(origin.idle) > self._idle_connections:
            origin.idle.pop(0).close()
        if self._sweep_call is None:
            self._sweep_call = self._reactor.callLater(self._idle_seconds, self._sweep)

    def _forget(self, origin: Origin, connection: HttpConnection) -> None:
        if connection in origin.idle:
            origin.idle.remove(connection)

    def _sweep(self) -> None:
        """Close what has waited too long, and come again for the next. One timer is for all connections."""
        if self._sweep_call is not None and self._sweep_call.active():
            self._sweep_call.cancel()
        self._sweep_call = None
        now = self._reactor.seconds()
        for origin in self._origins.values():
            while origin.idle and origin.idle[0].idle_until <= now:
                origin.idle.pop(0).close()
        waiting = [origin.idle[0].idle_until for origin in self._origins.values() if origin.idle]
        if waiting:
            self._sweep_call = self._reactor.callLater(min(waiting) - now, self._sweep)


def _head(method: bytes, target: Target, fields: bytes, body: IBodyProducer | None) -> bytes:
    """The request line and the header section."""
    length = b"" if body is None else b"Content-Length: %d\r\n" % body.length
    # An answer that was compressed could be larger than any cap once it is read
    return b"%b%b%b%bAccept-Encoding: identity\r\n\r\n" % (method, target.lines, fields, length)
