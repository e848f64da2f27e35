"""The Postscale sandbox answers as the contract says, and refuses everything else with the field's name."""

from __future__ import annotations

import base64
import json

import pytest

from tests.sandbox.console_process import BASE, KEY, mail

FILE = {"filename": "77.txt", "content": "aGVsbG8=", "content_type": "text/plain"}


def test_a_send_with_a_test_key_is_simulated(console):
    answer = console.send(mail())
    assert answer.status == 202
    assert answer.json.pop("message_id").endswith("@shop.example")
    assert {k: v for k, v in answer.json.items() if k != "message_id"} == {"status": "simulated", "environment": "test"}
    assert answer.headers["X-Request-ID"]


def test_every_field_of_the_contract_is_taken(console):
    everything = mail(
        cc=["Bob <bob@cust.example>"],
        bcc=["audit@shop.example"],
        html_body="<p>hi</p>",
        headers={"Reply-To": "help@shop.example"},
        tags=["invoice"],
        metadata={"invoice": "77"},
        attachments=[FILE, {"filename": "b", "content": "AA=="}],
        unsubscribe_scope={"any": ["json"]},
    )
    assert console.send(everything).status == 202
    assert console.messages()[0]["request"]["json"] == everything


@pytest.mark.parametrize("name", ["template", "template_id"])
def test_a_template_needs_neither_subject_nor_body(console, name):
    value = "welcome-mail" if name == "template" else "9b2f1b5e-0d5c-4a53-9d0b-0f5b9d1e2a10"
    sent = {"from": "a@shop.example", "to": ["b@cust.example"], name: value, "variables": {"x": [1]}}
    assert console.send(sent).status == 202


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"from": None}, "'from'"),
        ({"to": None}, "'to'"),
        ({"to": []}, "'to'"),
        ({"to": "ann@cust.example"}, "$.to"),
        ({"to": [{"email": "ann@cust.example"}]}, "$.to"),
        ({"to": [""]}, "'to[0]'"),
        ({"to": ["ann@cust.example", "nobody"]}, "'to[1]'"),
        ({"cc": ["Ann <>"]}, "'cc[0]'"),
        ({"bcc": ["a@b@c"]}, "'bcc[0]'"),
        ({"bcc": ["a@b.example\r\nBcc: c@d.example"]}, "'bcc[0]'"),
        ({"from": "Doe, Jane <jane@shop.example>"}, "'from'"),
        ({"from": 7}, "$.from"),
        ({"subject": None}, "'subject'"),
        ({"subject": "a\nb"}, "'subject'"),
        ({"text_body": None}, "'text_body'"),
        ({"text_body": ""}, "'text_body'"),
        ({"text_body": 5}, "text_body"),
        ({"html_body": ["x"]}, "html_body"),
        ({"template": "welcome"}, "'subject'"),
        ({"html": "<p>"}, "`html`"),
        ({"reply_to": "x@y.example"}, "`reply_to`"),
        ({"headers": {"X-A": 1}}, "$.headers"),
        ({"headers": {"X-A": "b\r\nBcc: c@d.example"}}, "headers.X-A"),
        ({"headers": {"X A": "b"}}, "'headers'"),
        ({"headers": {"X\r\nA": "b"}}, "'headers'"),
        ({"metadata": {"invoice": 77}}, "$.metadata"),
        ({"metadata": ["a"]}, "$.metadata"),
        ({"tags": "a,b"}, "$.tags"),
        ({"cc": False}, "$.cc"),
        ({"attachments": [FILE | {"filename": ""}]}, "attachments[0].filename"),
        ({"attachments": [FILE | {"filename": "a\r\nb"}]}, "attachments[0].filename"),
        ({"attachments": [FILE, FILE | {"content": ""}]}, "attachments[1].content"),
        ({"attachments": [FILE | {"content": "aGVsbG8"}]}, "attachments[0].content"),
        ({"attachments": [FILE | {"content": "aGVs\nbG8="}]}, "attachments[0].content"),
        ({"attachments": [FILE | {"content": "aGVsbG8=aGVs"}]}, "attachments[0].content"),
        ({"attachments": [FILE | {"content": "aGVsbG8_"}]}, "attachments[0].content"),
        ({"attachments": [FILE | {"content": "data:text/plain;base64,aGVsbG8="}]}, "attachments[0].content"),
        ({"attachments": [FILE | {"content": 1}]}, "attachments[0].content"),
        ({"attachments": [FILE | {"content_type": "text"}]}, "attachments[0].content_type"),
        ({"attachments": [FILE | {"content_id": "x"}]}, "`content_id`"),
        ({"attachments": [{"filename": "a"}]}, "`content`"),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused_with_the_fields_name(console, changes, named):
    document = mail() | changes
    answer = console.send({k: v for k, v in document.items() if v is not None})
    assert answer.status == 400
    assert named in answer.json["error"]
    assert console.messages() == []


