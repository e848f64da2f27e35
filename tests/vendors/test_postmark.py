"""Postmark beyond its cases: every error code, logins, templates and tags of other dialects, and hostile answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message import HeaderField, SendOptions
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, reply_for
from gateway.vendor import ApiAnswer, DialectError, NoAnswer, Vendor, VendorAccount, load
from gateway.vendors.postmark import DIALECT, RECIPIENTS, VENDOR, read_answer

from .cases import KEY, Case, Done, run

OWN = VendorAccount("https://api.example", KEY, own_key=True)
OPERATOR = VendorAccount("https://api.example", KEY, own_key=False)
TAKEN = {"status": 200, "json": {"MessageID": "m1", "ErrorCode": 0, "Message": "OK"}}
TO = "ann@cust.example"


def answer(status: int, body: Any = b"", **headers: str) -> ApiAnswer:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, octets)


def error(code: int, text: str = "why", status: int = 422) -> ApiAnswer:
    return answer(status, {"ErrorCode": code, "Message": text})


@pytest.fixture
def send(tmp_path: Path):
    """Sends a message with these header fields, in a dialect, and gives what Postmark made of it."""

    def sent(
        *fields: str, to: str = TO, dialect: Vendor = VENDOR, answers: int = 1, paths: list[str] | None = None
    ) -> Done:
        head = "\n".join(("From: shop@shop.example", f"To: {to}", "Subject: Hello", *fields))
        (tmp_path / "01.eml").write_text(f"{head}\n\nHello.\n", "utf-8")
        (tmp_path / "01.answer.json").write_text(json.dumps({"answers": [TAKEN] * answers}))
        (tmp_path / "01.envelope.json").write_text(json.dumps({"forward_paths": paths} if paths else {}))
        return run(Case(tmp_path / "01"), dialect, VENDOR)

    return sent


# -- the answers


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (11, Cause.INVALID), (300, Cause.INVALID), (402, Cause.INVALID), (403, Cause.INVALID), (409, Cause.INVALID),
        (410, Cause.INVALID), (411, Cause.INVALID), (1101, Cause.INVALID), (1109, Cause.INVALID),
        (1120, Cause.INVALID), (1121, Cause.INVALID), (1122, Cause.INVALID), (1123, Cause.INVALID),
        (1226, Cause.INVALID), (1235, Cause.INVALID), (1236, Cause.INVALID), (9999, Cause.INVALID),
        (400, Cause.SENDER_UNVERIFIED), (401, Cause.SENDER_UNVERIFIED), (406, Cause.SUPPRESSED),
        (405, Cause.FORBIDDEN), (412, Cause.FORBIDDEN), (413, Cause.FORBIDDEN), (422, Cause.FORBIDDEN),
        (1480, Cause.FORBIDDEN), (10, Cause.KEY_REFUSED),
    ],
)  # fmt: skip
def test_every_code_of_a_422_refuses_by_its_cause(code, cause):
    assert read_answer(error(code), OWN) == Refused(cause, "why")
    of_the_account = cause in (Cause.FORBIDDEN, Cause.KEY_REFUSED)
    expected = Deferred(Cause.OPERATOR_KEY_REFUSED, "why") if of_the_account else Refused(cause, "why")
    assert read_answer(error(code), OPERATOR) == expected


@pytest.mark.parametrize(
    ("code", "cause"),
    [(100, Cause.UNAVAILABLE), (101, Cause.UNAVAILABLE), (500, Cause.UNAVAILABLE), (503, Cause.UNAVAILABLE),
     (429, Cause.RATE_LIMITED)],
)  # fmt: skip
def test_codes_of_the_vendors_own_trouble_are_temporary(code, cause):
    assert read_answer(error(code), OWN) == Deferred(cause, "why")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (401, Refused(Cause.KEY_REFUSED, "why")),
        (403, Refused(Cause.FORBIDDEN, "why")),
        (404, Refused(Cause.INVALID, "why")),
        (413, Refused(Cause.TOO_LARGE, "why")),
        (415, Refused(Cause.INVALID, "why")),
        (429, Deferred(Cause.RATE_LIMITED, "why")),
        (302, Deferred(Cause.UNAVAILABLE, "why")),
        (408, Deferred(Cause.UNAVAILABLE, "why")),
        (500, Deferred(Cause.UNAVAILABLE, "why")),
        (503, Deferred(Cause.UNAVAILABLE, "why")),
    ],
)
def test_the_status_decides_where_it_says_something(status, outcome):
    assert read_answer(error(0, status=status), OWN) == outcome


def test_413_is_too_large_as_a_status_and_no_leave_to_send_as_a_code():
    assert read_answer(error(413, status=413), OWN) == Refused(Cause.TOO_LARGE, "why")
    assert read_answer(error(413, status=422), OWN) == Refused(Cause.FORBIDDEN, "why")


def test_the_code_is_read_from_the_header_when_the_body_cannot_be():
    outcome = read_answer(answer(422, b"<html>", x_pm_apierrorcode="406"), OWN)
    assert outcome == Refused(Cause.SUPPRESSED, "the API answered HTTP 422")


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b'{"ErrorCode": 0}', b'{"MessageID": 5}', b"\xff"])
def test_success_counts_whatever_its_body_is(body):
    assert read_answer(answer(200, body), OWN) == Accepted("")


def test_a_success_that_tells_an_error_and_no_message_id_is_a_refusal():
    assert read_answer(error(300, status=200), OWN) == Refused(Cause.INVALID, "why")


@pytest.mark.parametrize(
    "errors", [["a", "b"], [{"Message": "a"}, {"Message": "b"}], {"To": "a", "Cc": {"Message": "b"}}]
)
def test_several_errors_are_all_told(errors):
    assert read_answer(answer(422, {"ErrorCode": 11, "Message": "m", "Errors": errors}), OWN) == Refused(
        Cause.INVALID, "a b"
    )


@pytest.mark.parametrize("status", [200, 302, 401, 403, 413, 422, 429, 500])
@pytest.mark.parametrize("account", [OWN, OPERATOR], ids=["own key", "operator's key"])
@pytest.mark.parametrize("written", [KEY, KEY.upper()])
def test_a_vendor_that_repeats_the_token_in_any_case_does_not_get_it_into_an_outcome(status, account, written):
    for body in ({"Message": f"no {written}!", "ErrorCode": 300}, {"MessageID": written}, {"Errors": [written]}):
        assert KEY not in repr(read_answer(answer(status, body), account)).lower()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["ErrorCode", "Message", "MessageID", "Errors", "To"])


@given(
    st.integers(200, 599),
    st.binary(max_size=40) | st.dictionaries(names, json_values).map(lambda one: json.dumps(one).encode()),
)
def test_no_answer_at_all_raises(status, body):
    outcome: Outcome = read_answer(answer(status, body), OWN)
    if status >= 500:
        assert isinstance(outcome, Deferred)


@pytest.mark.parametrize("cause", list(Cause), ids=lambda one: one.name)
def test_every_cause_has_an_enhanced_code_of_the_class_of_its_reply(cause):
    reply = reply_for(cause, "why", DIALECT.wording)
    assert reply.enhanced[0] == str(reply.code)[0]


# -- logging in


def ask(*answers: ApiAnswer | NoAnswer, key: str = KEY) -> bool | None:
    exchange = VENDOR.check_key(VendorAccount("https://api.example", key))
    waiting = iter(answers)
    try:
        request = next(exchange)
        while True:
            assert (request.method, request.url, request.json) == ("GET", "https://api.example/server", None)
            assert request.headers["X-Postmark-Server-Token"] == key
            request = exchange.send(next(waiting))
    except StopIteration as stop:
        assert next(waiting, None) is None, "an answer was left over"
        good: bool | None = stop.value
        return good


@pytest.mark.parametrize(
    ("given_answer", "good"),
    [
        (answer(200, {"SmtpApiActivated": True}), True), (answer(200, {"ID": 1}), True), (answer(200), True),
        (answer(200, {"SmtpApiActivated": False}), False), (error(10, status=401), False),
        (answer(301), None), (answer(403), None), (answer(404), None), (error(1480), None), (answer(429), None),
        (answer(500), None), (answer(503), None), (NoAnswer(True, ""), None), (NoAnswer(False, ""), None),
    ],
)  # fmt: skip
def test_a_token_is_bad_only_when_the_vendor_says_so_or_its_server_has_smtp_switched_off(given_answer, good):
    assert ask(given_answer) is good


@pytest.mark.parametrize("key", ["POSTMARK_API_TEST", "postmark_api_test"])
def test_the_test_token_is_good_without_asking(key):
    assert ask(key=key) is True


# -- the dialect


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (f"X-PM-Tag: {'x' * 1001}", "1000 characters"),
        ("X-PM-TrackOpens: maybe", "expected true or false, got maybe"),
        ("X-PM-KeepID: 1", "expected true or false"),
        ("X-PM-TrackLinks: Html", "HtmlAndText"),
        ("X-PM-Message-Stream: a\nX-PM-Message-Stream: b", "more than once"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_field_and_its_limit(send, field, why):
    refused = send(field).outcome["dialect_error"]
    assert refused.startswith(field.partition(":")[0])
    assert why in refused


@pytest.mark.parametrize("value", ["", "   "])
@pytest.mark.parametrize(
    "name", ["X-PM-Message-Stream", "X-PM-Tag", "X-PM-TrackOpens", "X-PM-TrackLinks", "X-PM-KeepID"]
)
def test_an_empty_field_asks_for_nothing(send, name, value):
    assert send(f"{name}: {value}").requests[0]["json"].keys() == {"From", "To", "Subject", "TextBody"}


@pytest.mark.parametrize(
    ("written", "said"),
    [("none", "None"), ("HTMLANDTEXT", "HtmlAndText"), ("HtmlOnly", "HtmlOnly"), ("textonly", "TextOnly")],
)
def test_tracking_is_read_without_case(send, written, said):
    document = send(f"x-pm-tracklinks: {written}", "X-Pm-TrackOpens: TRUE").requests[0]["json"]
    assert (document["TrackLinks"], document["TrackOpens"]) == (said, True)


@given(st.lists(st.tuples(st.sampled_from(["a", "A", "b_2", "b", "abcdefghijklmnopqrst"]), st.text("xyz", max_size=3))))
def test_no_metadata_is_lost_and_no_two_keys_are_the_same_to_the_vendor(pairs):
    fields = [HeaderField(f"X-PM-Metadata-{key}", value) for key, value in pairs]
    if len(pairs) > 10:
        with pytest.raises(DialectError, match="10 metadata keys"):
            VENDOR.read_dialect(fields)
        return
    metadata = VENDOR.read_dialect(fields).metadata
    assert list(metadata.values()) == [value for _, value in pairs]
    assert len({key.lower() for key in metadata}) == len(pairs)
    assert all(len(key) <= 20 for key in metadata)


# -- from other dialects, and what the API cannot say


@pytest.mark.parametrize(
    ("template", "named"), [("12345", {"TemplateId": 12345}), ("welcome-mail", {"TemplateAlias": "welcome-mail"})]
)
def test_a_template_of_another_dialect_takes_the_place_of_subject_and_text(tmp_path, template, named):
    (tmp_path / "01.eml").write_text(f"From: a@shop.example\nTo: {TO}\nSubject: s\n\nHello.\n")
    options = SendOptions(template=template, variables={"name": "Ann"})
    translation = VENDOR.translate(OWN, replace(Case(tmp_path / "01").submission(VENDOR), options=options))
    request = next(translation.exchange)
    assert request.url == "https://api.example/email/withTemplate"
    assert request.json == {"From": "a@shop.example", "To": TO, **named, "TemplateModel": {"name": "Ann"}}
    assert any("come from the template" in line for line in translation.report)


def test_of_several_tags_of_another_dialect_the_first_is_carried_and_the_others_are_reported(send):
    done = send("X-Postscale-Tags: a, b, c", dialect=load("postscale"))
    assert done.requests[0]["json"]["Tag"] == "a"
    assert "only the first tag is carried, and not b, c: the API takes one" in done.outcome["report"]


def test_a_reply_to_without_an_address_is_reported(send):
    done = send("Reply-To: nobody")
    assert "ReplyTo" not in done.requests[0]["json"]
    assert "Reply-To has no address and is not carried" in done.outcome["report"]


def test_fifty_recipients_are_one_request_and_invisible_ones_may_be_more(send):
    paths = [TO, *(f"r{number}@cust.example" for number in range(RECIPIENTS - 1))]
    assert len(send(paths=paths).requests) == 1
    many = [f"r{number}@cust.example" for number in range(RECIPIENTS + 1)]
    assert len(send(to="undisclosed-recipients:;", paths=many, answers=len(many)).requests) == len(many)


def test_a_second_refusal_of_whom_the_first_did_not_name_is_the_end(tmp_path):
    (tmp_path / "01.eml").write_text(f"From: a@shop.example\nTo: {TO}, b@cust.example\nSubject: s\n\nx\n")
    refused = {
        "status": 422,
        "json": {"ErrorCode": 406, "Message": f"Found inactive addresses: {TO}. Inactive recipients"},
    }
    (tmp_path / "01.answer.json").write_text(json.dumps({"answers": [refused] * 2}))
    done = run(Case(tmp_path / "01"), VENDOR, VENDOR)
    assert [one["json"]["To"] for one in done.requests] == [f"{TO}, b@cust.example", "b@cust.example"]
    assert {one["cause"] for one in done.outcome["outcomes"].values()} == {"SUPPRESSED"}


def test_the_largest_message_is_ten_megabytes_of_base64_in_its_lines():
    assert VENDOR.message_octets * 76 // 78 == pytest.approx(10 * 1024 * 1024, abs=2)
