"""Postscale's and PostStack's own libraries for Python call the sandbox, which has to answer as they expect it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.interop.clients import NODE_MODULES, PROGRAMS
from tests.sandbox.console_process import ConsoleProcess, running

PYTHON = NODE_MODULES.parent / "vendors" / "bin" / "python"
RUN_SECONDS = 60

ATTACHMENT = {
    "filename": "Übersicht.pdf",
    "content": base64.b64encode(bytes(range(256)) * 100).decode(),
    "content_type": "application/pdf",
}
ANN = "ann@cust.example"
SCALE = {
    "from": '"Shop, Ltd" <orders@shop.example>',
    "to": [f"Jörg <{ANN}>", '"Doe, Jane" <jane@cust.example>'],
    "cc": ["office@cust.example"],
    "bcc": ["log@shop.example"],
    "subject": "Grüße",
    "text_body": "Thanks. " * 2000,
    "html_body": "<p>Thanks.</p>",
    "headers": {"Reply-To": "help@shop.example", "X-Ref": "77"},
    "tags": ["receipt", "eu"],
    "metadata": {"order": "77"},
    "attachments": [ATTACHMENT],
}
STACK = {
    "from": "Shop <orders@shop.example>",
    "to": [ANN],
    "cc": ["office@cust.example"],
    "bcc": ["log@shop.example"],
    "reply_to": "help@shop.example",
    "subject": "Grüße",
    "text": "Thanks. " * 2000,
    "html": '<p>Thanks. <img src="cid:c1"></p>',
    "headers": {"X-Ref": "77"},
    "tags": ["receipt"],
    "tracking": {"opens": True, "clicks": False},
    "signature": "none",
    "attachments": [ATTACHMENT | {"content_id": "c1"}],
}
PLAIN_SCALE = {"from": "orders@shop.example", "to": [ANN], "subject": "Hello", "text_body": "Hello."}
PLAIN_STACK = {"from": "orders@shop.example", "to": [ANN], "subject": "Hello", "text": "Hello."}


@dataclass(frozen=True)
class Library:
    """A library as its program uses it: plain or async."""

    console: ConsoleProcess
    kind: str
    vendor: str
    path: str
    key: str

    def __call__(self, name: str, document: Any = None, key: str = "") -> Any:
        """What the library gives for a call."""
        url = f"http://127.0.0.1:{self.console.port}{self.path}"
        program = PROGRAMS / f"call_with_{self.vendor}.py"
        words = [str(PYTHON), str(program), self.kind, url, key or self.key, name, json.dumps(document or {})]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=RUN_SECONDS)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def received(self) -> Any:
        """The newest request."""
        return self.console.messages(everything=True)[0]["request"]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    with running(tmp_path_factory.mktemp("libraries") / "inbox") as process:
        yield process


@pytest.fixture(params=["plain", "async"])
def postscale(request: pytest.FixtureRequest, console: ConsoleProcess, needs: Callable[[bool, str], None]) -> Library:
    needs(PYTHON.exists(), "postscale")
    # The library's own paths begin with /v1
    return Library(console, request.param, "postscale", "/sandbox/postscale", "ps_test_0123456789")


@pytest.fixture(params=["plain", "async"])
def poststack(request: pytest.FixtureRequest, console: ConsoleProcess, needs: Callable[[bool, str], None]) -> Library:
    needs(PYTHON.exists(), "poststack")
    return Library(console, request.param, "poststack", "/sandbox/poststack/v1", "sk_test_0123456789")


def test_postscale_a_whole_message_arrives_as_it_was_given(postscale):
    answer = postscale("send", SCALE)
    assert answer["data"]["status"] == "simulated"
    assert answer["data"]["message_id"].endswith("@shop.example")
    assert answer["request_id"]
    request = postscale.received()
    shown = request["json"]
    assert {name: shown[name] for name in SCALE if name != "attachments"} == {
        name: value for name, value in SCALE.items() if name != "attachments"
    }
    assert [one["filename"] for one in shown["attachments"]] == ["Übersicht.pdf"]
    assert (request["method"], request["path"]) == ("POST", "/sandbox/postscale/v1/send")


def test_postscale_a_template_takes_the_place_of_subject_and_text(postscale):
    document = {"from": PLAIN_SCALE["from"], "to": [ANN], "template": "welcome", "variables": {"name": "Ann"}}
    assert postscale("send", document)["data"]["status"] == "simulated"
    assert postscale.received()["json"] == document


def test_postscale_lists_are_read(postscale):
    message_id = postscale("send", PLAIN_SCALE)["data"]["message_id"]
    listed = postscale("emails", {"limit": 1})["data"]
    assert [one["message_id"] for one in listed["emails"]] == [message_id]
    assert listed["total"] >= 1
    assert "sandbox.example" in [one["domain"] for one in postscale("domains", {"limit": 5})["data"]["domains"]]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("suppressed", 422, "all recipients are suppressed"),
        ("badrequest", 400, "bad request asked for"),
        ("unauthorized", 401, "invalid API key"),
        ("forbidden", 403, "plan limit reached"),
        ("notfound", 404, "template not found"),
        ("toolarge", 413, "message is larger than 50 MiB"),
        ("ratelimit", 429, "rate_limit_exceeded"),
        ("error500", 500, "internal server error"),
        ("unavailable", 503, "service unavailable"),
        ("nested-error", 400, "invalid_request"),
        ("badgateway", 502, "internal_error"),
    ],
)
def test_postscale_a_refusal_is_understood_in_each_shape(postscale, name, status, code):
    answer = postscale("send", PLAIN_SCALE | {"to": [f"{name}@sandbox.example"]})
    assert (answer["status"], answer["code"]) == (status, code)


def test_postscale_the_text_beside_a_code_is_found(postscale):
    limited = postscale("send", PLAIN_SCALE | {"to": ["ratelimit@sandbox.example"]})
    nested = postscale("send", PLAIN_SCALE | {"to": ["nested-error@sandbox.example"]})
    assert (limited["message"], nested["message"]) == ("daily sending limit exceeded", "nested error asked for")


def test_postscale_an_unknown_key_and_an_unverified_domain_are_understood(postscale):
    assert postscale("send", PLAIN_SCALE, key="nonsense")["status"] == 401
    unverified = postscale("send", PLAIN_SCALE | {"from": "shop@unverified.example"})
    assert (unverified["status"], unverified["message"]) == (403, "domain unverified.example is not verified")


def test_poststack_a_whole_message_arrives_as_it_was_given(poststack):
    answer = poststack("send", STACK)
    assert answer["test_mode"] is True
    assert answer["id"].startswith("em_")
    shown = poststack.received()["json"]
    assert {name: shown[name] for name in STACK if name != "attachments"} == {
        name: value for name, value in STACK.items() if name != "attachments"
    }
    assert [(one["filename"], one["content_id"]) for one in shown["attachments"]] == [("Übersicht.pdf", "c1")]


def test_poststack_a_template_takes_the_place_of_subject_and_text(poststack):
    document = {"from": PLAIN_STACK["from"], "to": [ANN], "template_id": "tpl_1", "variables": {"name": "Ann"}}
    assert poststack("send", document)["id"].startswith("em_")
    assert poststack.received()["json"] == document
    assert poststack("send", document | {"template_id": "tpl_missing"})["code"] == "not_found"


def test_poststack_the_bodys_idempotency_key_counts_beside_the_librarys_own_header(poststack):
    """The library sends another random header with each call; with it alone nothing would be a repetition."""
    keyed = PLAIN_STACK | {"idempotency_key": f"order-77-{poststack.kind}"}
    first, again = poststack("send", keyed), poststack("send", keyed)
    assert (again["id"], again["replayed"], "replayed" in first) == (first["id"], True, False)
    other = poststack("send", keyed | {"subject": "Other"})
    assert (other["status"], other["code"]) == (422, "unprocessable_entity")
    assert poststack("send", PLAIN_STACK)["id"] != poststack("send", PLAIN_STACK)["id"]


def test_poststack_what_was_sent_is_found_again(poststack):
    public_id = poststack("send", PLAIN_STACK)["id"]
    assert poststack("email", public_id)["email"]["publicId"] == public_id
    assert [one["publicId"] for one in poststack("emails", {"per_page": 1})["data"]] == [public_id]


@pytest.mark.parametrize(
    ("name", "status", "code", "retry_after"),
    [
        ("badrequest", 400, "invalid_request", None),
        ("older-shape", 400, None, None),
        ("unauthorized", 401, "unauthorized", None),
        ("forbidden", 403, "forbidden", None),
        ("notfound", 404, "not_found", None),
        ("conflict", 409, "conflict", None),
        ("unprocessable", 422, "unprocessable_entity", None),
        ("ratelimit", 429, "rate_limit_exceeded", 30.0),
        ("monthly", 429, "monthly_limit_exceeded", None),
        ("daily", 429, "daily_limit_exceeded", None),
        ("sendlimit", 429, "send_limit_exceeded", None),
        ("quota", 429, "quota_exceeded", None),
        ("oldquota", 429, "rate_limit_exceeded", None),
        ("error500", 500, "internal_error", None),
        ("unavailable", 503, "unavailable", 30.0),
        ("badgateway", 502, None, None),
    ],
)
def test_poststack_a_refusal_is_understood_with_its_code(poststack, name, status, code, retry_after):
    answer = poststack("send", PLAIN_STACK | {"to": [f"{name}@sandbox.example"]})
    assert (answer["status"], answer["code"], answer["retry_after"]) == (status, code, retry_after)
    assert answer["request_id"]


def test_poststack_an_unknown_key_and_an_unverified_domain_are_understood(poststack):
    assert poststack("send", PLAIN_STACK, key="nonsense")["error"] == "Invalid API key"
    assert poststack("send", PLAIN_STACK | {"from": "shop@unverified.example"})["error"] == "Domain not verified"
