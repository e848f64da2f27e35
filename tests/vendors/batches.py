"""Submissions that travel together: made here, and driven with canned answers or over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from gateway.content.json_body import JsonBody
from gateway.content.reading import read_content
from gateway.message import Envelope, SendOptions, Submission
from gateway.outcome import Outcome
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer, Vendor, VendorAccount, translate_batch
from tests.content.spooled import crlf, spooled

Answerer = Callable[[ApiRequest], ApiAnswer | NoAnswer]


def submission(name: str, *paths: str, text: str = "Hello.", to: str = "", **options: Any) -> Submission:
    """A message with its name as subject and id; to everybody, or to whom `to` says."""
    mail = f"From: shop@shop.example\nTo: {to or ', '.join(paths)}\nSubject: {name}\n\n{text}\n"
    envelope = Envelope("shop@shop.example", paths)
    return Submission(name, envelope, read_content(spooled(crlf(mail))), SendOptions(**options))


def sized(one: Submission, size_octets: int) -> Submission:
    """The same as if its message had this size."""
    return replace(one, content=replace(one.content, size_octets=size_octets))


def json_of(request: ApiRequest) -> Any:
    return json.loads(b"".join(JsonBody(request.json).pieces()))


def answer(status: int, body: Any = b"", **headers: str) -> ApiAnswer:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, octets)


@dataclass(frozen=True)
class Driven:
    """What was asked, as path and document, and what each submission ended in."""

    requests: list[tuple[str, Any]]
    outcomes: Sequence[dict[str, Outcome]]
    reports: Sequence[Sequence[str]]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    @property
    def only(self) -> list[Outcome]:
        """The outcome of each submission that has one recipient."""
        return [next(iter(one.values())) for one in self.outcomes]


def drive(vendor: Vendor, account: VendorAccount, submissions: Sequence[Submission], asked: Answerer) -> Driven:
    """Let these travel together; asked answers each request."""
    translation = translate_batch(vendor, account, submissions)
    requests = []
    try:
        request = next(translation.exchange)
        while True:
            requests.append((request.url.removeprefix(account.url), json_of(request)))
            request = translation.exchange.send(asked(request))
    except StopIteration as stop:
        return Driven(requests, [dict(one) for one in stop.value], translation.reports)


def canned(*answers: ApiAnswer | NoAnswer) -> Answerer:
    """These answers, one after the other."""
    waiting = iter(answers)
    return lambda _: next(waiting)


def over_http(request: ApiRequest, timeout_seconds: float = 20) -> ApiAnswer | NoAnswer:
    """What a server answers."""
    url = urlsplit(request.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=timeout_seconds)
    try:
        connection.request(request.method, url.path, b"".join(JsonBody(request.json).pieces()), dict(request.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return ApiAnswer(response.status, headers, response.read())
    except (http.client.HTTPException, OSError) as error:
        return NoAnswer(True, type(error).__name__)
    finally:
        connection.close()
