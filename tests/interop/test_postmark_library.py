"""Postmark's library for Node and Postmarker for Python call the sandbox, which has to answer as they expect it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.clients import NODE_MODULES, PROGRAMS

ROOT = Path(__file__).parents[2]
POSTMARKER = NODE_MODULES.parent / "postmarker" / "bin" / "python"
TOKEN = "pm_test_0123456789"
RUN_SECONDS = 60

EMAIL = {
    "From": '"Shop, Ltd" <orders@shop.example>',
    "To": 'Jörg <ann@cust.example>, "Doe, Jane" <jane@cust.example>',
    "Cc": "office@cust.example",
    "Bcc": "log@shop.example",
    "Subject": "Grüße",
    "TextBody": "Thanks. " * 2000,
    "HtmlBody": '<p>Thanks. <img src="cid:logo"></p>',
    "ReplyTo": "help@shop.example",
    "Tag": "receipt",
    "Metadata": {"order": "77"},
    "TrackOpens": True,
    "TrackLinks": "HtmlOnly",
    "MessageStream": "broadcast",
    "Attachments": [
        {"Name": "logo.png", "Content": "iVBORw0KGgo=", "ContentType": "image/png", "ContentID": "cid:logo"},
        {
            "Name": "Übersicht.pdf",
            "Content": base64.b64encode(bytes(range(256)) * 100).decode(),
            "ContentType": "application/pdf",
        },
    ],
}
PLAIN = {"From": "orders@shop.example", "To": "ann@cust.example", "Subject": "Hello", "TextBody": "Hello."}


@dataclass(frozen=True)
class Library:
    """A client library: its program, where it is installed, and how it is given header fields."""

    name: str
    command: tuple[str, ...]
    installed: Callable[[], bool]
    headers: Any

    def __str__(self) -> str:
        return self.name


LIBRARIES = (
    Library(
        "postmark",
        ("node", str(PROGRAMS / "call_with_postmark.js")),
        lambda: shutil.which("node") is not None and (NODE_MODULES / "postmark").is_dir(),
        [{"Name": "X-Ref", "Value": "77"}],
    ),
    Library(
        "postmarker",
        (str(POSTMARKER), str(PROGRAMS / "call_with_postmarker.py")),
        POSTMARKER.exists,
        {"X-Ref": "77"},
    ),
)


@dataclass(frozen=True)
class Sandbox:
    """The sandbox in a process of its own."""

    port: int
    folder: Path

    def received(self) -> Any:
        """The newest request body."""
        return json.loads(max(self.folder.glob("*.json")).read_text("utf-8"))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("postmark") / "inbox"
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("postmark_api.py")), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Sandbox(int(process.stdout.readline()), folder)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(params=LIBRARIES, ids=str)
def library(request: pytest.FixtureRequest, needs: Callable[[bool, str], None]) -> Library:
    chosen: Library = request.param
    needs(chosen.installed(), chosen.name)
    return chosen


def call(library: Library, sandbox: Sandbox, name: str, document: Any = None, token: str = TOKEN) -> Any:
    """What the library gives for a call."""
    words = [*library.command, f"127.0.0.1:{sandbox.port}", token, name, json.dumps(document or {})]
    done = subprocess.run(
        words,
        check=False,
        env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def given(document: dict[str, Any]) -> dict[str, Any]:
    """A received document without what the library leaves empty."""
    return {name: value for name, value in document.items() if value not in (None, [], "")}


def test_a_whole_message_arrives_as_it_was_given(library, sandbox):
    answer = call(library, sandbox, "email", EMAIL | {"Headers": library.headers})
    assert (answer["ErrorCode"], answer["Message"], len(answer["MessageID"])) == (0, "OK", 36)
    assert given(sandbox.received()) == EMAIL | {"Headers": [{"Name": "X-Ref", "Value": "77"}]}


def test_a_template_is_sent_by_its_alias_and_by_its_id(library, sandbox):
    for named in ({"TemplateAlias": "welcome"}, {"TemplateId": 77}):
        document = {"From": PLAIN["From"], "To": PLAIN["To"], **named, "TemplateModel": {"name": "Ann"}}
        assert call(library, sandbox, "template", document)["ErrorCode"] == 0
        assert given(sandbox.received()).items() >= document.items()


def test_a_batch_is_answered_message_by_message(library, sandbox):
    names = ("ann@cust.example", "code-300@sandbox.example", "suppressed@sandbox.example", "bob@cust.example")
    answers = call(library, sandbox, "batch", [PLAIN | {"To": name} for name in names])
    assert [one["ErrorCode"] for one in answers] == [0, 300, 406, 0]
    assert [len(one.get("MessageID", "")) for one in answers] == [36, 0, 0, 36]
    assert sandbox.received().items() >= (PLAIN | {"To": names[3]}).items()


def test_a_batch_of_500_is_taken(library, sandbox):
    answers = call(library, sandbox, "batch", [PLAIN | {"Subject": str(number)} for number in range(500)])
    assert len({one["MessageID"] for one in answers}) == 500


def test_a_batch_of_templates_is_answered_message_by_message(library, sandbox):
    message = {"From": PLAIN["From"], "To": PLAIN["To"], "TemplateModel": {"name": "Ann"}}
    documents = [message | {"TemplateAlias": name} for name in ("welcome", "unknown", "goodbye")]
    answers = call(library, sandbox, "template_batch", documents)
    assert [one["ErrorCode"] for one in answers] == [0, 1101, 0]
    assert given(sandbox.received()).items() >= documents[2].items()


def test_the_test_token_is_taken(library, sandbox):
    assert call(library, sandbox, "email", PLAIN, "POSTMARK_API_TEST")["Message"] == "Test job accepted"


def test_the_server_is_told(library, sandbox):
    assert call(library, sandbox, "server")["Name"] == "Sandbox"


@pytest.mark.parametrize("code", [300, 406, 411, 412, 413, 1101, 1235])
def test_a_refusal_is_understood_with_its_code(library, sandbox, code):
    answer = call(library, sandbox, "email", PLAIN | {"To": f"code-{code}@sandbox.example"})
    assert (answer.get("code"), "error" in answer) == (code, True)


def test_an_unknown_token_is_understood(library, sandbox):
    answer = call(library, sandbox, "email", PLAIN, "nonsense")
    assert answer["error"] in ("InvalidAPIKeyError", "ClientError", "HTTPError")
    assert answer["code"] in (10, 401)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("code-300", "InvalidEmailRequestError"),
        ("code-429", "RateLimitExceededError"),
        ("code-101", "InternalServerError"),
        ("code-100", "ServiceUnavailablerError"),
    ],
)
def test_the_vendors_own_library_knows_each_refusal_by_its_kind(needs, sandbox, name, error):
    library = LIBRARIES[0]
    needs(library.installed(), library.name)
    assert call(library, sandbox, "email", PLAIN | {"To": f"{name}@sandbox.example"})["error"] == error


@pytest.mark.parametrize("name", ["suppressed", "inactive"])
def test_the_vendors_own_library_reads_the_inactive_recipients(needs, sandbox, name):
    library = LIBRARIES[0]
    needs(library.installed(), library.name)
    addresses = [f"{name}+{number}@sandbox.example" for number in (1, 2)]
    answer = call(library, sandbox, "email", PLAIN | {"To": ", ".join(addresses)})
    assert answer == {"error": "InactiveRecipientsError", "code": 406, "status": 422, "recipients": addresses}
