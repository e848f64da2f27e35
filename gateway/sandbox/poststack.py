"""A strict local stand-in of the PostStack send API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is poststack_request.py's, the
ways to make it fail are poststack_magic.py's.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import Any, cast

from klein import Klein
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.sandbox.addresses import address_of, domain_of
from gateway.sandbox.answer import Answer, give, json_answer
from gateway.sandbox.inbox import Entry, Inbox, plain_headers
from gateway.sandbox.letter import Arrival, Summary
from gateway.sandbox.poststack_lists import email, emails, paging
from gateway.sandbox.poststack_magic import (
    TABLE,
    TEMPLATES,
    MagicKey,
    answer_for_recipients,
    by_name,
    is_unverified,
    key_named,
    refusal,
)
from gateway.sandbox.poststack_reading import PostStackReading, read_post_stack_body
from gateway.sandbox.poststack_request import PostStackRequest, read
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.threads import beside, uncancelled
from gateway.sandbox.web_request import WebRequest

VENDOR = "poststack"

# More sends than anyone makes against a stand-in; the vendor keeps keys for weeks.
_MAXIMUM_KEYS = 10_000
_JSON = re.compile(r'application/json( *; *charset="?utf-8"?)?', re.IGNORECASE)
_log = Logger()


class SentKeys:
    """The idempotency keys of the messages that were taken: the id of each, and which octets it was."""

    def __init__(self) -> None:
        self._sent: OrderedDict[str, tuple[bytes, str]] = OrderedDict()

    def add(self, key: str, digest: bytes, message_id: str) -> None:
        """Remember a message; the oldest ones make room."""
        self._sent[key] = digest, message_id
        if len(self._sent) > _MAXIMUM_KEYS:
            self._sent.popitem(last=False)

    def find(self, key: str, digest: bytes) -> str | None:
        """The id of the message that had this key, None when there was none; ValueError when it was another one."""
        known, message_id = self._sent.get(key, (digest, None))
        if known != digest:
            raise ValueError("the idempotency key was used with a different payload")
        return message_id


class PostStackSandbox:
    """The API below its base URL.

    reactor: counts its delays, and has the threads in which large requests are read. The wall clock is the inbox's.
    """

    app = Klein()
    magic = TABLE

    def __init__(self, inbox: Inbox, reactor: Any) -> None:
        self._inbox = inbox
        self._reactor = reactor
        self._sent_keys = SentKeys()

    def resource(self) -> IResource:
        """What to mount at the base URL, for example at /sandbox/poststack/v1."""
        resource: IResource = self.app.resource()
        return resource

    @app.route("/emails", methods=["POST"])
    @app.route("/emails/send", methods=["POST"])
    async def send(self, request: WebRequest) -> None:
        """POST /emails: keep the request in the inbox and answer it. A client that leaves has sent it nevertheless."""
        await self._give(request, await uncancelled(ensureDeferred(self._receive(request))))

    @app.route("/emails", methods=["GET"])
    async def list_emails(self, request: WebRequest) -> None:
        """GET /emails: the accepted messages, newest first."""
        key, answer = self._check_key(request)
        if answer is None:
            try:
                answer = json_answer(200, emails(self._sent(), *paging(request.args)))
            except ValueError as error:
                answer = refusal(400, str(error))
        await self._give(request, self._paced(key, answer))

    @app.route("/emails/<public_id>", methods=["GET"])
    async def get_email(self, request: WebRequest, public_id: str) -> None:
        """GET /emails/{em_…}: one accepted message, as `{email}`."""
        key, answer = self._check_key(request)
        if answer is None:
            sent = self._sent()
            found = (n for n, one in enumerate(sent) if one.arrival.vendor_message_id == public_id)
            number = next(found, None)
            answer = json_answer(200, {"email": email(sent, number)}) if number is not None else None
        await self._give(request, self._paced(key, answer or refusal(404, "Email not found")))

    @app.handle_errors(HTTPException)
    async def not_routed(self, request: IRequest, failure: Failure) -> None:
        """404 for an unknown path, 405 for a wrong method."""
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            await self._give(web, refusal(405, "method not allowed"))
            return
        await self._give(web, refusal(404, "no such resource"))

    @app.handle_errors(Exception)
    async def failed(self, request: IRequest, failure: Failure) -> None:
        """The sandbox's own fault, for example a full disk."""
        _log.failure("the PostStack sandbox failed", failure)
        await self._give(cast("WebRequest", request), refusal(500, "the sandbox failed; its log says why"))

    async def _give(self, request: WebRequest, answer: Answer) -> None:
        request.setHeader("X-Request-Id", f"req_{secrets.token_hex(12)}")
        request.setHeader("Cache-Control", "no-store")
        await give(request, answer, self._reactor)

    def _sent(self) -> list[Entry]:
        """The messages that were taken, newest first; a replay is none."""
        return [one for one in self._inbox.entries(include_refused=False) if not one.arrival.error]

    async def _receive(self, request: WebRequest) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        # Taken at once: Twisted closes request.content when the client leaves.
        body = RequestBody(request.content)
        call = partial(read_post_stack_body, body, self._inbox.copy)
        # A small body is read sooner than a thread begins.
        reading = call() if body.in_memory else await beside(self._reactor, call)
        answer, arrival = self._judge(request, reading)
        self._inbox.keep(arrival, reading.body.copy)
        return answer

    def _judge(self, request: WebRequest, reading: PostStackReading) -> tuple[Answer, Arrival]:
        """What to answer to a send request, and what to write down about it."""
        letter = reading.body.letter
        skipped: tuple[str, ...] = ()
        vendor_message_id = ""
        key, answer = self._check_key(request)
        answer = answer or _check_head(request) or reading.body.refusal
        if answer is None and reading.request is not None and key is not None:
            vendor_message_id, answer, skipped = self._answer_letter(request, reading, reading.request, key)
        answer = self._paced(key, answer or refusal(400, "the request cannot be read"))
        arrival = Arrival(
            vendor=VENDOR,
            method="POST",
            path=request.path.decode("utf-8", "replace"),
            headers=plain_headers(list(request.requestHeaders.getAllRawHeaders())),
            status=answer.status_given,
            read=read,
            error=answer.error,
            vendor_message_id=vendor_message_id if answer.status == 202 else "",
            skipped=skipped,
            summary=Summary.of(letter) if letter else Summary(),
            well_formed=reading.body.well_formed,
            long_strings=reading.body.long_strings,
        )
        return answer, arrival

    def _check_key(self, request: WebRequest) -> tuple[MagicKey | None, Answer | None]:
        """The row of the magic table for the request's key, and the answer when the key alone decides it."""
        scheme, _, text = (request.getHeader("Authorization") or "").partition(" ")
        key = key_named(text.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            return None, refusal(401, "Invalid API key")
        name = key.on_read if request.method == b"GET" else key.on_send
        return key, None if name in ("", "slow") else by_name(name, json_answer(200, {}), self._inbox.seconds())

    def _paced(self, key: MagicKey | None, answer: Answer) -> Answer:
        """The answer as late as the key has it; on_read and on_send agree on being slow."""
        slow = key is not None and key.on_read == "slow"
        return by_name("slow", answer, self._inbox.seconds()) if slow else answer

    def _answer_letter(
        self, request: WebRequest, reading: PostStackReading, sent: PostStackRequest, key: MagicKey
    ) -> tuple[str, Answer, tuple[str, ...]]:
        """The id for a letter that the contract allows, the answer to it, and the recipients that get nothing."""
        letter = sent.letter
        refused = _check_references(sent)
        if refused is not None:
            return "", refused, ()
        # Which of the two wins is not documented; the vendor's client sends a random header with each body's own key
        idempotency_key = sent.idempotency_key or request.getHeader("Idempotency-Key") or ""
        try:
            replayed = self._sent_keys.find(idempotency_key, reading.digest) if idempotency_key else None
        except ValueError as error:
            return "", refusal(422, str(error)), ()
        addresses = tuple(map(address_of, letter.recipients))
        if replayed is not None:
            answer = json_answer(202, _success(replayed, key) | {"replayed": True})
            return replayed, replace(answer, error="replayed: nothing was sent"), addresses
        vendor_message_id = f"em_{secrets.token_hex(12)}"
        usual = json_answer(202, _success(vendor_message_id, key))
        answer, skipped = answer_for_recipients(addresses, usual, self._inbox.seconds())
        if idempotency_key and answer.status == 202:
            self._sent_keys.add(idempotency_key, reading.digest, vendor_message_id)
        return vendor_message_id, answer, skipped


def _success(message_id: str, key: MagicKey) -> dict[str, object]:
    test_mode: dict[str, object] = {"test_mode": True} if key.prefix.startswith("sk_test_") else {}
    return {"id": message_id, **test_mode}


def _check_references(sent: PostStackRequest) -> Answer | None:
    """What a request names and the vendor has not: a verified From domain, a template."""
    if is_unverified(domain_of(address_of(sent.letter.sender))):
        return refusal(422, "Domain not verified")
    template = sent.letter.template
    if template and not template.startswith("tpl_"):
        return TEMPLATES["tpl_missing"]
    return TEMPLATES.get(template)


def _check_head(request: WebRequest) -> Answer | None:
    if _JSON.fullmatch((request.getHeader("Content-Type") or "").strip()):
        return None
    return refusal(400, "the Content-Type header must be application/json")
