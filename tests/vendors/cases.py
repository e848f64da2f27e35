"""A vendor's cases: files of one stem in tests/vendors/<vendor>/, each saying one thing about it.

NN-name.eml            the message in the vendor's dialect, with LF
NN-name.envelope.json  {"reverse_path", "forward_paths", "own_key"}, each only where it is not the author, everybody in
                       To and Cc, and true
NN-name.request.json   {"requests": [{"method", "path", "headers", "json"}]}: path below the base URL, the key as ***
NN-name.answer.json    {"answers": [{"status", "headers", "json" or "text"}]}, or {"no_answer": "why", "wholly_written"}
NN-name.outcome.json   {"outcomes": {path: {"kind", and its fields}}, "report": [...]}, or {"dialect_error": "why"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from gateway.content.json_body import JsonBody
from gateway.content.reading import read_content
from gateway.message import Content, Envelope, Submission
from gateway.outcome import Outcome
from gateway.vendor import ApiAnswer, ApiRequest, DialectError, NoAnswer, Vendor, VendorAccount
from tests.content.spooled import crlf, spooled

KEY = "the-key-of-the-case"


@dataclass(frozen=True)
class Case:
    """One case; what is said of a vendor, and what it does."""

    stem: Path

    def _json(self, kind: str) -> dict[str, Any]:
        file = self.stem.with_suffix(f".{kind}.json")
        return json.loads(file.read_text("utf-8")) if file.exists() else {}

    @property
    def requests(self) -> list[Any]:
        return self._json("request").get("requests", [])

    @property
    def answers(self) -> list[ApiAnswer | NoAnswer]:
        return [answer_of(one) for one in self._json("answer").get("answers", [])]

    @property
    def outcome(self) -> dict[str, Any]:
        return self._json("outcome")

    def account(self, vendor: Vendor) -> VendorAccount:
        return VendorAccount(vendor.default_url, KEY, own_key=self._json("envelope").get("own_key", True))

    def submission(self, dialect: Vendor) -> Submission:
        """What the gateway makes of the message, as dispatch does, without the fields it adds."""
        content = read_content(spooled(crlf(self.stem.with_suffix(".eml").read_text("utf-8"))))
        options = dialect.read_dialect(content.fields)
        left = tuple(one for one in content.fields if not dialect.is_dialect_field(one.name))
        return Submission("id1", self._envelope(content), replace(content, fields=left), options)

    def _envelope(self, content: Content) -> Envelope:
        given = self._json("envelope")
        everybody = [one.address for one in (*content.to, *content.cc)]
        author = content.author[0].address if content.author else ""
        return Envelope(given.get("reverse_path", author), tuple(given.get("forward_paths", everybody)))


@dataclass(frozen=True)
class Done:
    """What a vendor did with a case, in the words of its files."""

    requests: list[Any]
    outcome: dict[str, Any]


def cases(folder: Path) -> list[Case]:
    return [Case(file.with_suffix("")) for file in sorted(folder.glob("*.eml"))]


def answer_of(said: dict[str, Any]) -> ApiAnswer | NoAnswer:
    if "no_answer" in said:
        return NoAnswer(said["wholly_written"], said["no_answer"])
    body = said["text"] if "text" in said else json.dumps(said.get("json"))
    headers = {name.lower(): value for name, value in said.get("headers", {}).items()}
    return ApiAnswer(said["status"], headers, body.encode())


def run(case: Case, dialect: Vendor, vendor: Vendor) -> Done:
    """Send the message of a case in this dialect through this vendor, with the answers of the case."""
    account, answers, requests = case.account(vendor), iter(case.answers), []
    try:
        submission = case.submission(dialect)
    except DialectError as error:
        return Done([], {"dialect_error": str(error)})
    translation = vendor.translate(account, submission)
    try:
        request = next(translation.exchange)
        while True:
            requests.append(shown(request, account))
            request = translation.exchange.send(next(answers))
    except StopIteration as stop:
        assert next(answers, None) is None, "an answer was left over"
        outcomes = {path: told(outcome) for path, outcome in stop.value.items()}
    report = [*submission.content.report, *submission.options.report, *translation.report]
    return Done(requests, {"outcomes": outcomes, "report": report})


def shown(request: ApiRequest, account: VendorAccount) -> dict[str, Any]:
    assert request.url.startswith(account.url)
    assert account.key not in request.url
    headers = {name: value.replace(account.key, "***") for name, value in request.headers.items()}
    document = json.loads(b"".join(JsonBody(request.json).pieces()))
    return {"method": request.method, "path": request.url[len(account.url) :], "headers": headers, "json": document}


def told(outcome: Outcome) -> dict[str, Any]:
    values = {one.name: getattr(outcome, one.name) for one in fields(outcome)}
    named = {name: value.name if isinstance(value, Enum) else value for name, value in values.items()}
    return {"kind": type(outcome).__name__.lower(), **named}
