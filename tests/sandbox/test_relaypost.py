"""The RelayPost sandbox answers as the contract says, refuses everything else by its field, and fails on demand."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.sandbox.relaypost_magic import KEYS, RECIPIENTS

BASE = "/sandbox/relaypost/v1"
KEY = "rp_test_0123456789"
ANN = {"email": "ann@cust.example", "name": "Ann"}
CUT = (http.client.RemoteDisconnected, ConnectionResetError)


def mail(**changes: Any) -> dict[str, Any]:
    """A request by the contract; None takes a field away."""
    document: dict[str, Any] = {
        "from": {"email": "billing@shop.example", "name": "Shop"},
        "to": [ANN],
        "subject": "Your invoice 77",
        "text": "See below.",
    }
    document.update(changes)
    return {name: value for name, value in document.items() if value is not None}


def send(console, document, key=KEY, **headers):
    body = document if isinstance(document, bytes) else json.dumps(document)
    headers = {"Content_Type": "application/json", "Authorization": f"Bearer {key}", **headers}
    return console.call("POST", f"{BASE}/emails/send", body, **headers)


def read(console, path, key=KEY):
    return console.get(f"{BASE}{path}", Authorization=f"Bearer {key}")


def to(name: str) -> dict[str, Any]:
    return mail(to=[{"email": f"{name}@sandbox.example"}])


# -- the contract


def test_a_send_is_201_queued_with_a_uuid_and_the_rate_headers(console):
    answer = send(console, mail())
    assert answer.status == 201
    data = answer.json["data"]
    assert UUID(data["message_id"])
    assert (data["status"], data["queued_at"][-1]) == ("queued", "Z")
    assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("60", "59")
    assert "Retry-After" not in answer.headers


def test_every_field_of_both_generations_is_taken(console):
    everything = mail(
        cc=[{"email": "bob@cust.example"}],
        bcc=[{"email": "log@shop.example", "name": ""}],
        html="<p>hi</p>",
        headers={"X-Ref": "77"},
        priority="high",
        scheduled_at="2026-11-22T08:00:00Z",
    )
    assert send(console, everything).status == 201
    message = console.messages()[0]
    assert message["request"]["json"] == everything
    assert (message["vendor"], message["request"]["path"]) == ("relaypost", f"{BASE}/emails/send")
    assert message["request"]["headers"]["Authorization"] == "Bearer rp_test_…"


def test_a_template_needs_neither_subject_nor_body(console):
    sent = {"from": {"email": "a@shop.example"}, "to": [ANN], "template_id": "t1", "template_data": {"x": [1]}}
    assert send(console, sent).status == 201
    assert send(console, {**sent, "subject": "Hello"}).status == 201


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"from": None}, "from", "From email is required"),
        ({"from": {"name": "Shop"}}, "from", "From email is required"),
        ({"from": "a@shop.example"}, "from", "Expected"),
        ({"from": {"email": "Shop <a@shop.example>"}}, "from.email", "Not an email address"),
        ({"from": {"email": "a@shop.example", "name": "a\nb"}}, "from.name", "control"),
        ({"from": {"email": "a@shop.example", "reply_to": "x"}}, "from", "unknown field"),
        ({"to": None}, "to", "At least one recipient is required"),
        ({"to": []}, "to", "At least one recipient is required"),
        ({"to": "ann@cust.example"}, "to", "Expected"),
        ({"to": ["ann@cust.example"]}, "to[", "Expected"),
        ({"to": [ANN, {"name": "Bob"}]}, "to[1].email", "Not an email address"),
        ({"cc": [{"email": "nobody"}]}, "cc[0].email", "Not an email address"),
        ({"bcc": [{"email": "a@b.example\r\nBcc: c@d.example"}]}, "bcc[0].email", "Not an email address"),
        ({"subject": None}, "subject", "Subject is required"),
        ({"subject": ""}, "subject", "Subject is required"),
        ({"subject": "a\r\nb"}, "subject", "control"),
        ({"text": None}, "html", "One of html, text or template_id"),
        ({"text": ""}, "html", "One of html, text or template_id"),
        ({"text": 5}, "text", "Expected"),
        ({"html": ["x"]}, "html", "Expected"),
        ({"template_id": "t1"}, "text", "Not together with template_id"),
        ({"template_id": "", "text": None}, "template_id", "empty"),
        ({"template_data": {"a": 1}}, "template_data", "Only together"),
        ({"headers": {"X-A": 1}}, "headers", "Expected"),
        ({"headers": {"X A": "1"}}, "headers", "Not a header name"),
        ({"headers": {"X-A": "b\r\nBcc: c@d.example"}}, "headers.X-A", "control"),
        ({"priority": "urgent"}, "priority", "Invalid"),
        ({"scheduled_at": "tomorrow"}, "scheduled_at", "ISO 8601"),
        ({"attachments": []}, "", "unknown field `attachments`"),
        ({"reply_to": {"email": "a@b.example"}}, "", "unknown field `reply_to`"),
        ({"tags": ["a"]}, "", "unknown field `tags`"),
        ({"metadata": {}}, "", "unknown field `metadata`"),
    ],
)
def test_a_request_that_breaks_the_contract_is_a_validation_error_with_its_field(console, changes, field, message):
    answer = send(console, mail(**changes))
    assert answer.status == 400
    error = answer.json["error"]
    assert (error["code"], error["message"]) == ("VALIDATION_ERROR", "Request validation failed")
    (detail,) = error["details"]
    assert detail["field"].startswith(field)
    assert message in detail["message"]
    assert console.messages() == []
    assert console.messages(everything=True)[0]["status"] == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 50_000, b'{"text": "\\ud800"}'])
def test_a_body_that_is_no_json_object_is_a_validation_error(console, body):
    answer = send(console, body)
    assert (answer.status, answer.json["error"]["code"]) == (400, "VALIDATION_ERROR")
    message_id = console.messages(everything=True)[0]["id"]
    assert console.get(f"/sandbox/messages/{message_id}").status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_a_wrong_content_type_is_a_validation_error(console, content_type):
    answer = send(console, mail(), Content_Type=content_type)
    assert (answer.status, answer.json["error"]["details"][0]["field"]) == (400, "Content-Type")


@pytest.mark.parametrize(
    ("authorization", "code", "message"),
    [
        (None, "AUTH_MISSING", "No Authorization header provided"),
        ("", "AUTH_INVALID", "Invalid or revoked API key"),
        ("Bearer nonsense", "AUTH_INVALID", "Invalid or revoked API key"),
        ("Bearer rp_live_1", "AUTH_INVALID", "Invalid or revoked API key"),
        (f"Basic {KEY}", "AUTH_INVALID", "Invalid or revoked API key"),
    ],
)
def test_without_a_known_key_everything_is_401(console, authorization, code, message):
    headers = {} if authorization is None else {"Authorization": authorization}
    for answer in (
        console.call("POST", f"{BASE}/emails/send", json.dumps(mail()), Content_Type="application/json", **headers),
        console.get(f"{BASE}/emails", **headers),
        console.get(f"{BASE}/domains", **headers),
    ):
        assert (answer.status, answer.json["error"]) == (401, {"code": code, "message": message})


@pytest.mark.parametrize("sender", ["a@unverified.example", "a@sub.unverified.example", "a@UNVERIFIED.example"])
def test_an_unverified_domain_is_400(console, sender):
    answer = send(console, mail(**{"from": {"email": sender}}))
    assert (answer.status, answer.json["error"]["code"]) == (400, "DOMAIN_NOT_VERIFIED")
    assert "details" not in answer.json["error"]


def test_unknown_paths_and_methods_have_their_codes(console):
    for path in ("/nope", "/send", "/api/v1/emails/send", "/emails/nope"):
        answer = read(console, path)
        assert (answer.status, answer.json["error"]["code"]) == (404, "NOT_FOUND")
    answer = console.call("PUT", f"{BASE}/emails/send", Authorization=f"Bearer {KEY}")
    assert (answer.status, answer.json["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")


def test_emails_are_listed_and_found_by_either_id(console):
    ids = [send(console, mail(subject=f"s{number}")).json["data"]["message_id"] for number in range(3)]
    send(console, mail(subject=None))
    answer = read(console, "/emails?page=1&limit=2")
    assert [one["message_id"] for one in answer.json["data"]] == ids[:0:-1]
    assert answer.json["pagination"] == {"page": 1, "limit": 2, "total_count": 3, "total_pages": 2}
    assert [one["message_id"] for one in read(console, "/emails?page=2&limit=2").json["data"]] == ids[:1]
    shown = read(console, f"/emails/{ids[0]}").json["data"]
    assert (shown["subject"], shown["status"], shown["events"][0]["type"]) == ("s0", "queued", "queued")
    assert read(console, f"/emails/{shown['id']}").json["data"] == shown
    assert read(console, "/emails?status=delivered").json["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "page=0", "page=-1", "status=sent", "offset=1"])
def test_a_bad_query_is_a_validation_error(console, query):
    answer = read(console, f"/emails?{query}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "VALIDATION_ERROR")


def test_domains_and_suppressions_are_lists(console):
    assert [one["domain"] for one in read(console, "/domains").json["data"]] == [
        "sandbox.example",
        "unverified.example",
    ]
    suppressed = read(console, "/suppressions").json
    assert [one["email"] for one in suppressed["data"]] == [
        "suppressed@sandbox.example",
        "suppressed-named@sandbox.example",
    ]
    assert suppressed["pagination"]["total_count"] == 2


def test_a_message_of_several_megabytes_is_taken_and_shown(console):
    text = "ünïcode " * 500_000
    assert send(console, mail(text=text)).status == 201
    message_id = console.messages()[0]["id"]
    assert console.get(f"/sandbox/messages/{message_id}/text").text == text


def test_the_page_of_a_message_shows_names_with_their_addresses(console):
    send(console, mail(to=[{"email": "ann@cust.example", "name": 'Doe, "A" <x@y.example>'}]))
    message_id = console.messages()[0]["id"]
    page = console.get(f"/sandbox/messages/{message_id}").text
    assert "&lt;ann@cust.example&gt;" in page


# -- the magic


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("suppressed", 400, "RECIPIENTS_SUPPRESSED"),
        ("suppressed-named", 400, "RECIPIENTS_SUPPRESSED"),
        ("badrequest", 400, "VALIDATION_ERROR"),
        ("unauthorized", 401, "AUTH_INVALID"),
        ("suspended", 403, "TENANT_SUSPENDED"),
        ("notfound", 404, "NOT_FOUND"),
        ("ratelimit", 429, "RATE_LIMITED"),
        ("limit", 429, "LIMIT_EXCEEDED"),
        ("error500", 500, "INTERNAL_ERROR"),
    ],
)
def test_a_magic_recipient_gets_its_status_and_code(console, name, status, code):
    for local_part in (name, f"{name}+anything", name.upper()):
        answer = send(console, to(local_part))
        assert (answer.status, answer.json["error"]["code"]) == (status, code)
        assert (answer.headers["Retry-After"] is not None) == (status == 429)
    assert console.messages() == []


@pytest.mark.parametrize(("name", "status"), [("toolarge", 413), ("unavailable", 503), ("badgateway", 502)])
def test_a_proxy_answers_in_html_and_without_rate_headers(console, name, status):
    answer = send(console, to(name))
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html")
    assert "X-RateLimit-Limit" not in answer.headers


def test_one_suppressed_recipient_refuses_the_whole_request_and_only_the_named_kind_is_named(console):
    named = {"email": "suppressed-named+1@sandbox.example"}
    answer = send(console, mail(cc=[named]))
    assert answer.status == 400
    assert "suppressed-named+1@sandbox.example" in answer.json["error"]["message"]
    answer = send(console, mail(cc=[named], bcc=[{"email": "suppressed@sandbox.example"}]))
    assert "@" not in answer.json["error"]["message"]
    assert console.messages() == []


def test_a_rate_limit_has_no_request_left_and_the_last_request_says_so(console):
    assert send(console, to("ratelimit")).headers["X-RateLimit-Remaining"] == "0"
    answer = send(console, to("last"))
    assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (201, "0")


def test_garbage_is_a_201_that_is_no_json(console):
    answer = send(console, to("garbage"))
    assert (answer.status, answer.body) == (201, b"OK: queued, thank you")


def test_a_huge_answer_has_20_megabytes(console):
    answer = send(console, to("huge-answer"))
    assert answer.json["data"]["status"] == "queued"
    assert len(answer.body) > 20_000_000


@pytest.mark.parametrize(("document", "key"), [(to("slow"), KEY), (mail(), "rp_slow_1")])
def test_a_slow_answer_comes_after_3_seconds(console, document, key):
    started = time.monotonic()
    assert send(console, document, key).status == 201
    assert 2.9 < time.monotonic() - started < 8


@pytest.mark.parametrize(("document", "key"), [(to("cut"), KEY), (mail(), "rp_cut_1")])
def test_cut_closes_without_an_answer(console, document, key):
    with pytest.raises(CUT):
        send(console, document, key)
    assert console.messages(everything=True)[0]["status"] is None


def test_cut_answer_sends_half_of_it(console):
    with pytest.raises(http.client.IncompleteRead) as raised:
        send(console, to("cut-answer"))
    assert raised.value.partial.startswith(b'{"data"')
    assert len(console.messages()) == 1


@pytest.mark.parametrize(("document", "key"), [(to("noanswer"), KEY), (mail(), "rp_noanswer_1")])
def test_noanswer_keeps_the_connection_open_and_silent(console, document, key):
    connection = console.connect(timeout=0.5)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", f"{BASE}/emails/send", json.dumps(document), headers)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


@pytest.mark.parametrize(
    ("key", "on_read", "on_send"),
    [
        ("rp_test_1", 200, 201),
        ("rp_down_1", 503, 503),
        ("rp_limited_1", 200, 429),
        ("rp_used_up_1", 200, 429),
        ("rp_revoked_1", 200, 401),
        ("rp_suspended_1", 403, 403),
    ],
)
def test_a_magic_key_gets_its_statuses(console, key, on_read, on_send):
    assert read(console, "/emails?limit=1", key).status == on_read
    assert read(console, "/domains", key).status == on_read
    assert send(console, mail(), key).status == on_send


def test_every_magic_row_has_a_test_here():
    source = Path(__file__).read_text("utf-8")
    assert [one.name for one in RECIPIENTS if f'"{one.name}"' not in source] == []
    assert [one.prefix for one in KEYS if one.prefix not in source] == []
