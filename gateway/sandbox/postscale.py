"""A strict local stand-in of the Postscale send API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is postscale_request.py's, the
ways to make it fail are postscale_magic.py's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from klein import Klein
from klein.resource import KleinResource
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from zope.interface import implementer

from gateway.sandbox import postscale_request
from gateway.sandbox.addresses import address_of, domain_of
from gateway.sandbox.answer import Answer, give, json_answer, refusal
from gateway.sandbox.inbox import Inbox, plain_headers
from gateway.sandbox.letter import Arrival, Letter, Summary
from gateway.sandbox.postscale_lists import domains, emails, paging
from gateway.sandbox.postscale_magic import (
    TABLE,
    UNVERIFIED_DOMAIN,
    MagicKey,
    answer_for_recipients,
    by_name,
    is_unverified,
    key_named,
)
from gateway.sandbox.postscale_reading import CONTRACT
from gateway.sandbox.reading import Reading, read_body
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.threads import beside, uncancelled
from gateway.sandbox.web_request import WebRequest

VENDOR = "postscale"

_JSON = re.compile(r'application/json( *; *charset="?utf-8"?)?', re.IGNORECASE)
_log = Logger()


@implementer(IResource)
class _Identified:
    """Gives every answer of the API an X-Request-ID, and keeps it out of caches."""

    isLeaf = True  # Twisted's name

    def __init__(self, inner: KleinResource) -> None:
        self._inner = inner

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:  # Twisted's name
        """A leaf has no children."""
        raise LookupError(name)

    def putChild(self, path: bytes, child: IResource) -> None:  # Twisted's name
        """A leaf takes no children."""
        raise TypeError("the API's routes are fixed")

    def render(self, request: IRequest) -> object:
        """Name the request, then let the API answer."""
        web = cast("WebRequest", request)
        web.setHeader("X-Request-ID", f"req_{secrets.token_hex(12)}")
        web.setHeader("Cache-Control", "no-store")
        return self._inner.render(request)


class PostscaleSandbox:
    """The API below its base URL.

    reactor: counts its delays, and has the threads in which large requests are read. The wall clock is the inbox's.
    """

    app = Klein()
    magic = TABLE

    def __init__(self, inbox: Inbox, reactor: Any) -> None:
        self._inbox = inbox
        self._reactor = reactor

    def resource(self) -> IResource:
        """What to mount at the base URL, for example at /sandbox/postscale/v1."""
        return _Identified(self.app.resource())

    @app.route("/send", methods=["POST"])
    async def send(self, request: WebRequest) -> None:
        """POST /send: keep the request in the inbox and answer it. A client that leaves has sent it nevertheless."""
        answer = await uncancelled(ensureDeferred(self._receive(request)))
        await give(request, answer, self._reactor)

    @app.route("/domains", methods=["GET"])
    async def list_domains(self, request: WebRequest) -> None:
        """GET /domains: a verified domain and the one that is not; the list has no total."""
        await give(request, self._answer_list(request, domains), self._reactor)

    @app.route("/emails", methods=["GET"])
    async def list_emails(self, request: WebRequest) -> None:
        """GET /emails: the accepted messages, newest first, with their total."""
        accepted = self._inbox.entries(include_refused=False)
        await give(request, self._answer_list(request, partial(emails, accepted)), self._reactor)

    @app.handle_errors(HTTPException)
    async def not_routed(self, request: IRequest, failure: Failure) -> None:
        """404 for an unknown path, 405 for a wrong method."""
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            await give(web, refusal(405, "method not allowed"), self._reactor)
            return
        await give(web, refusal(404, "no such resource"), self._reactor)

    @app.handle_errors(Exception)
    async def failed(self, request: IRequest, failure: Failure) -> None:
        """The sandbox's own fault, for example a full disk."""
        _log.failure("the Postscale sandbox failed", failure)
        await give(cast("WebRequest", request), refusal(500, "the sandbox failed; its log says why"), self._reactor)

    async def _receive(self, request: WebRequest) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        # Taken at once: Twisted closes request.content when the client leaves.
        body = RequestBody(request.content)
        read = partial(read_body, body, CONTRACT, self._inbox.copy)
        # A small body is read sooner than a thread begins.
        reading = read() if body.in_memory else await beside(self._reactor, read)
        answer, arrival = self._judge(request, reading)
        self._inbox.keep(arrival, reading.copy)
        return answer

    def _judge(self, request: WebRequest, reading: Reading) -> tuple[Answer, Arrival]:
        """What to answer to a send request, and what to write down about it."""
        letter = reading.letter
        skipped: tuple[str, ...] = ()
        vendor_message_id = ""
        key, answer = self._check_key(request)
        answer = answer or _check_head(request) or reading.refusal
        if answer is None and letter is not None:
            vendor_message_id, answer, skipped = self._answer_letter(letter)
        answer = self._paced(key, answer or refusal(400, "the request cannot be read"))
        arrival = Arrival(
            vendor=VENDOR,
            method="POST",
            path=request.path.decode("utf-8", "replace"),
            headers=plain_headers(list(request.requestHeaders.getAllRawHeaders())),
            status=answer.status_given,
            read=postscale_request.read,
            error=answer.error,
            vendor_message_id=vendor_message_id if answer.status == 202 else "",
            skipped=skipped,
            summary=Summary.of(letter) if letter else Summary(),
            well_formed=reading.well_formed,
            long_strings=reading.long_strings,
        )
        return answer, arrival

    def _check_key(self, request: WebRequest) -> tuple[MagicKey | None, Answer | None]:
        """The row of the magic table for the request's key, and the answer when the key alone decides it."""
        scheme, _, text = (request.getHeader("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            return None, refusal(401, "missing API key")
        key = key_named(text.strip())
        if key is None:
            return None, refusal(401, "invalid API key")
        name = key.on_read if request.method == b"GET" else key.on_send
        return key, None if name in ("", "slow") else by_name(name, json_answer(200, {}), self._inbox.seconds())

    def _paced(self, key: MagicKey | None, answer: Answer) -> Answer:
        """The answer as late as the key has it; on_read and on_send agree on being slow."""
        slow = key is not None and key.on_read == "slow"
        return by_name("slow", answer, self._inbox.seconds()) if slow else answer

    def _answer_list(self, request: WebRequest, make: Callable[[int, int], dict[str, object]]) -> Answer:
        """The answer to a list request: make gets limit and offset."""
        key, answer = self._check_key(request)
        if answer is None:
            try:
                answer = json_answer(200, make(*paging(request.args)))
            except ValueError as error:
                answer = refusal(400, str(error))
        return self._paced(key, answer)

    def _answer_letter(self, letter: Letter) -> tuple[str, Answer, tuple[str, ...]]:
        """The id for a letter that the contract allows, the answer to it, and the recipients that are skipped."""
        domain = domain_of(address_of(letter.sender))
        if is_unverified(domain):
            return "", refusal(403, f"domain {UNVERIFIED_DOMAIN} is not verified"), ()
        vendor_message_id = f"{secrets.token_hex(16)}@{domain}"
        document = {"message_id": vendor_message_id, "status": "simulated", "environment": "test"}
        addresses = map(address_of, letter.recipients)
        answer, skipped = answer_for_recipients(addresses, json_answer(202, document), self._inbox.seconds())
        return vendor_message_id, answer, skipped


def _check_head(request: WebRequest) -> Answer | None:
    if _JSON.fullmatch((request.getHeader("Content-Type") or "").strip()):
        return None
    return refusal(400, "the Content-Type header must be application/json")
