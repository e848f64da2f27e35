"""Calls the vendors' APIs: one wide pool, a deadline over each exchange, a capped answer, no redirects, no cookies.

The only importer of treq. Says of a failed exchange whether the vendor may have the request; keys stay in the headers
of the request and get into no text that comes out of here.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from hyperlink import EncodedURL
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from treq.client import HTTPClient as TreqClient
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from gateway import __version__
from gateway.http_body import BodyProducer, CappedBody, RequestBody
from gateway.http_connections import HttpConnectionFactory, VerifiedEndpoints
from gateway.http_tls import VerifiedHttps
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer

USER_AGENT = (
    f"mailgateway/{__version__}"  # RFC 9110 §10.1.5: so that a vendor's support can tell whose requests these are
)
ANSWER_OCTETS = 1024 * 1024  # the answers the contracts show have a few hundred octets
IDLE_CONNECTIONS = 100  # one for each session that may be relaying at once; a new one costs a TLS handshake
IDLE_SECONDS = 25  # below the 30 to 60 s after which load balancers close: a POST on a closed one has no known outcome

# Their texts are the system's, Twisted's or OpenSSL's, never the server's
ERRORS_OF_OUR_OWN_SIDE = (OSError, ConnectError, ConnectionClosed, SSL.Error, VerificationError, CertificateError)


class _NoCookies(IndexableCookieJar):
    """A jar that neither takes nor gives: tenants share the client, and looking for cookies costs time."""

    def add_cookie_header(self, request: Any) -> None:
        """Add none."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep none."""


NO_COOKIES = _NoCookies()


class _ReadyUrl(EncodedURL):
    """A URL whose host treq need not encode anew for each request, as it stands in its text."""

    def to_uri(self) -> _ReadyUrl:
        """Itself: its host was encoded when it was made."""
        return self


@lru_cache(maxsize=256)
def ready_url(text: str) -> EncodedURL:
    """A vendor's URL in the form that costs treq least; there are a few for each entry of the settings."""
    url = EncodedURL.from_text(text)
    if ":" not in url.host:  # an IPv6 address is no name to encode
        url = url.to_uri()
    return _ReadyUrl(url.scheme, url.host, url.path, url.query, url.fragment, url.port, url.rooted)


class HttpClient:
    """Makes the requests of all vendors. Each exchange ends in an ApiAnswer or a NoAnswer, never in an exception."""

    def __init__(self, reactor: Any, *, connect_seconds: float, ca_file: Path | None = None) -> None:
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = IDLE_CONNECTIONS
        self._pool.cachedConnectionTimeout = IDLE_SECONDS
        # Only requests without a body that change nothing are repeated, and only on a connection found closed
        self._pool.retryAutomatically = True
        self._pool._factory = HttpConnectionFactory
        endpoints = VerifiedEndpoints(reactor, VerifiedHttps(reactor.seconds, ca_file), connect_seconds)
        agent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)
        self._treq = TreqClient(_Uncompressed(agent), NO_COOKIES)

    async def exchange(
        self, request: ApiRequest, body: RequestBody | None, deadline_seconds: float
    ) -> ApiAnswer | NoAnswer:
        """Make one request and read its answer, within the deadline."""
        attempt = _Attempt(self._treq, self._reactor, request, body)
        done = Deferred.fromCoroutine(attempt.run())
        deadline = self._reactor.callLater(deadline_seconds, done.cancel)
        try:
            await done
        except Exception as error:
            if attempt.response is None:
                return NoAnswer(attempt.may_have_arrived, _reason(error, timed_out=deadline.called))
        finally:
            attempt.stop()
            if deadline.active():
                deadline.cancel()
        if attempt.response.code < 300 and not attempt.may_have_arrived:
            # It cannot have taken a message that it has not seen the end of
            return NoAnswer(False, "answered before it had the request")
        return attempt.answer()

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._pool.closeCachedConnections()


@implementer(IAgent)
class _Uncompressed:
    """An agent that asks for no compression and undoes none: the cap is for octets as they come."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        headers = Headers() if headers is None else headers
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(_as_it_comes)


def _as_it_comes(response: IResponse) -> IResponse:
    response.headers.removeHeader(b"Content-Encoding")
    return response


class _Attempt:
    """One request on its way, and how far it came."""

    def __init__(self, client: TreqClient, reactor: Any, request: ApiRequest, body: RequestBody | None) -> None:
        self.response: Any = None
        self._client = client
        self._request = request
        self._producer = BodyProducer(body, reactor) if body is not None else None
        self._reactor = reactor
        self._body = CappedBody(ANSWER_OCTETS)

    async def run(self) -> None:
        headers = Headers({"User-Agent": [USER_AGENT]})
        for name, value in self._request.headers.items():
            headers.setRawHeaders(name, [value])
        self.response = await self._client.request(
            self._request.method,
            ready_url(self._request.url),
            cookies=NO_COOKIES,
            headers=headers,
            data=self._producer,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        self.response.deliverBody(self._body)
        await self._body.done

    def stop(self) -> None:
        """Read no more of the body: whoever made it may close its source now."""
        if self._producer is not None:
            self._producer.stopProducing()

    def answer(self) -> ApiAnswer:
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in self.response.headers.getAllRawHeaders()
        }
        return ApiAnswer(self.response.code, headers, self._body.octets)

    @property
    def may_have_arrived(self) -> bool:
        """Whether the vendor may have the whole request."""
        return self._producer is None or self._producer.wholly_written


def _causes(error: BaseException) -> list[BaseException]:
    """The error and those that Twisted's client wraps in it."""
    reasons = getattr(error, "reasons", None) or []
    return [error, *(cause for reason in reasons for cause in _causes(reason.value))]


def _reason(error: Exception, *, timed_out: bool) -> str:
    if timed_out:
        return "no answer within the deadline"
    cause = _causes(error)[-1]
    # What cannot be parsed is quoted by some errors, and a server may have repeated the key in it
    text = str(cause) if isinstance(cause, ERRORS_OF_OUR_OWN_SIDE) else ""
    return f"{type(cause).__name__}: {text}".rstrip(": ")
