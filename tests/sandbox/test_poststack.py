"""The PostStack sandbox answers as the contract says, refuses everything else by its field, and fails on demand."""

from __future__ import annotations

import base64
import http.client
import json
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.vendors.cases import cases

BASE = "/sandbox/poststack/v1"
KEY = "sk_test_0123456789"
CUT = (http.client.RemoteDisconnected, ConnectionResetError)
FILE = {"filename": "77.txt", "content": "aGVsbG8=", "content_type": "text/plain", "content_id": "f1@shop"}


def mail(**changes: Any) -> dict[str, Any]:
    """A request by the contract; None takes a field away."""
    document: dict[str, Any] = {
        "from": "Shop <billing@shop.example>",
        "to": ["ann@cust.example"],
        "subject": "Your invoice 77",
        "text": "See below.",
    }
    document.update(changes)
    return {name: value for name, value in document.items() if value is not None}


def send(console, document, key=KEY, path="/emails", **headers):
    body = document if isinstance(document, (bytes, str)) else json.dumps(document)
    headers = {"Content_Type": "application/json", "Authorization": f"Bearer {key}", **headers}
    return console.call("POST", f"{BASE}{path}", body, **headers)


def read(console, path, key=KEY):
    return console.get(f"{BASE}{path}", Authorization=f"Bearer {key}")


def to(name: str) -> dict[str, Any]:
    return mail(to=[f"{name}@sandbox.example"])


# -- the contract


@pytest.mark.parametrize("path", ["/emails", "/emails/send"])
def test_a_send_with_a_test_key_is_202_and_says_so(console, path):
    answer = send(console, mail(), path=path)
    assert answer.status == 202
    assert answer.json.pop("id").startswith("em_")
    assert answer.json.keys() == {"id", "test_mode"}
    assert answer.json["test_mode"] is True
    assert answer.headers["X-Request-Id"]


def test_a_live_key_gets_the_id_alone(console):
    assert send(console, mail(), key="sk_live_sandbox_1").json.keys() == {"id"}


def test_every_field_of_the_contract_is_taken(console):
    everything = mail(
        cc=["Bob <bob@cust.example>"],
        bcc=["audit@shop.example"],
        reply_to="Help <help@shop.example>",
        html="<p>hi</p>",
        headers={"X-Report": "48"},
        tags=["invoice"],
        attachments=[FILE, {"filename": "empty", "content": ""}],
        idempotency_key="report-48",
        idempotency_window_hours=24,
        scheduled_at="2026-12-24T18:00:00Z",
        template_id="tpl_1",
        variables={"a": "b"},
        unsubscribe=True,
        tracking={"opens": True, "clicks": False},
        signature="none",
    )
    assert send(console, everything).status == 202
    assert console.messages()[0]["request"]["json"] == everything
    assert console.messages()[0]["vendor"] == "poststack"


def test_a_template_needs_neither_subject_nor_body(console):
    assert send(console, mail(subject=None, text=None, template_id="tpl_1")).status == 202


