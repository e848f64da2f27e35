"""A strict local stand-in of Postmark's send API: what its contract promises, and nothing is delivered.

Every send request, taken or refused, goes into the inbox. The shape of the request is postmark_request.py's, its rules
are postmark_rules.py's, the ways to make it fail are postmark_magic.py's.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
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

from gateway.sandbox import postmark_request, postmark_rules
from gateway.sandbox.addresses import address_of
from gateway.sandbox.answer import Answer, give, json_answer
from gateway.sandbox.inbox import Inbox, plain_headers
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.letter import Arrival, Letter, Summary
from gateway.sandbox.postmark_error import RequestRefusedError, error_answer
from gateway.sandbox.postmark_magic import TABLE, TEST_TOKEN, MagicToken, answer_for_recipients, by_name, token_named
from gateway.sandbox.reading import Contract, Reading, read_body
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.threads import beside, uncancelled
from gateway.sandbox.web_request import WebRequest

VENDOR = "postmark"

# 10 MB of text become six times as much when all of it is written in escapes.
MAXIMUM_REQUEST_OCTETS = 64 * 1024 * 1024

_JSON = re.compile(r'application/json( *; *charset="?utf-8"?)?', re.IGNORECASE)
_log = Logger()


class PostmarkSandbox:
    """The API below its base URL.

    reactor: counts its delays, and has the threads in which large requests are read. The wall clock is the inbox's.
    """

    app = Klein()
    magic = TABLE

    def __init__(self, inbox: Inbox, reactor: Any) -> None:
        self._inbox = inbox
        self._reactor = reactor

    def resource(self) -> IResource:
        """What to mount at the base URL, for example at /sandbox/postmark/v1."""
        return cast("IResource", self.app.resource())

    @app.route("/email", methods=["POST"])
    async def email(self, request: WebRequest) -> None:
        """POST /email: keep the request in the inbox and answer it. A client that leaves has sent it nevertheless."""
        answer = await uncancelled(ensureDeferred(self._receive(request, templated=False)))
        await give(request, answer, self._reactor)

    @app.route("/email/withTemplate/", methods=["POST"], endpoint="with_a_slash")  # as a published client writes it
    @app.route("/email/withTemplate", methods=["POST"])
    async def email_with_template(self, request: WebRequest) -> None:
        """POST /email/withTemplate: the same for a template, of which any may exist."""
        answer = await uncancelled(ensureDeferred(self._receive(request, templated=True)))
        await give(request, answer, self._reactor)

    @app.route("/server", methods=["GET"])
    async def server(self, request: WebRequest) -> None:
        """GET /server: the server that the token belongs to."""
        token, answer = _check_token(request)
        if answer is None:
            answer = json_answer(200, _server(token, request.getHeader("X-Postmark-Server-Token") or ""))
        await give(request, _paced(token, answer), self._reactor)

    @app.handle_errors(HTTPException)
    async def not_routed(self, request: IRequest, failure: Failure) -> None:
        """404 for an unknown path, 405 for a wrong method."""
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            await give(web, error_answer(403, "Method not allowed.", 405), self._reactor)
            return
        await give(web, error_answer(403, "No such resource.", 404), self._reactor)

    @app.handle_errors(Exception)
    async def failed(self, request: IRequest, failure: Failure) -> None:
        """The sandbox's own fault, for example a full disk."""
        _log.failure("the Postmark sandbox failed", failure)
        answer = error_answer(101, "The sandbox failed; its log says why.")
        await give(cast("WebRequest", request), answer, self._reactor)

    async def _receive(self, request: WebRequest, *, templated: bool) -> Answer:
        """Read a send request and keep it; give the answer to it."""
        # Taken at once: Twisted closes request.content when the client leaves.
        body = RequestBody(request.content)
        read = partial(read_body, body, _contract(templated=templated), self._inbox.copy)
        # A small body is read sooner than a thread begins.
        reading = read() if body.in_memory else await beside(self._reactor, read)
        answer, arrival = self._judge(request, reading)
        reader = postmark_request.read_templated if templated else postmark_request.read_email
        self._inbox.keep(replace(arrival, read=reader), reading.copy)
        return answer

    def _judge(self, request: WebRequest, reading: Reading) -> tuple[Answer, Arrival]:
        """What to answer to a send request, and what to write down about it."""
        letter, message_id = reading.letter, str(uuid4())
        skipped: tuple[str, ...] = ()
        token, answer = _check_token(request)
        answer = answer or _check_head(request) or reading.refusal
        if answer is None and letter is not None:
            answer, skipped = answer_for_recipients(
                map(address_of, letter.recipients), self._taken(token, letter, message_id)
            )
        answer = _paced(token, answer or error_answer(101))
        arrival = Arrival(
            vendor=VENDOR,
            method="POST",
            path=request.path.decode("utf-8", "replace"),
            headers=plain_headers(list(request.requestHeaders.getAllRawHeaders())),
            status=answer.status_given,
            read=postmark_request.read_email,
            error=answer.error,
            vendor_message_id=message_id if answer.status == 200 else "",
            skipped=skipped,
            summary=Summary.of(letter) if letter else Summary(),
            well_formed=reading.well_formed,
            long_strings=reading.long_strings,
        )
        return answer, arrival

    def _taken(self, token: MagicToken | None, letter: Letter, message_id: str) -> dict[str, object]:
        """The body of a success; a time has seven digits behind the point."""
        at = datetime.fromtimestamp(self._inbox.seconds(), UTC)
        is_test = token is not None and token.prefix == TEST_TOKEN
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


def _check_token(request: WebRequest) -> tuple[MagicToken | None, Answer | None]:
    """The row of the magic table for the request's token, and the answer when the token alone decides it."""
    token = token_named((request.getHeader("X-Postmark-Server-Token") or "").strip())
    if token is None:
        return None, error_answer(10)
    name = token.on_read if request.method == b"GET" else token.on_send
    return token, None if name in ("", "slow") else by_name(name, json_answer(200, {}))


def _paced(token: MagicToken | None, answer: Answer) -> Answer:
    """The answer as late as the token has it; on_read and on_send agree on being slow."""
    return by_name("slow", answer) if token is not None and token.on_read == "slow" else answer


def _check_head(request: WebRequest) -> Answer | None:
    accepted = [one.partition(";")[0].strip().lower() for one in (request.getHeader("Accept") or "").split(",")]
    if _JSON.fullmatch((request.getHeader("Content-Type") or "").strip()) and "application/json" in accepted:
        return None
    return error_answer(409)


def _server(token: MagicToken | None, text: str) -> dict[str, object]:
    """What GET /server tells: plausible, and by the magic table in what matters for a login."""
    is_test = token is not None and token.prefix == TEST_TOKEN
    hooks = ("InboundHook", "BounceHook", "OpenHook", "DeliveryHook", "ClickHook")
    return {
        "ID": 1,
        "Name": "Sandbox",
        "ApiTokens": [text],
        "Color": "blue",
        "SmtpApiActivated": token is None or token.smtp,
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
