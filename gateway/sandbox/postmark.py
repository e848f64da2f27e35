"""A strict local stand-in of Postmark's send API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is postmark_request.py's, its rules
are postmark_rules.py's, the ways to make it fail are postmark_magic.py's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from gateway.sandbox import postmark_request, postmark_rules
from gateway.sandbox.addresses import address_of
from gateway.sandbox.answer import Answer, json_answer
from gateway.sandbox.batch import BatchContract, BatchItem, BatchStandIn, Copy
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.letter import Letter
from gateway.sandbox.magic import MagicKey
from gateway.sandbox.postmark_error import RequestRefusedError, error_answer
from gateway.sandbox.postmark_magic import NO_SMTP_PREFIX, TABLE, TEST_TOKEN, answer_for_recipients
from gateway.sandbox.reading import Contract, read_body
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.stand_in import Verdict, is_json, new_app
from gateway.sandbox.web_request import WebRequest

# 10 MB of text become six times as much when all of it is written in escapes.
MAXIMUM_REQUEST_OCTETS = 64 * 1024 * 1024
BATCH_MESSAGES, BATCH_OCTETS = 500, 50 * 1024 * 1024
# Not documented: what cannot be decoded (402) or has fields or types that it must not (403) refuses a whole batch
SHAPE_CODES = ("402", "403")


class PostmarkSandbox(BatchStandIn):
    """The API below its base URL, for example /sandbox/postmark/v1."""

    app = new_app()
    magic = TABLE
    title = "Postmark"
    accepted_status = 200
    no_such_resource = error_answer(403, "No such resource.", 404)
    method_not_allowed = error_answer(403, "Method not allowed.", 405)
    failure = error_answer(101, "The sandbox failed; its log says why.")

    @app.route("/email", methods=["POST"])
    async def email(self, request: WebRequest) -> None:
        """POST /email: keep the request in the inbox and answer it. A client that leaves has sent it nevertheless."""
        await self.give_received(request, self._receive(request, templated=False))

    @app.route("/email/withTemplate/", methods=["POST"], endpoint="with_a_slash")  # as a published client writes it
    @app.route("/email/withTemplate", methods=["POST"])
    async def email_with_template(self, request: WebRequest) -> None:
        """POST /email/withTemplate: the same for a template, of which any may exist."""
        await self.give_received(request, self._receive(request, templated=True))

    @app.route("/email/batch", methods=["POST"])
    async def batch(self, request: WebRequest) -> None:
        """POST /email/batch: an array of messages, each answered and kept by itself."""
        await self.give_received(request, self.receive_batch(request, self._batch_contract(templated=False)))

    @app.route("/email/batchWithTemplates/", methods=["POST"], endpoint="batch_with_a_slash")
    @app.route("/email/batchWithTemplates", methods=["POST"])
    async def batch_with_templates(self, request: WebRequest) -> None:
        """POST /email/batchWithTemplates: the same for messages with a template, in an object."""
        await self.give_received(request, self.receive_batch(request, self._batch_contract(templated=True)))

    @app.route("/server", methods=["GET"])
    async def server(self, request: WebRequest) -> None:
        """GET /server: the server that the token belongs to."""
        text = request.getHeader("X-Postmark-Server-Token") or ""
        await self.show(request, lambda token: json_answer(200, _server(token, text)))

    def find_key(self, request: WebRequest) -> MagicKey | Answer:
        """401 for a missing token as for an unknown one."""
        return TABLE.key_named((request.getHeader("X-Postmark-Server-Token") or "").strip()) or error_answer(10)

    def check_head(self, request: WebRequest) -> Answer | None:
        """It must be JSON, and ask for it."""
        accepted = [one.partition(";")[0].strip().lower() for one in (request.getHeader("Accept") or "").split(",")]
        return None if is_json(request) and "application/json" in accepted else error_answer(409)

    async def _receive(self, request: WebRequest, *, templated: bool) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        contract = _contract(templated=templated)
        reading = await self.read(request, lambda body: read_body(body, contract, self._inbox.copy))
        reader = postmark_request.read_templated if templated else postmark_request.read_email
        return self.answer_and_keep(request, reading, reader, self._judge)

    def _batch_contract(self, *, templated: bool) -> BatchContract:
        contract = _contract(templated=templated)

        def read_item(body: RequestBody, copy: Copy) -> BatchItem:
            return BatchItem(read_body(body, contract, copy), self._judge)

        return BatchContract(
            maximum_octets=BATCH_OCTETS,
            maximum_items=BATCH_MESSAGES,
            items=postmark_request.templated_messages if templated else postmark_request.messages,
            read_item=read_item,
            refuses_all=lambda answer: answer.headers.get("X-PM-ApiErrorCode") in SHAPE_CODES,
            wrap=lambda array: array,
            read=postmark_request.read_templated if templated else postmark_request.read_email,
            not_json=contract.not_json,
            no_batch=lambda error: error_answer(403, f"Invalid request: {error}"),
            too_many=lambda count: error_answer(410, f"{count} messages, and a batch has {BATCH_MESSAGES} at most."),
            too_large=lambda: error_answer(300, "The batch is too large: 50 MB are allowed.", 413),
        )

    def _judge(self, token: MagicKey, letter: Letter) -> Verdict:
        """What a letter that the contract allows gets."""
        message_id = str(uuid4())
        taken = self._taken(token, letter, message_id)
        answer, skipped = answer_for_recipients(map(address_of, letter.recipients), taken, self._inbox.seconds())
        return Verdict(answer, message_id, skipped)

    def _taken(self, token: MagicKey, letter: Letter, message_id: str) -> dict[str, object]:
        """The body of a success; a time has seven digits behind the point."""
        at = datetime.fromtimestamp(self._inbox.seconds(), UTC)
        is_test = token.prefix == TEST_TOKEN
        return {
            "To": ", ".join(letter.to),
            "SubmittedAt": f"{at:%Y-%m-%dT%H:%M:%S.%f}0+00:00",
            "MessageID": message_id,
            "ErrorCode": 0,
            "Message": "Test job accepted" if is_test else "OK",
        }


def _contract(*, templated: bool) -> Contract:
    return Contract(
        maximum_octets=MAXIMUM_REQUEST_OCTETS,
        judge=partial(_read_letter, templated=templated),
        not_json=lambda error: error_answer(402, f"Received invalid JSON input: {error}"),
        too_large=lambda: error_answer(300, "The request is too large.", 413),
    )


def _read_letter(document: JsonDocument, *, templated: bool) -> tuple[Letter | None, Answer | None]:
    """The letter, and what is wrong with it. A letter that breaks a rule is still worth showing in the inbox."""
    letter = None
    try:
        request = postmark_request.decode(document, templated=templated)
        letter = postmark_request.letter(request, document)
        postmark_rules.check(request, letter, document, templated=templated)
    except RequestRefusedError as error:
        return letter, error.answer()
    return letter, None


def _server(token: MagicKey, text: str) -> dict[str, object]:
    """What GET /server tells: plausible, and by the magic table in what matters for a login."""
    is_test = token.prefix == TEST_TOKEN
    hooks = ("InboundHook", "BounceHook", "OpenHook", "DeliveryHook", "ClickHook")
    return {
        "ID": 1,
        "Name": "Sandbox",
        "ApiTokens": [text],
        "Color": "blue",
        "SmtpApiActivated": token.prefix != NO_SMTP_PREFIX,
        "RawEmailEnabled": False,
        "DeliveryType": "Sandbox" if is_test else "Live",
        "ServerLink": "https://sandbox.example/servers/1",
        "InboundAddress": "inbound@sandbox.example",
        **{f"{hook}Url": "" for hook in hooks},
        "PostFirstOpenOnly": False,
        "InboundDomain": "",
        "InboundHash": "inbound",
        "InboundSpamThreshold": 0,
        "TrackOpens": False,
        "TrackLinks": "None",
        "IncludeBounceContentInHook": False,
        "EnableSmtpApiErrorHooks": False,
    }
