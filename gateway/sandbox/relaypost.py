"""A strict local stand-in of the RelayPost API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is relaypost_request.py's, that of
the answers relaypost_answer.py's, the ways to make it fail are relaypost_magic.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import uuid4

from gateway.sandbox import relaypost_request
from gateway.sandbox.addresses import address_of, domain_of
from gateway.sandbox.answer import Answer
from gateway.sandbox.inbox import Entry
from gateway.sandbox.letter import Letter
from gateway.sandbox.magic import MagicKey, is_unverified
from gateway.sandbox.reading import read_body
from gateway.sandbox.relaypost_answer import ContractError, api_error, invalid, success
from gateway.sandbox.relaypost_lists import Arguments, domains, email, emails, suppressions, timestamp
from gateway.sandbox.relaypost_magic import TABLE, answer_for_recipients
from gateway.sandbox.stand_in import StandIn, Verdict, bearer_key, new_app
from gateway.sandbox.web_request import WebRequest


class RelayPostSandbox(StandIn):
    """The API below its base URL, for example /sandbox/relaypost/v1."""

    app = new_app()
    magic = TABLE
    title = "RelayPost"
    accepted_status = 201
    no_such_resource = api_error("NOT_FOUND")
    method_not_allowed = api_error("METHOD_NOT_ALLOWED")
    failure = api_error("INTERNAL_ERROR", "The sandbox failed; its log says why")

    @app.route("/emails/send", methods=["POST"])
    async def send(self, request: WebRequest) -> None:
        """POST /emails/send: keep the request in the inbox and answer it. A client that leaves has sent it too."""
        await self.give_received(request, self._receive(request))

    @app.route("/emails", methods=["GET"])
    async def list_emails(self, request: WebRequest) -> None:
        """GET /emails: the accepted messages, newest first."""
        await self._show_list(request, partial(emails, self._accepted()))

    @app.route("/emails/<message_id>", methods=["GET"])
    async def show_email(self, request: WebRequest, message_id: str) -> None:
        """GET /emails/:id: one accepted message, by either of its ids, and its events."""
        await self._show_list(request, lambda arguments: email(self._accepted(), message_id))

    @app.route("/domains", methods=["GET"])
    async def list_domains(self, request: WebRequest) -> None:
        """GET /domains: a verified domain and the one that is not."""
        await self._show_list(request, domains)

    @app.route("/suppressions", methods=["GET"])
    async def list_suppressions(self, request: WebRequest) -> None:
        """GET /suppressions: the magic addresses that are suppressed."""
        await self._show_list(request, suppressions)

    def find_key(self, request: WebRequest) -> MagicKey | Answer:
        """401 tells a header field that is missing from a key that is unknown."""
        if request.getHeader("Authorization") is None:
            return api_error("AUTH_MISSING")
        return TABLE.key_named(bearer_key(request)) or api_error("AUTH_INVALID")

    def check_head(self, request: WebRequest) -> Answer | None:
        """It must be JSON."""
        content_type = (request.getHeader("Content-Type") or "").lower().replace(" ", "").replace('"', "")
        if content_type in ("application/json", "application/json;charset=utf-8"):
            return None
        return invalid(ContractError("Content-Type", "Must be application/json"))

    async def _receive(self, request: WebRequest) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        contract = relaypost_request.CONTRACT
        reading = await self.read(request, lambda body: read_body(body, contract, self._inbox.copy))
        return self.answer_and_keep(request, reading, relaypost_request.read, self._judge)

    def _judge(self, key: MagicKey, letter: Letter) -> Verdict:
        """What a letter that the contract allows gets."""
        if is_unverified(domain_of(address_of(letter.sender))):
            return Verdict(api_error("DOMAIN_NOT_VERIFIED"))
        now, message_id = self._inbox.seconds(), str(uuid4())
        usual = success(201, {"message_id": message_id, "status": "queued", "queued_at": timestamp(now)})
        return Verdict(answer_for_recipients(map(address_of, letter.recipients), usual, now), message_id)

    def _accepted(self) -> list[Entry]:
        return self._inbox.entries(include_refused=False)

    async def _show_list(self, request: WebRequest, make: Callable[[Arguments], Answer]) -> None:
        """Answer a GET request: make gets the query."""

        def answer(key: MagicKey) -> Answer:
            try:
                return make(request.args)
            except ContractError as error:
                return invalid(error)
            except LookupError:
                return api_error("NOT_FOUND")

        await self.show(request, answer)
