"""Every magic recipient and key does on the wire what the table says."""

from __future__ import annotations

import http.client
import json
import time
from email.utils import parsedate_to_datetime

import pytest

from gateway.sandbox.postscale_magic import KEYS, RECIPIENTS
from tests.sandbox.console_process import BASE, mail

CUT = (http.client.RemoteDisconnected, ConnectionResetError)


def to(name: str):
    return mail(to=[f"{name}@sandbox.example"])


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("suppressed", 422),
        ("badrequest", 400),
        ("unauthorized", 401),
        ("forbidden", 403),
        ("notfound", 404),
        ("toolarge", 413),
        ("ratelimit", 429),
        ("error500", 500),
        ("unavailable", 503),
    ],
)
def test_a_magic_recipient_gets_its_status(console, name, status):
    for local_part in (name, f"{name}+anything", name.upper()):
        answer = console.send(to(local_part))
        assert answer.status == status
        assert isinstance(answer.json["error"], str)
    assert console.messages() == []
    assert [one["status"] for one in console.messages(everything=True)] == [status] * 3


def test_magic_works_among_other_recipients_and_as_bcc(console):
    assert console.send(mail(bcc=["Ann <unavailable@sandbox.example>"])).status == 503


def test_a_magic_name_elsewhere_is_a_plain_address(console):
    assert console.send(mail(to=["error500@cust.example", "other@sandbox.example"])).status == 202


def test_some_suppressed_recipients_are_skipped(console):
    assert console.send(mail(cc=["suppressed+1@sandbox.example"])).status == 202
    assert console.messages()[0]["skipped"] == ["suppressed+1@sandbox.example"]


def test_a_rate_limit_has_the_contracts_body(console):
    answer = console.send(to("ratelimit"))
    assert answer.headers["Retry-After"] == "30"
    assert answer.json == {
        "error": "rate_limit_exceeded",
        "message": "daily sending limit exceeded",
        "limit_type": "daily",
        "limit": 50,
        "used": 50,
        "retry_after_seconds": 30,
        "warming_phase": "phase_1",
    }


def test_a_rate_limit_can_be_dated(console):
    answer = console.send(to("ratelimit-date"))
    ahead = parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() - time.time()
    assert answer.status == 429
    assert 25 < ahead < 35


def test_a_bad_gateway_answers_html(console):
    answer = console.send(to("badgateway"))
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html")
    assert b"<html>" in answer.body


def test_a_nested_error(console):
    answer = console.send(to("nested-error"))
    assert answer.status == 400
    assert set(answer.json["error"]) == {"code", "message"}


def test_garbage_is_a_202_that_is_no_json(console):
    answer = console.send(to("garbage"))
    assert answer.status == 202
    with pytest.raises(json.JSONDecodeError):
        assert answer.json


def test_a_huge_answer_has_20_megabytes(console):
    answer = console.send(to("huge-answer"))
    assert (answer.status, answer.json["status"]) == (202, "simulated")
    assert len(answer.body) > 20_000_000


def test_a_slow_answer_comes_after_3_seconds(console):
    started = time.monotonic()
    assert console.send(to("slow")).status == 202
    assert 2.9 < time.monotonic() - started < 8


@pytest.mark.parametrize("request_", [{"document": to("cut")}, {"document": mail(), "key": "ps_cut_1"}])
def test_cut_closes_without_an_answer(console, request_):
    with pytest.raises(CUT):
        console.send(**request_)
    assert console.messages() == []
    assert console.messages(everything=True)[0]["status"] is None


def test_cut_answer_sends_half_of_it(console):
    with pytest.raises(http.client.IncompleteRead) as raised:
        console.send(to("cut-answer"))
    assert raised.value.partial.startswith(b'{"message_id"')
    assert len(console.messages()) == 1


@pytest.mark.parametrize(
    ("address", "key"), [("noanswer@sandbox.example", "ps_test_1"), ("a@b.example", "ps_noanswer_1")]
)
def test_noanswer_keeps_the_connection_open_and_silent(console, address, key):
    connection = console.connect(timeout=0.5)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", f"{BASE}/send", json.dumps(mail(to=[address])), headers)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert console.messages(everything=True)[0]["error"] == "never answered"


@pytest.mark.parametrize(
    ("key", "on_read", "on_send"),
    [
        ("ps_test_1", 200, 202),
        ("ps_down_1", 503, 503),
        ("ps_limited_1", 200, 429),
        ("ps_revoked_1", 200, 401),
        ("ps_forbidden_1", 403, 403),
    ],
)
def test_a_magic_key_gets_its_statuses(console, key, on_read, on_send):
    assert console.get(f"{BASE}/domains?limit=1", Authorization=f"Bearer {key}").status == on_read
    assert console.get(f"{BASE}/emails", Authorization=f"Bearer {key}").status == on_read
    assert console.send(mail(), key=key).status == on_send


def test_a_slow_key_is_known_and_late_even_when_it_is_refused(console):
    started = time.monotonic()
    assert console.get(f"{BASE}/domains?limit=1", Authorization="Bearer ps_slow_1").status == 200
    assert 2.9 < time.monotonic() - started < 8


def test_the_login_check_can_be_cut(console):
    with pytest.raises(CUT):
        console.get(f"{BASE}/domains?limit=1", Authorization="Bearer ps_cut_1")


def test_a_client_that_leaves_takes_its_delayed_call_along(console):
    connection = console.connect()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer ps_test_1"}
    connection.request("POST", f"{BASE}/send", json.dumps(to("slow")), headers)
    deadline = time.monotonic() + 2
    while not (arrived := console.messages()) and time.monotonic() < deadline:
        pass
    assert arrived
    waiting = console.command("calls")
    connection.close()
    while console.command("calls") >= waiting and time.monotonic() < deadline:
        pass
    assert console.command("calls") == waiting - 1


def test_the_page_explains_every_magic_name(console):
    page = console.get("/sandbox/magic").text
    for one in RECIPIENTS:
        assert f"{one.name}@sandbox.example" in page
    for key in KEYS:
        assert key.prefix in page
