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
from twisted.web.http_headers import Headers

from gateway import __version__
from gateway.http_agent import KeepingAgent
from gateway.http_answer import BadAnswerError
from gateway.http_body import BodyProducer, CappedBody, RequestBody
from gateway.http_deadlines import Deadlines
from gateway.http_endpoints import VerifiedEndpoints
from gateway.http_tls import VerifiedHttps
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer

USER_AGENT = (
    f"mailgateway/{__version__}"  # RFC 9110 §10.1.5: so that a vendor's support can tell whose requests these are
)
ANSWER_OCTETS = 1024 * 1024  # the answers the contracts show have a few hundred octets
IDLE_CONNECTIONS = 100  # one for each session that may be relaying at once; a new one costs a TLS handshake
IDLE_SECONDS = 25  # below the 30 to 60 s after which load balancers close: a POST on a closed one has no known outcome

# Their texts are the system's, Twisted's, OpenSSL's or our own, never the server's
ERRORS_OF_OUR_OWN_SIDE = (
    OSError, ConnectError, ConnectionClosed, SSL.Error, VerificationError, CertificateError, BadAnswerError,
)  # fmt: skip


class _NoCookies(IndexableCookieJar):
    """A jar that neither takes nor gives: tenants share the client, and looking for cookies costs time."""

    def add_cookie_header(self, request: Any) -> None:
        """Add none."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep none."""


NO_COOKIES = _NoCookies()


class _ReadyUrl(EncodedURL):
    """A URL that treq need not encode and put together anew for each request, as it stands in its text."""

    __slots__ = ("_text",)
    _text: str

    def to_uri(self) -> _ReadyUrl:
        """Itself: its host was encoded when it was made."""
        return self

    def to_text(self, with_password: bool = False) -> str:
        """The whole URL; a vendor's has no password in it."""
        return self._text

    @classmethod
    def made_of(cls, url: EncodedURL) -> _ReadyUrl:
        """The same URL, ready."""
        ready = cls(url.scheme, url.host, url.path, url.query, url.fragment, url.port, url.rooted)
        ready._text = url.to_text()
        return ready


@lru_cache(maxsize=256)
def ready_url(text: str) -> EncodedURL:
    """A vendor's URL in the form that costs treq least; there are a few for each entry of the settings."""
    url = EncodedURL.from_text(text)
    if ":" not in url.host:  # an IPv6 address is no name to encode
        url = url.to_uri()
    return _ReadyUrl.made_of(url)


class HttpClient:
    """Makes the requests of all vendors. Each exchange ends in an ApiAnswer or a NoAnswer, never in an exception."""

    def __init__(self, reactor: Any, *, connect_seconds: float, ca_file: Path | None = None) -> None:
        self._reactor = reactor
        self._deadlines = Deadlines(reactor)
        endpoints = VerifiedEndpoints(reactor, VerifiedHttps(reactor.seconds, ca_file), connect_seconds)
        self._agent = KeepingAgent(reactor, endpoints, idle_connections=IDLE_CONNECTIONS, idle_seconds=IDLE_SECONDS)
        self._treq = TreqClient(self._agent, NO_COOKIES)

    async def exchange(
        self, request: ApiRequest, body: RequestBody | None, deadline_seconds: float
    ) -> ApiAnswer | NoAnswer:
        """Make one request and read its answer, within the deadline."""
        attempt = _Attempt(self._treq, self._reactor, request, body)
        deadline = self._deadlines.begin(deadline_seconds, attempt.cancel)
        try:
            await attempt.send()
            await attempt.read()
        except Exception as error:
            if attempt.response is None:
                return NoAnswer(attempt.may_have_arrived, _reason(error, timed_out=deadline.passed))
        finally:
            attempt.stop()
            deadline.end()
        if attempt.response.code < 300 and not attempt.may_have_arrived:
            # It cannot have taken a message that it has not seen the end of
            return NoAnswer(False, "answered before it had the request")
        return attempt.answer()

    async def close(self) -> None:
        """Close the connections that are kept open. What is on its way goes on."""
        await self._agent.close()


class _Attempt:
    """One request on its way, and how far it came."""

    def __init__(self, client: TreqClient, reactor: Any, request: ApiRequest, body: RequestBody | None) -> None:
        self.response: Any = None
        self._client = client
        self._request = request
        self._producer = BodyProducer(body) if body is not None else None
        self._reactor = reactor
        self._body = CappedBody(ANSWER_OCTETS)
        self._waiting: Deferred[Any] | None = None

    async def send(self) -> None:
        """Send the request, as far as an answer lets it; response is there afterwards."""
        headers = Headers({"User-Agent": [USER_AGENT]})
        for name, value in self._request.headers.items():
            headers.setRawHeaders(name, [value])
        self._waiting = self._client.request(
            self._request.method,
            ready_url(self._request.url),
            cookies=NO_COOKIES,
            headers=headers,
            data=self._producer,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        self.response = (await self._waiting).original  # treq's wrapper looks every attribute up anew

    async def read(self) -> None:
        """Read the body of the answer."""
        self._waiting = self._body.done
        self.response.deliverBody(self._body)
        if not self._body.done.called:  # most answers come in one piece
            await self._body.done

    def cancel(self) -> None:
        """The time is over."""
        if self._waiting is not None:
            self._waiting.cancel()

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


def _reason(error: Exception, *, timed_out: bool) -> str:
    if timed_out:
        return "no answer within the deadline"
    # Of any other error the text may hold what a server has said, and it may have repeated the key
    text = str(error) if isinstance(error, ERRORS_OF_OUR_OWN_SIDE) else ""
    return f"{type(error).__name__}: {text}".rstrip(": ")
