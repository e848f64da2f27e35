"""Calls the vendors' APIs: one wide pool, a deadline over each exchange, a capped answer, no redirects, no cookies.

The only importer of treq. Says of a failed exchange whether the vendor may have the request; keys stay in the headers
of the request and get into no text that comes out of here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from hyperlink import EncodedURL
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from treq.client import HTTPClient as TreqClient
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed

from gateway import __version__
from gateway.deadlines import Deadlines
from gateway.http_agent import KeepingAgent
from gateway.http_answer import BadAnswerError
from gateway.http_body import BodyProducer, CappedBody, RequestBody
from gateway.http_endpoints import VerifiedEndpoints
from gateway.http_tls import VerifiedHttps
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer

# RFC 9110 §10.1.5: so that a vendor's support can tell whose requests these are
USER_AGENT = f"User-Agent: mailgateway/{__version__}\r\n".encode("ascii")
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.1, §5.6.2
ANSWER_OCTETS = 1024 * 1024  # the answers the contracts show have a few hundred octets
IDLE_CONNECTIONS = 100  # one for each session that may be relaying at once; a new one costs a TLS handshake
IDLE_SECONDS = 25  # below the 30 to 60 s after which load balancers close: a POST on a closed one has no known outcome

# Their texts are the system's, Twisted's, OpenSSL's or our own, never the server's
ERRORS_OF_OUR_OWN_SIDE = (
    OSError, ConnectError, ConnectionClosed, SSL.Error, VerificationError, CertificateError, BadAnswerError,
)  # fmt: skip


class ReadyClient(TreqClient):
    """treq's client, with a way past what its request() wraps around each request: no cookies, for tenants share it;
    no redirects, for the operator names where mail goes; no decoding, for the cap is on what is received. They would
    cost a twentieth of a small message."""

    _agent: KeepingAgent

    def __init__(self, agent: KeepingAgent) -> None:
        super().__init__(agent)

    def send(self, request: ApiRequest, body: BodyProducer | None) -> Deferred[Any]:
        """Make one request as it stands; fires with the agent's response."""
        fields = b"".join([field_line(name, value) for name, value in request.headers.items()])
        return self._agent.send(request.method.encode("ascii"), ready_url(request.url), USER_AGENT + fields, body)


def field_line(name: str, value: str) -> bytes:
    """One header field line; line ends in the value, which a key may come with, are spaces, as in Twisted's Headers."""
    if "\r" in value or "\n" in value:  # asked of octets, Python would first try whether they are a number
        value = b" ".join(value.encode("utf-8").splitlines()).decode("utf-8")
    return f"{_field_name(name)}: {value}\r\n".encode()


@lru_cache(maxsize=64)
def _field_name(name: str) -> str:
    """The name, which has to be one; vendors' files have a dozen of them."""
    if not TOKEN.fullmatch(name):
        raise ValueError("no name of a header field")
    return name


@lru_cache(maxsize=256)
def ready_url(text: str) -> bytes:
    """A vendor's URL as the agent takes it; there are a few for each entry of the settings."""
    url = EncodedURL.from_text(text)
    if ":" not in url.host:  # an IPv6 address is no name to encode
        url = url.to_uri()
    return url.to_text().encode("ascii")


class HttpClient:
    """Makes the requests of all vendors. Each exchange ends in an ApiAnswer or a NoAnswer, never in an exception."""

    def __init__(self, reactor: Any, *, connect_seconds: float, ca_file: Path | None = None) -> None:
        self._deadlines = Deadlines(reactor)
        endpoints = VerifiedEndpoints(reactor, VerifiedHttps(reactor.seconds, ca_file), connect_seconds)
        self._agent = KeepingAgent(reactor, endpoints, idle_connections=IDLE_CONNECTIONS, idle_seconds=IDLE_SECONDS)
        self._client = ReadyClient(self._agent)

    async def exchange(
        self, request: ApiRequest, body: RequestBody | None, deadline_seconds: float
    ) -> ApiAnswer | NoAnswer:
        """Make one request and read its answer, within the deadline."""
        attempt = _Attempt(self._client, request, body)
        deadline = self._deadlines.begin(deadline_seconds, attempt.cancel)
        try:
            attempt.response = await attempt.begin()
            if not attempt.may_have_arrived:
                attempt.stop()  # who has answered already needs no more of it, and cannot have taken it
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

    def __init__(self, client: ReadyClient, request: ApiRequest, body: RequestBody | None) -> None:
        self.response: Any = None
        self._client = client
        self._request = request
        self._producer = BodyProducer(body) if body is not None else None
        self._octets = b""
        self._waiting: Deferred[Any] | None = None

    def begin(self) -> Deferred[Any]:
        """Send the request, as far as an answer lets it; fires with the response."""
        self._waiting = self._client.send(self._request, self._producer)
        return self._waiting

    async def read(self) -> None:
        """Read the body of the answer, most of which have come in one piece by now."""
        whole = self.response.take_whole()
        if whole is not None:
            self._octets = whole[:ANSWER_OCTETS]
            return
        body = CappedBody(ANSWER_OCTETS)
        self._waiting = body.done
        self.response.deliverBody(body)
        try:
            await body.done
        finally:
            self._octets = body.octets

    def cancel(self) -> None:
        """The time is over."""
        if self._waiting is not None:
            self._waiting.cancel()

    def stop(self) -> None:
        """Read no more of the body: whoever made it may close its source now."""
        if self._producer is not None:
            self._producer.stopProducing()

    def answer(self) -> ApiAnswer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.response.fields}
        return ApiAnswer(self.response.code, headers, self._octets)

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
