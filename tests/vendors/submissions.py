"""Submissions made of real message octets, and a vendor's exchange driven with canned answers: no loop, no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.content.json_body import JsonBody
from gateway.content.reading import read_content
from gateway.message import Envelope, Submission
from gateway.outcome import Outcome
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer, VendorAccount
from gateway.vendors.postscale import VENDOR
from tests.content.spooled import crlf, spooled

KEY = "ps_live_secret_0123456789"
OWN = VendorAccount("https://api.example/v1", KEY, own_key=True)
OPERATOR = VendorAccount("https://api.example/v1", KEY, own_key=False)


def submission(mail: str | bytes, *recipients: str, reverse_path: str = "bounces@shop.example") -> Submission:
    """What the gateway makes of a message (LF in a str) and its envelope, as dispatch does."""
    content = read_content(spooled(crlf(mail) if isinstance(mail, str) else mail))
    options = VENDOR.read_dialect(content.fields)
    left = tuple(one for one in content.fields if not VENDOR.is_dialect_field(one.name))
    return Submission("id1", Envelope(reverse_path, recipients), replace(content, fields=left), options)


@dataclass
class Driven:
    """What an exchange asked, and what it ended in."""

    requests: list[ApiRequest]
    documents: list[dict[str, Any]]
    outcomes: Mapping[str, Outcome]
    report: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        (only,) = self.documents
        return only


def accepted(message_id: str = "m1@shop.example") -> ApiAnswer:
    return ApiAnswer(202, {}, json.dumps({"message_id": message_id, "status": "queued"}).encode())


def answer(status: int, body: Any = b"", **headers: str) -> ApiAnswer:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, octets)


def drive(
    given: Submission, answers: Iterable[ApiAnswer | NoAnswer] | None = None, account: VendorAccount = OWN
) -> Driven:
    """Drive the exchange; without answers every request is accepted."""
    waiting = iter(answers) if answers is not None else None
    translation = VENDOR.translate(account, given)
    requests: list[ApiRequest] = []
    documents = []
    try:
        request = next(translation.exchange)
        while True:
            requests.append(request)
            documents.append(json.loads(b"".join(JsonBody(request.json).pieces())))
            request = translation.exchange.send(accepted() if waiting is None else next(waiting))
    except StopIteration as stop:
        assert waiting is None or next(waiting, None) is None, "an answer was left over"
        return Driven(requests, documents, stop.value, translation.report)


def outcome_of(given: ApiAnswer | NoAnswer, account: VendorAccount = OWN) -> Outcome:
    """What one answer means for a message to one recipient."""
    return drive(submission(PLAIN, "ann@cust.example"), [given], account).outcomes["ann@cust.example"]


def octets_of(attachment: Mapping[str, str]) -> bytes:
    return base64.b64decode(attachment["content"], validate=True)


PLAIN = """From: shop@shop.example
To: ann@cust.example
Subject: Hello

Hello Ann.
"""