def test_null_is_a_wrong_type_and_not_an_absent_field(console):
    answer = console.send(mail() | {"cc": None})
    assert (answer.status, "$.cc" in answer.json["error"]) == (400, True)


def test_an_empty_subject_is_allowed_when_it_is_there(console):
    assert console.send(mail(subject="")).status == 202


@pytest.mark.parametrize(
    "address",
    ["a@b", "Ann <a@b.example>", '"Doe, Jane" <jane@b.example>', "<a@b.example>", "J. R. <a@b.example>",
     "Zoë Müller <zoë@müller.example>", '"a b"@c.example', "a@[192.0.2.1]"],
)  # fmt: skip
def test_both_address_forms_are_taken(console, address):
    assert console.send(mail(to=[address])).status == 202


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"nope", b"\xff", b'{"from":"\xff"}', b"[" * 50000 + b"]" * 50000,
     json.dumps(mail()).encode() + b"x"],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_400(console, body):
    answer = console.send(body)
    assert answer.status == 400
    assert answer.json["error"]
    assert console.get("/").status == 200


def test_a_lone_surrogate_or_bad_utf8_in_a_body_is_400(console):
    template = json.dumps(mail(text_body="@"))
    assert console.send(template.replace('"@"', '"\\ud800 x and more"')).status == 400
    assert console.send(template.encode().replace(b'"@"', b'"\xc3"')).status == 400


def test_escaped_slashes_are_the_same_base64(console):
    octets = bytes(range(256)) * 1000
    text = json.dumps(mail(attachments=[FILE | {"content": base64.b64encode(octets).decode()}])).replace("/", "\\/")
    assert console.send(text).status == 202
    message_id = console.messages()[0]["id"]
    assert console.get(f"/sandbox/messages/{message_id}/attachments/0").body == octets


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_wrong_content_type_is_400(console, content_type):
    answer = console.send(mail(), Content_Type=content_type)
    assert answer.status == 400
    assert "Content-Type" in answer.json["error"]


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic abc", "Bearer ps_live_1", "Bearer nonsense", KEY])
def test_a_missing_or_unknown_key_is_401_everywhere(console, value):
    for answer in (
        console.send(mail(), Authorization=value),
        console.get(f"{BASE}/domains", Authorization=value),
        console.get(f"{BASE}/emails", Authorization=value),
    ):
        assert answer.status == 401
        assert isinstance(answer.json["error"], str)


@pytest.mark.parametrize("domain", ["unverified.example", "mail.unverified.example", "UNVERIFIED.example"])
def test_the_unverified_from_domain_is_403(console, domain):
    answer = console.send(mail(**{"from": f"Shop <a@{domain}>"}))
    assert answer.status == 403
    assert answer.json == {"error": "domain unverified.example is not verified"}


def test_more_than_50_mib_is_413(console):
    document = json.dumps(mail(text_body="x" * (50 * 1024 * 1024 + 1)))
    assert console.send(document).status == 413


def test_wrong_method_and_unknown_path_are_json(console):
    for method, path, status in (
        ("GET", "/send", 405),
        ("PUT", "/send", 405),
        ("POST", "/domains", 405),
        ("GET", "/nope", 404),
        ("GET", "", 404),
        ("GET", "/", 404),
        ("POST", "/send/", 404),
        ("POST", "/%2e%2e/send", 404),
    ):
        answer = console.call(method, BASE + path)
        assert (answer.status, bool(answer.json["error"])) == (status, True), path
        assert answer.headers["X-Request-ID"]


def test_the_lists_have_the_contracts_shape(console):
    for number in range(3):
        console.send(mail(subject=str(number)))
    authorization = {"Authorization": f"Bearer {KEY}"}
    domains = console.get(f"{BASE}/domains?limit=1", **authorization).json
    assert (domains["limit"], domains["offset"], len(domains["domains"])) == (1, 0, 1)
    emails = console.get(f"{BASE}/emails?limit=2&offset=1", **authorization).json
    assert emails["total"] == 3
    assert [one["subject"] for one in emails["emails"]] == ["1", "0"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "offset=-1", "status=queued", "limit=" + "9" * 99]
)
def test_bad_paging_is_400(console, query):
    assert console.get(f"{BASE}/domains?{query}", Authorization=f"Bearer {KEY}").status == 400
