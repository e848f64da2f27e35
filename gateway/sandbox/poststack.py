"""A strict local stand-in of the PostStack send API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is poststack_request.py's, the
ways to make it fail are poststack_magic.py's.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import replace
from itertools import count
from typing import Any

from gateway.sandbox.addresses import address_of, domain_of
from gateway.sandbox.answer import Answer, json_answer
from gateway.sandbox.batch import BatchContract, BatchItem, BatchStandIn, Copy
from gateway.sandbox.inbox import Entry, Inbox
from gateway.sandbox.magic import MagicKey, is_unverified
from gateway.sandbox.poststack_lists import email, emails, paging
from gateway.sandbox.poststack_magic import TABLE, TEMPLATES, refusal
from gateway.sandbox.poststack_reading import MAXIMUM_REQUEST_OCTETS, PostStackReading, read_post_stack_body
from gateway.sandbox.poststack_request import PostStackRequest, batch_emails, read
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.stand_in import Verdict, bearer_key, is_json, new_app
from gateway.sandbox.web_request import WebRequest

# More sends than anyone makes against a stand-in; the vendor keeps keys for weeks.
_MAXIMUM_KEYS = 10_000
_BATCH_EMAILS = 100


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


class PostStackSandbox(BatchStandIn):
    """The API below its base URL, for example /sandbox/poststack/v1."""

    app = new_app()
    magic = TABLE
    title = "PostStack"
    accepted_status = 202
    no_such_resource = refusal(404, "no such resource")
    method_not_allowed = refusal(405, "method not allowed")
    failure = refusal(500, "the sandbox failed; its log says why")
    request_id_header = "X-Request-Id"

    def __init__(self, inbox: Inbox, reactor: Any) -> None:
        super().__init__(inbox, reactor)
        self._sent_keys = SentKeys()

    @app.route("/emails", methods=["POST"])
    @app.route("/emails/send", methods=["POST"])
    async def send(self, request: WebRequest) -> None:
        """POST /emails: keep the request in the inbox and answer it. A client that leaves has sent it nevertheless."""
        await self.give_received(request, self._receive(request))

    @app.route("/emails/batch", methods=["POST"])
    async def batch(self, request: WebRequest) -> None:
        """POST /emails/batch: several messages, each answered and kept by itself."""
        await self.give_received(request, self.receive_batch(request, self._batch_contract(request)))

    @app.route("/emails", methods=["GET"])
    async def list_emails(self, request: WebRequest) -> None:
        """GET /emails: the accepted messages, newest first."""

        def answer(key: MagicKey) -> Answer:
            try:
                return json_answer(200, emails(self._sent(), *paging(request.args)))
            except ValueError as error:
                return refusal(400, str(error))

        await self.show(request, answer)

    @app.route("/emails/<public_id>", methods=["GET"])
    async def get_email(self, request: WebRequest, public_id: str) -> None:
        """GET /emails/{em_…}: one accepted message, as `{email}`."""

        def answer(key: MagicKey) -> Answer:
            sent = self._sent()
            found = (n for n, one in enumerate(sent) if one.arrival.vendor_message_id == public_id)
            number = next(found, None)
            if number is None:
                return refusal(404, "Email not found")
            return json_answer(200, {"email": email(sent, number)})

        await self.show(request, answer)

    def find_key(self, request: WebRequest) -> MagicKey | Answer:
        """401 for a missing key as for an unknown one."""
        return TABLE.key_named(bearer_key(request)) or refusal(401, "Invalid API key")

    def check_head(self, request: WebRequest) -> Answer | None:
        """It must be JSON."""
        return None if is_json(request) else refusal(400, "the Content-Type header must be application/json")

    def _sent(self) -> list[Entry]:
        """The messages that were taken, newest first; a replay is none."""
        return [one for one in self._inbox.entries(include_refused=False) if not one.arrival.error]

    async def _receive(self, request: WebRequest) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        reading = await self.read(request, lambda body: read_post_stack_body(body, self._inbox.copy))
        given = request.getHeader("Idempotency-Key") or ""
        return self.answer_and_keep(request, reading.body, read, lambda key, letter: self._judge(given, reading, key))

    def _batch_contract(self, request: WebRequest) -> BatchContract:
        given = request.getHeader("Idempotency-Key") or ""
        numbers = count()

        def read_item(body: RequestBody, copy: Copy) -> BatchItem:
            reading = read_post_stack_body(body, copy)
            # What one key in the header means for several messages is not documented: that of each, with its place
            header_key = f"{given}/{next(numbers)}" if given else ""
            return BatchItem(reading.body, lambda key, letter: self._judge(header_key, reading, key))

        return BatchContract(
            maximum_octets=MAXIMUM_REQUEST_OCTETS,
            maximum_items=_BATCH_EMAILS,
            items=batch_emails,
            read_item=read_item,
            # Not documented: a wrong shape refuses the whole batch, a wrong value its own message
            refuses_all=lambda answer: answer.status == 400,
            wrap=lambda array: {"data": array},
            read=read,
            not_json=lambda error: refusal(400, error),
            no_batch=lambda error: refusal(400, error),
            too_many=lambda _: refusal(422, "Batch size exceeds limit"),
            too_large=lambda: refusal(413, "request is larger than 50 MiB"),
        )

    def _judge(self, given: str, reading: PostStackReading, key: MagicKey) -> Verdict:
        """What a letter that the contract allows gets; given is the idempotency key in the request's header."""
        sent = reading.request
        if sent is None:
            return Verdict(self.failure)
        refused = _check_references(sent)
        if refused is not None:
            return Verdict(refused)
        # Which of the two wins is not documented; the vendor's client sends a random header with each body's own key
        idempotency_key = sent.idempotency_key or given
        try:
            replayed = self._sent_keys.find(idempotency_key, reading.digest) if idempotency_key else None
        except ValueError as error:
            return Verdict(refusal(422, str(error)))
        addresses = tuple(map(address_of, sent.letter.recipients))
        if replayed is not None:
            answer = json_answer(202, _success(replayed, key) | {"replayed": True})
            return Verdict(replace(answer, error="replayed: nothing was sent"), replayed, addresses)
        vendor_message_id = f"em_{secrets.token_hex(12)}"
        usual = json_answer(202, _success(vendor_message_id, key))
        answer, skipped = TABLE.answer_for_recipients(addresses, usual, self._inbox.seconds())
        if idempotency_key and answer.status == 202:
            self._sent_keys.add(idempotency_key, reading.digest, vendor_message_id)
        return Verdict(answer, vendor_message_id, skipped)


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
