"""A strict local stand-in of the Postscale send API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is postscale_request.py's, the
ways to make it fail are postscale_magic.py's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from gateway.sandbox import postscale_request
from gateway.sandbox.addresses import address_of, domain_of
from gateway.sandbox.answer import Answer, json_answer, refusal
from gateway.sandbox.letter import Letter
from gateway.sandbox.magic import UNVERIFIED_DOMAIN, MagicKey, is_unverified
from gateway.sandbox.postscale_lists import domains, emails, paging
from gateway.sandbox.postscale_magic import TABLE
from gateway.sandbox.postscale_reading import CONTRACT
from gateway.sandbox.reading import read_body
from gateway.sandbox.stand_in import StandIn, Verdict, bearer_key, is_json, new_app
from gateway.sandbox.web_request import WebRequest


class PostscaleSandbox(StandIn):
    """The API below its base URL, for example /sandbox/postscale/v1."""

    app = new_app()
    magic = TABLE
    title = "Postscale"
    accepted_status = 202
    no_such_resource = refusal(404, "no such resource")
    method_not_allowed = refusal(405, "method not allowed")
    failure = refusal(500, "the sandbox failed; its log says why")
    request_id_header = "X-Request-ID"

    @app.route("/send", methods=["POST"])
    async def send(self, request: WebRequest) -> None:
        """POST /send: keep the request in the inbox and answer it. A client that leaves has sent it nevertheless."""
        await self.give_received(request, self._receive(request))

    @app.route("/domains", methods=["GET"])
    async def list_domains(self, request: WebRequest) -> None:
        """GET /domains: a verified domain and the one that is not; the list has no total."""
        await self._show_list(request, domains)

    @app.route("/emails", methods=["GET"])
    async def list_emails(self, request: WebRequest) -> None:
        """GET /emails: the accepted messages, newest first, with their total."""
        accepted = self._inbox.entries(include_refused=False)
        await self._show_list(request, partial(emails, accepted))

    def find_key(self, request: WebRequest) -> MagicKey | Answer:
        """401 tells a key that is missing from one that is unknown."""
        text = bearer_key(request)
        if not text:
            return refusal(401, "missing API key")
        return TABLE.key_named(text) or refusal(401, "invalid API key")

    def check_head(self, request: WebRequest) -> Answer | None:
        """It must be JSON."""
        return None if is_json(request) else refusal(400, "the Content-Type header must be application/json")

    async def _receive(self, request: WebRequest) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        reading = await self.read(request, lambda body: read_body(body, CONTRACT, self._inbox.copy))
        return self.answer_and_keep(request, reading, postscale_request.read, self._judge)

    async def _show_list(self, request: WebRequest, make: Callable[[int, int], dict[str, object]]) -> None:
        """Answer a list request: make gets limit and offset."""

        def answer(key: MagicKey) -> Answer:
            try:
                return json_answer(200, make(*paging(request.args)))
            except ValueError as error:
                return refusal(400, str(error))

        await self.show(request, answer)

    def _judge(self, key: MagicKey, letter: Letter) -> Verdict:
        """What a letter that the contract allows gets."""
        domain = domain_of(address_of(letter.sender))
        if is_unverified(domain):
            return Verdict(refusal(403, f"domain {UNVERIFIED_DOMAIN} is not verified"))
        vendor_message_id = f"{secrets.token_hex(16)}@{domain}"
        document = {"message_id": vendor_message_id, "status": "simulated", "environment": "test"}
        addresses = map(address_of, letter.recipients)
        answer, skipped = TABLE.answer_for_recipients(addresses, json_answer(202, document), self._inbox.seconds())
        return Verdict(answer, vendor_message_id, skipped)