@pytest.mark.parametrize(
    ("changes", "status", "named"),
    [
        ({"from": None}, 400, "'from'"),
        ({"to": None}, 400, "'to'"),
        ({"to": []}, 400, "'to'"),
        ({"to": "ann@cust.example"}, 400, "$.to"),
        ({"cc": False}, 400, "$.cc"),
        ({"reply_to": ["a@shop.example"]}, 400, "$.reply_to"),
        ({"subject": None}, 400, "'subject'"),
        ({"text": None}, 400, "'text'"),
        ({"text": ""}, 400, "'text'"),
        ({"text": 5}, 400, "text"),
        ({"html": ["x"]}, 400, "html"),
        ({"text_body": "x"}, 400, "`text_body`"),
        ({"metadata": {"a": "b"}}, 400, "`metadata`"),
        ({"headers": {"X-A": 1}}, 400, "$.headers"),
        ({"tags": "a,b"}, 400, "$.tags"),
        ({"variables": {"a": 1}}, 400, "$.variables"),
        ({"tracking": {"open": True}}, 400, "`open`"),
        ({"tracking": True}, 400, "$.tracking"),
        ({"signature": "always"}, 400, "$.signature"),
        ({"unsubscribe": "yes"}, 400, "$.unsubscribe"),
        ({"idempotency_key": 5}, 400, "$.idempotency_key"),
        ({"attachments": [{"filename": "a"}]}, 400, "`content`"),
        ({"attachments": [FILE | {"content": 1}]}, 400, "attachments[0].content"),
        ({"attachments": [FILE | {"inline": True}]}, 400, "`inline`"),
        ({"to": ["ann@cust.example", "nobody"]}, 422, "'to[1]'"),
        ({"bcc": ["a@b.example\r\nBcc: c@d.example"]}, 422, "'bcc[0]'"),
        ({"from": "Doe, Jane <jane@shop.example>"}, 422, "'from'"),
        ({"reply_to": "a@shop.example, b@shop.example"}, 422, "'reply_to'"),
        ({"subject": "a\nb"}, 422, "'subject'"),
        ({"headers": {"X-A": "b\r\nBcc: c@d.example"}}, 422, "headers.X-A"),
        ({"headers": {"X A": "b"}}, 422, "'headers'"),
        ({"scheduled_at": "tomorrow"}, 422, "'scheduled_at'"),
        ({"idempotency_key": ""}, 422, "'idempotency_key'"),
        ({"attachments": [FILE | {"filename": ""}]}, 422, "attachments[0].filename"),
        ({"attachments": [FILE, FILE | {"content": "aGVsbG8"}]}, 422, "attachments[1].content"),
        ({"attachments": [FILE | {"content": "data:text/plain;base64,aGVsbG8="}]}, 422, "attachments[0].content"),
        ({"attachments": [FILE | {"content_type": "text"}]}, 422, "attachments[0].content_type"),
        ({"attachments": [FILE | {"content_id": "<f1@shop>"}]}, 422, "'content_id'"),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused_with_the_fields_name(console, changes, status, named):
    answer = send(console, mail(**changes))
    assert answer.status == status
    assert named in answer.json["error"]
    assert answer.json["code"] == ("invalid_request" if status == 400 else "unprocessable_entity")
    assert console.messages() == []


def test_attachments_have_the_vendors_limits(console):
    def attached(*mebibytes: float):
        octets = (base64.b64encode(bytes(int(one * 1024 * 1024))).decode() for one in mebibytes)
        files = [{"filename": str(number), "content": one} for number, one in enumerate(octets)]
        return send(console, mail(attachments=files))

    assert attached(10, 10, 5).status == 202
    assert "attachments[1]" in attached(1, 10.01).json["error"]
    assert "25 MB" in attached(9, 9, 9).json["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"nope", b"\xff", b"[" * 50000 + b"]" * 50000])
def test_a_body_that_is_no_json_object_is_400(console, body):
    answer = send(console, body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")


def test_a_lone_surrogate_is_400_and_a_wrong_content_type_too(console):
    assert send(console, json.dumps(mail(text="@")).replace('"@"', '"\\ud800 x"')).status == 400
    assert "Content-Type" in send(console, mail(), Content_Type="text/plain").json["error"]


@pytest.mark.parametrize("value", ["", "Bearer", "Basic abc", "Bearer sk_live_1", "Bearer ps_test_1", KEY])
def test_a_missing_or_unknown_key_is_401_everywhere(console, value):
    for answer in (
        send(console, mail(), Authorization=value),
        console.get(f"{BASE}/emails?per_page=1", Authorization=value),
        console.get(f"{BASE}/emails/em_1", Authorization=value),
    ):
        assert (answer.status, answer.json) == (401, {"error": "Invalid API key", "code": "unauthorized"})


@pytest.mark.parametrize("domain", ["unverified.example", "mail.unverified.example"])
def test_the_unverified_from_domain_is_422(console, domain):
    answer = send(console, mail(**{"from": f"Shop <a@{domain}>"}))
    assert (answer.status, answer.json["error"]) == (422, "Domain not verified")


@pytest.mark.parametrize(("template", "status"), [("tpl_missing", 404), ("tpl_draft", 422), ("welcome", 404)])
def test_a_template_that_cannot_be_sent_is_refused(console, template, status):
    assert send(console, mail(template_id=template)).status == status


def test_wrong_method_and_unknown_path_are_json(console):
    for method, path, status in (
        ("PUT", "/emails", 405), ("DELETE", "/emails/em_1", 405), ("GET", "/nope", 404), ("PUT", "/emails/batch", 405),
    ):  # fmt: skip
        answer = console.call(method, BASE + path)
        assert (answer.status, bool(answer.json["error"])) == (status, True), path
        assert answer.headers["X-Request-Id"]


# -- idempotency


def test_the_same_message_with_the_same_key_is_sent_once(console):
    first, second = (send(console, mail(idempotency_key="once-1")) for _ in range(2))
    assert second.status == 202
    assert second.json == {"id": first.json["id"], "test_mode": True, "replayed": True}
    (again, sent) = console.messages()
    assert (sent["skipped"], again["skipped"]) == ([], ["ann@cust.example"])
    assert read(console, "/emails").json["meta"]["total"] == 1


def test_another_message_with_the_same_key_is_422_and_not_sent(console):
    send(console, mail(idempotency_key="once-2"))
    answer = send(console, mail(idempotency_key="once-2", subject="Other"))
    assert (answer.status, answer.json["code"]) == (422, "unprocessable_entity")
    assert "idempotency key" in answer.json["error"]


def test_the_header_is_a_key_too_and_the_bodys_own_counts_more(console):
    first, second = (send(console, mail(), Idempotency_Key="once-3") for _ in range(2))
    assert (first.json["id"], second.json["replayed"]) == (second.json["id"], True)
    other = (send(console, mail(idempotency_key="once-4"), Idempotency_Key=f"random-{n}") for n in range(2))
    assert [one.json.get("replayed") for one in other] == [None, True]


def test_a_refused_message_may_be_sent_again_with_its_key(console):
    refused = {**to("error500"), "idempotency_key": "once-5"}
    assert [send(console, refused).status for _ in range(2)] == [500, 500]
    assert send(console, mail(idempotency_key="once-5")).status == 202


@pytest.mark.parametrize("name", ["cut", "cut-answer"])
def test_a_message_that_was_taken_and_never_answered_is_a_replay_the_second_time(console, name):
    document = {**to(name), "idempotency_key": f"lost-{name}"}
    with pytest.raises((*CUT, http.client.IncompleteRead)):
        send(console, document)
    assert send(console, document).json["replayed"] is True


# -- the lists


def test_the_lists_have_the_contracts_shape(console):
    sent = [send(console, mail(subject=str(number))).json["id"] for number in range(3)]
    listed = read(console, "/emails?page=2&per_page=2").json
    assert listed["meta"] == {"page": 2, "perPage": 2, "total": 3, "totalPages": 2}
    (row,) = listed["data"]
    assert (row["publicId"], row["subject"], row["id"]) == (sent[0], "0", 1)
    assert (row["fromAddress"], row["fromName"], row["testMode"]) == ("billing@shop.example", "Shop", True)
    assert read(console, f"/emails/{sent[0]}").json == {"email": row}
    assert read(console, "/emails/em_nobody").json == {"error": "Email not found", "code": "not_found"}


@pytest.mark.parametrize(
    "query", ["page=0", "per_page=0", "per_page=101", "page=x", "status=queued", "page=" + "9" * 99]
)
def test_bad_paging_is_400(console, query):
    assert read(console, f"/emails?{query}").status == 400


# -- the magic


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("suppressed", 422, "unprocessable_entity"),
        ("badrequest", 400, "invalid_request"),
        ("older-shape", 400, None),
        ("unauthorized", 401, "unauthorized"),
        ("forbidden", 403, "forbidden"),
        ("notfound", 404, "not_found"),
        ("conflict", 409, "conflict"),
        ("unprocessable", 422, "unprocessable_entity"),
        ("monthly", 429, "monthly_limit_exceeded"),
        ("daily", 429, "daily_limit_exceeded"),
        ("sendlimit", 429, "send_limit_exceeded"),
        ("quota", 429, "quota_exceeded"),
        ("oldquota", 429, "rate_limit_exceeded"),
        ("timeout408", 408, "timeout"),
        ("error500", 500, "internal_error"),
    ],
)
def test_a_magic_recipient_gets_its_status_and_code(console, name, status, code):
    for local_part in (name, f"{name}+anything", name.upper()):
        answer = send(console, to(local_part))
        assert (answer.status, answer.json.get("code")) == (status, code)
        assert "Retry-After" not in answer.headers
    assert console.messages() == []


def test_magic_works_among_other_recipients_and_some_suppressed_are_skipped(console):
    assert send(console, mail(bcc=["Ann <unavailable@sandbox.example>"])).status == 503
    assert send(console, mail(cc=["suppressed@sandbox.example"])).status == 202
    assert console.messages()[0]["skipped"] == ["suppressed@sandbox.example"]


def test_a_rate_limit_says_how_long(console):
    assert send(console, to("ratelimit")).headers["Retry-After"] == "30"
    answer = send(console, to("ratelimit-date"))
    ahead = parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() - time.time()
    assert (answer.status, answer.json["code"]) == (429, "rate_limit_exceeded")
    assert 25 < ahead < 35
    assert send(console, to("unavailable")).headers["Retry-After"] == "30"


def test_a_bad_gateway_answers_html(console):
    answer = send(console, to("badgateway"))
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html")


def test_successes_that_are_hard_to_read(console):
    assert send(console, to("replayed")).json["replayed"] is True
    garbage, huge = send(console, to("garbage")), send(console, to("huge-answer"))
    assert (garbage.status, garbage.body[:2], huge.status) == (202, b"OK", 202)
    assert len(huge.body) > 20_000_000


def test_a_slow_answer_comes_after_3_seconds_for_a_recipient_and_for_a_key(console):
    for call in (lambda: send(console, to("slow")), lambda: read(console, "/emails", key="sk_test_slow_1")):
        started = time.monotonic()
        assert call().status in (200, 202)
        assert 2.9 < time.monotonic() - started < 8


@pytest.mark.parametrize(("name", "key"), [("noanswer", KEY), ("nobody", "sk_test_noanswer_1")])
def test_noanswer_keeps_the_connection_open_and_silent(console, name, key):
    connection = console.connect(timeout=0.5)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", f"{BASE}/emails", json.dumps(to(name)), headers)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert console.messages(everything=True)[0]["error"] == "never answered"


@pytest.mark.parametrize(
    ("key", "on_read", "on_send"),
    [
        ("sk_test_1", 200, 202),
        ("sk_live_sandbox_1", 200, 202),
        ("sk_test_down_1", 503, 503),
        ("sk_test_limited_1", 200, 429),
        ("sk_test_revoked_1", 200, 401),
        ("sk_test_forbidden_1", 403, 403),
        ("sk_test_unknown_1", 401, 401),
    ],
)
def test_a_magic_key_gets_its_statuses(console, key, on_read, on_send):
    assert read(console, "/emails?per_page=1", key=key).status == on_read
    assert send(console, mail(), key=key).status == on_send


def test_the_login_check_can_be_cut(console):
    with pytest.raises(CUT):
        read(console, "/emails?per_page=1", key="sk_test_cut_1")


# -- the gateway's own requests


SAID = [
    pytest.param(request["json"], id=f"{case.stem.name}-{number}")
    for case in cases(Path(__file__).parents[1] / "vendors" / "poststack")
    if case.stem.name < "20"  # from there on the requests are the first one again
    for number, request in enumerate(case.requests)
]


@pytest.mark.parametrize("document", SAID)
def test_what_the_gateway_says_is_taken(console, document):
    key = f"{document['idempotency_key']}-{time.monotonic_ns()}"
    assert send(console, document | {"idempotency_key": key}).status == 202
