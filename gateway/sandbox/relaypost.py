"""A strict local stand-in of the RelayPost API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is relaypost_request.py's, that of
the answers relaypost_answer.py's, the ways to make it fail are relaypost_magic.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from uuid import uuid4

from klein import Klein
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.sandbox import relaypost_request
from gateway.sandbox.addresses import address_of, domain_of
from gateway.sandbox.answer import Answer, give
from gateway.sandbox.inbox import Entry, Inbox, plain_headers
from gateway.sandbox.letter import Arrival, Letter, Summary
from gateway.sandbox.reading import Reading, read_body
from gateway.sandbox.relaypost_answer import ContractError, api_error, invalid, success
from gateway.sandbox.relaypost_lists import Arguments, domains, email, emails, suppressions, timestamp
from gateway.sandbox.relaypost_magic import TABLE, MagicKey, answer_for_recipients, by_name, is_unverified, key_named
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.threads import beside, uncancelled
from gateway.sandbox.web_request import WebRequest

VENDOR = "relaypost"

_log = Logger()


class RelayPostSandbox:
    """The API below its base URL.

    reactor: counts its delays, and has the threads in which large requests are read. The wall clock is the inbox's.
    """

    app = Klein()
    magic = TABLE

    def __init__(self, inbox: Inbox, reactor: Any) -> None:
        self._inbox = inbox
        self._reactor = reactor

    def resource(self) -> IResource:
        """What to mount at the base URL, for example at /sandbox/relaypost/v1."""
        resource: IResource = self.app.resource()
        return resource

    @app.route("/emails/send", methods=["POST"])
    async def send(self, request: WebRequest) -> None:
        """POST /emails/send: keep the request in the inbox and answer it. A client that leaves has sent it too."""
        answer = await uncancelled(ensureDeferred(self._receive(request)))
        await give(request, answer, self._reactor)

    @app.route("/emails", methods=["GET"])
    async def list_emails(self, request: WebRequest) -> None:
        """GET /emails: the accepted messages, newest first."""
        await self._give_list(request, partial(emails, self._accepted()))

    @app.route("/emails/<message_id>", methods=["GET"])
    async def show_email(self, request: WebRequest, message_id: str) -> None:
        """GET /emails/:id: one accepted message, by either of its ids, and its events."""
        await self._give_list(request, lambda arguments: email(self._accepted(), message_id))

    @app.route("/domains", methods=["GET"])
    async def list_domains(self, request: WebRequest) -> None:
        """GET /domains: a verified domain and the one that is not."""
        await self._give_list(request, domains)

    @app.route("/suppressions", methods=["GET"])
    async def list_suppressions(self, request: WebRequest) -> None:
        """GET /suppressions: the magic addresses that are suppressed."""
        await self._give_list(request, suppressions)

    @app.handle_errors(HTTPException)
    async def not_routed(self, request: IRequest, failure: Failure) -> None:
        """NOT_FOUND for an unknown path, METHOD_NOT_ALLOWED for a wrong method."""
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            await give(web, api_error("METHOD_NOT_ALLOWED"), self._reactor)
            return
        await give(web, api_error("NOT_FOUND"), self._reactor)

    @app.handle_errors(Exception)
    async def failed(self, request: IRequest, failure: Failure) -> None:
        """The sandbox's own fault, for example a full disk."""
        _log.failure("the RelayPost sandbox failed", failure)
        answer = api_error("INTERNAL_ERROR", "The sandbox failed; its log says why")
        await give(cast("WebRequest", request), answer, self._reactor)

    async def _receive(self, request: WebRequest) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        # Taken at once: Twisted closes request.content when the client leaves.
        body = RequestBody(request.content)
        read = partial(read_body, body, relaypost_request.CONTRACT, self._inbox.copy)
        # A small body is read sooner than a thread begins.
        reading = read() if body.in_memory else await beside(self._reactor, read)
        answer, arrival = self._judge(request, reading)
        self._inbox.keep(arrival, reading.copy)
        return answer

    def _judge(self, request: WebRequest, reading: Reading) -> tuple[Answer, Arrival]:
        """What to answer to a send request, and what to write down about it."""
        letter, message_id = reading.letter, str(uuid4())
        key, answer = _check_key(request)
        answer = answer or _check_head(request) or reading.refusal
        if answer is None and letter is not None:
            answer = self._answer_letter(letter, message_id)
        answer = _paced(key, answer or invalid(ContractError("", "The request cannot be read")))
        arrival = Arrival(
            vendor=VENDOR,
            method="POST",
            path=request.path.decode("utf-8", "replace"),
            headers=plain_headers(list(request.requestHeaders.getAllRawHeaders())),
            status=answer.status_given,
            read=relaypost_request.read,
            error=answer.error,
            vendor_message_id=message_id if answer.status == 201 else "",
            summary=Summary.of(letter) if letter else Summary(),
            well_formed=reading.well_formed,
            long_strings=reading.long_strings,
        )
        return answer, arrival

    def _answer_letter(self, letter: Letter, message_id: str) -> Answer:
        """The answer to a letter that the contract allows."""
        if is_unverified(domain_of(address_of(letter.sender))):
            return api_error("DOMAIN_NOT_VERIFIED")
        queued_at = timestamp(self._inbox.seconds())
        usual = success(201, {"message_id": message_id, "status": "queued", "queued_at": queued_at})
        return answer_for_recipients(map(address_of, letter.recipients), usual)

    def _accepted(self) -> list[Entry]:
        return self._inbox.entries(include_refused=False)

    async def _give_list(self, request: WebRequest, make: Callable[[Arguments], Answer]) -> None:
        """Answer a GET request: make gets the query."""
        key, answer = _check_key(request)
        if answer is None:
            try:
                answer = make(request.args)
            except ContractError as error:
                answer = invalid(error)
            except LookupError:
                answer = api_error("NOT_FOUND")
        await give(request, _paced(key, answer), self._reactor)


def _check_key(request: WebRequest) -> tuple[MagicKey | None, Answer | None]:
    """The row of the magic table for the request's key, and the answer when the key alone decides it."""
    authorization = request.getHeader("Authorization")
    if authorization is None:
        return None, api_error("AUTH_MISSING")
    scheme, _, text = authorization.partition(" ")
    key = key_named(text.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        return None, api_error("AUTH_INVALID")
    name = key.on_read if request.method == b"GET" else key.on_send
    return key, None if name in ("", "slow") else by_name(name, success(200, {}))


def _paced(key: MagicKey | None, answer: Answer) -> Answer:
    """The answer as late as the key has it; on_read and on_send agree on being slow."""
    return by_name("slow", answer) if key is not None and key.on_read == "slow" else answer


def _check_head(request: WebRequest) -> Answer | None:
    content_type = (request.getHeader("Content-Type") or "").lower().replace(" ", "").replace('"', "")
    if content_type in ("application/json", "application/json;charset=utf-8"):
        return None
    return invalid(ContractError("Content-Type", "Must be application/json"))
