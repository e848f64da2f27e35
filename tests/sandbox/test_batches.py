"""The stand-ins' batch calls: each message answered by its own item and kept as its own message, whatever the size."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from tests.sandbox import test_postmark as postmark
from tests.sandbox import test_poststack as poststack
from tests.sandbox.console_process import running
from tests.sandbox.test_memory import FILE, RISE_OCTETS, TEXT, peak_octets

TEMPLATED = postmark.mail(**postmark.TEMPLATE)


def batch(console, documents, token=postmark.TOKEN, path="/email/batch", **headers):
    return postmark.send(console, documents, token, path, **headers)


def emails(console, documents, **headers):
    return poststack.send(console, {"emails": documents}, path="/emails/batch", **headers)


def numbered(count: int, mail=postmark.mail, **changes: Any) -> list[dict[str, Any]]:
    subject = "Subject" if mail is postmark.mail else "subject"
    return [mail(**{subject: f"number {number}", **changes}) for number in range(count)]


def subjects(console, everything: bool = False) -> list[str]:
    documents = [one["request"]["json"] for one in console.messages(everything)]
    return [one.get("Subject") or one["subject"] for one in documents]


# -- Postmark


def test_the_answer_is_an_array_in_the_order_of_the_request_even_when_items_fail(console):
    documents = [postmark.mail(), postmark.to("code-300"), postmark.mail(TextBody=""), postmark.to("suppressed")]
    answer = batch(console, documents)
    assert answer.status == 200
    assert [one["ErrorCode"] for one in answer.json] == [0, 300, 300, 406]
    assert [sorted(one) for one in answer.json[:2]] == [
        ["ErrorCode", "Message", "MessageID", "SubmittedAt", "To"], ["ErrorCode", "Message"],
    ]  # fmt: skip


def test_each_message_is_in_the_inbox_as_its_own(console):
    documents = numbered(3, Attachments=[postmark.FILE])
    documents[1] = postmark.to("code-300") | {"Subject": "number 1"}
    ids = [one.get("MessageID", "") for one in batch(console, documents).json]
    messages = console.messages(everything=True)
    assert [one["request"]["json"] for one in messages] == documents[::-1]
    assert [one["message_id"] for one in messages] == ids[::-1]
    assert [(one["accepted"], one["status"]) for one in messages] == [(True, 200), (False, 422), (True, 200)]
    assert {one["request"]["path"] for one in messages} == {f"{postmark.BASE}/email/batch"}
    assert console.get(f"/sandbox/messages/{messages[0]['id']}").status == 200
    assert console.get(f"/sandbox/messages/{messages[0]['id']}/attachments/0").body == b"hello"


def test_500_messages_are_a_batch_and_501_are_none(console):
    answer = batch(console, numbered(500))
    assert [one["ErrorCode"] for one in answer.json] == [0] * 500
    assert subjects(console) == [f"number {number}" for number in reversed(range(500))]
    postmark.assert_refused(batch(console, numbered(501)), 422, 410)


@pytest.mark.parametrize("path", ["/email/batchWithTemplates", "/email/batchWithTemplates/"])
def test_templates_come_in_an_object(console, path):
    answer = batch(console, {"Messages": [TEMPLATED, TEMPLATED | {"TemplateAlias": "unknown"}]}, path=path)
    assert [one["ErrorCode"] for one in answer.json] == [0, 1101]
    postmark.assert_refused(batch(console, [TEMPLATED], path=path), 422, 403)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (postmark.mail(), 403),
        ({"Messages": [postmark.mail()]}, 403),
        ([], 403),
        ([postmark.mail(), 5], 403),
        ([postmark.mail(), postmark.mail(Subject=5)], 403),
        ([postmark.mail(Nonsense=1), postmark.mail()], 403),
        ([TEMPLATED], 403),
        (b'[{"From": "a@b.example"', 402),
        (b"\xff", 402),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(console, body, code):
    postmark.assert_refused(batch(console, body), 422, code)
    assert console.messages() == []
    (message,) = console.messages(everything=True)
    assert (message["accepted"], bool(message["error"])) == (False, True)
    assert console.get(f"/sandbox/messages/{message['id']}").status == 200


def test_a_batch_needs_its_key_and_its_header_fields_and_is_kept_without_them(console):
    postmark.assert_refused(batch(console, numbered(2), "nonsense"), 401, 10)
    postmark.assert_refused(batch(console, numbered(2), Accept="text/html"), 415, 409)
    postmark.assert_refused(batch(console, numbered(2), "pm_down_1"), 503, 100)
    assert [one["request"]["json"] for one in console.messages(everything=True)] == [numbered(2)] * 3


def test_more_than_50_megabytes_are_refused_as_a_whole(console):
    large = base64.b64encode(bytes(7_000_000)).decode()
    files = [{"Name": "a", "Content": large, "ContentType": "a/b"}]
    assert batch(console, numbered(6, Attachments=files)).status == 413


def test_an_answer_is_as_late_as_that_of_its_latest_message(console):
    began = time.monotonic()
    answer = batch(console, [postmark.mail(), postmark.to("slow"), postmark.to("garbage")])
    assert time.monotonic() - began > 2.9
    assert [one["ErrorCode"] for one in answer.json[:2]] == [0, 0]
    assert answer.json[2] == "OK: queued, thank you"


# -- PostStack


def test_post_stack_answers_each_message_in_data(console):
    unverified = poststack.mail(**{"from": "a@unverified.example"})
    documents = [poststack.mail(), poststack.to("unprocessable"), unverified]
    answer = emails(console, documents)
    assert (answer.status, list(answer.json)) == (202, ["data"])
    first, second, third = answer.json["data"]
    assert first.keys() == {"id", "test_mode"}
    assert [one["code"] for one in (second, third)] == ["unprocessable_entity"] * 2
    assert [one["status"] for one in console.messages(everything=True)] == [422, 422, 202]


def test_100_messages_are_a_batch_of_post_stack_and_101_are_none(console):
    assert len(emails(console, numbered(100, poststack.mail)).json["data"]) == 100
    answer = emails(console, numbered(101, poststack.mail))
    assert (answer.status, answer.json["error"]) == (422, "Batch size exceeds limit")
    assert len(console.messages()) == 100


@pytest.mark.parametrize("wrong", [{"to": "ann@cust.example"}, {"nonsense": 1}, {"subject": None}])
def test_a_wrong_shape_refuses_a_whole_batch_of_post_stack(console, wrong):
    documents = [poststack.mail(), {**poststack.mail(), **wrong}]
    assert emails(console, documents).status == 400
    assert poststack.send(console, documents, path="/emails/batch").status == 400
    assert emails(console, []).status == 400
    assert console.messages() == []


def test_a_key_holds_for_its_entry_in_a_batch_and_out_of_it(console):
    documents = [poststack.mail(subject=key, idempotency_key=f"batch-{key}") for key in "ab"]
    first = [one["id"] for one in emails(console, documents).json["data"]]
    again = emails(console, [documents[1], documents[0] | {"subject": "other"}]).json["data"]
    assert (again[0]["id"], again[0]["replayed"]) == (first[1], True)
    assert again[1]["code"] == "unprocessable_entity"
    alone = poststack.send(console, json.dumps(documents[0])).json
    assert (alone["id"], alone["replayed"]) == (first[0], True)


def test_a_key_in_the_header_holds_for_each_entry_without_one(console):
    documents = numbered(2, poststack.mail)
    first = emails(console, documents, Idempotency_Key="header-1").json["data"]
    again = emails(console, documents, Idempotency_Key="header-1").json["data"]
    assert [one["id"] for one in again] == [one["id"] for one in first]
    assert all(one["replayed"] for one in again)


# -- the size


@pytest.fixture
def own_console(tmp_path):
    """A console of its own, that has done everything once with a small batch."""
    with running(tmp_path / "inbox") as process:
        files = [{"Name": "a", "Content": "AAAA" * 50_000, "ContentType": "a/b"}]
        assert batch(process, numbered(3, Attachments=files)).status == 200
        process.call("DELETE", "/api/v1/sandbox/messages")
        yield process


def test_a_batch_of_50_megabytes_is_never_in_memory(own_console):
    content = base64.b64encode(FILE[:6_000_000]).decode()
    files = [{"Name": "a", "Content": content, "ContentType": "a/b"}]
    text = TEXT[: 5 * 1024 * 1024]
    documents = [*numbered(5, Attachments=files), postmark.mail(TextBody=text)]
    before = peak_octets(own_console)
    assert [one["ErrorCode"] for one in batch(own_console, documents).json] == [0] * 6
    assert peak_octets(own_console) - before < RISE_OCTETS
    message = own_console.messages()[1]
    assert own_console.get(f"/sandbox/messages/{message['id']}/attachments/0").body == FILE[:6_000_000]
    message = own_console.messages()[0]
    assert own_console.get(f"/sandbox/messages/{message['id']}/text").text == text


def test_490_messages_of_100_kilobytes_are_never_in_memory(own_console):
    before = peak_octets(own_console)
    documents = numbered(490, TextBody=TEXT[:85_000])
    assert [one["ErrorCode"] for one in batch(own_console, documents).json] == [0] * 490
    assert peak_octets(own_console) - before < RISE_OCTETS
