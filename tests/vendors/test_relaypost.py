"""RelayPost, where its folder of cases cannot say it: the base URL, keys, what other dialects ask, hostile answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.json_body import JsonBody
from gateway.content.reading import read_content
from gateway.message import Envelope, SendOptions, Submission
from gateway.outcome import REPLIES, Accepted, Cause, Deferred, Refused, reply_for
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer, VendorAccount
from gateway.vendors.relaypost import DIALECT, VENDOR, read_answer
from tests.content.spooled import crlf, spooled

KEY = "rp_live_secret_0123456789"
OWN = VendorAccount(VENDOR.default_url, KEY, own_key=True)
OPERATOR = VendorAccount(VENDOR.default_url, KEY, own_key=False)
PLAIN = "From: shop@shop.example\nTo: ann@cust.example\nSubject: Hello\n\nHello Ann.\n"
TAKEN = ApiAnswer(201, {}, b'{"data": {"message_id": "m1", "status": "queued"}}')


def submission(mail: str = PLAIN, *recipients: str, **options: Any) -> Submission:
    content = read_content(spooled(crlf(mail)))
    return Submission("id1", Envelope("", recipients or ("ann@cust.example",)), content, SendOptions(**options))


def send(given: Submission, account: VendorAccount = OWN, *answers: ApiAnswer) -> tuple[list[dict], list[str], Any]:
    """The documents sent, the report, and the outcomes; without answers every request is taken."""
    translation, waiting, documents = VENDOR.translate(account, given), iter(answers), []
    try:
        request = next(translation.exchange)
        while True:
            documents.append(json.loads(b"".join(JsonBody(request.json).pieces())))
            request = translation.exchange.send(next(waiting, TAKEN))
    except StopIteration as stop:
        return documents, list(translation.report), stop.value


def answer(status: int, body: Any = b"", **headers: str) -> ApiAnswer:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, octets)


# -- the base URL


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.relaypost.dev/v1", "https://api.relaypost.dev/v1"),
        ("https://api.relaypost.dev/v1/", "https://api.relaypost.dev/v1"),
        ("https://relaypost.dev/api/v1", "https://relaypost.dev/api/v1"),
        ("https://relaypost.dev/api/v1/api/v1", "https://relaypost.dev/api/v1"),
        ("https://relaypost.dev/api/v1/v1/", "https://relaypost.dev/api/v1"),
        ("https://api.relaypost.dev/v1/api/v1", "https://api.relaypost.dev/v1"),
        ("https://api.relaypost.dev/v1/v1", "https://api.relaypost.dev/v1"),
        ("http://127.0.0.1:8025/sandbox/relaypost/v1", "http://127.0.0.1:8025/sandbox/relaypost/v1"),
        ("https://proxy.example/v1x/relay", "https://proxy.example/v1x/relay"),
    ],
)
def test_both_generations_of_the_base_work_and_no_prefix_is_doubled(url, base):
    account = VendorAccount(url, KEY)
    assert next(VENDOR.translate(account, submission()).exchange).url == f"{base}/emails/send"
    assert next(VENDOR.check_key(account)).url == f"{base}/emails?limit=1"


# -- keys


def checked(*answers: ApiAnswer | NoAnswer) -> tuple[list[ApiRequest], bool | None]:
    exchange, asked = VENDOR.check_key(OWN), []
    try:
        asked.append(next(exchange))
        for one in answers:
            asked.append(exchange.send(one))
    except StopIteration as stop:
        return asked, stop.value
    raise AssertionError("the exchange did not end")


@pytest.mark.parametrize(
    ("answers", "good"),
    [
        ([answer(200, {"data": []})], True),
        ([answer(401)], False),
        ([answer(403)], True),
        ([answer(429)], None),
        ([answer(500)], None),
        ([answer(302)], None),
        ([NoAnswer(True, "cut")], None),
        ([answer(404), answer(200)], True),
        ([answer(404), answer(401)], False),
        ([answer(404), answer(404)], None),
    ],
)
def test_a_key_is_good_bad_or_nobody_can_say(answers, good):
    asked, told = checked(*answers)
    assert told is good
    assert {one.method for one in asked} == {"GET"}
    assert all(one.json is None and one.headers["Authorization"] == f"Bearer {KEY}" for one in asked)


# -- what other dialects ask for


def test_a_template_takes_the_place_of_the_bodies_and_keeps_the_subject():
    (document,), report, _ = send(submission(template="welcome", variables={"name": "Ann"}))
    assert document == {
        "from": {"email": "shop@shop.example"},
        "to": [{"email": "ann@cust.example"}],
        "template_id": "welcome",
        "subject": "Hello",
        "template_data": {"name": "Ann"},
    }
    assert report == ["the text comes from the template: the message's own is not carried"]


def test_a_template_needs_neither_subject_nor_text():
    (document,), report, _ = send(submission("From: a@b.example\nTo: ann@cust.example\n\n", template="t1"))
    assert document == {
        "from": {"email": "a@b.example"}, "to": [{"email": "ann@cust.example"}], "template_id": "t1",
    }  # fmt: skip
    assert report == []


def test_a_scheduled_time_travels_as_it_is():
    (document,), report, _ = send(submission(scheduled_at="2026-11-22T08:00:00Z"))
    assert (document["scheduled_at"], report) == ("2026-11-22T08:00:00Z", [])


def test_everything_the_api_has_no_place_for_is_left_out_and_reported_by_name():
    asked = submission(
        PLAIN.replace("Subject", "Reply-To: help@shop.example\nSubject"),
        tags=("a", "b"), metadata={"order": "77"}, stream="broadcast", track_opens=True, idempotency_key="k1",
    )  # fmt: skip
    (document,), report, _ = send(asked)
    assert document.keys() == {"from", "to", "subject", "text"}
    told = "\n".join(report)
    for words in ("Reply-To", "tags (a, b)", "metadata (order)", "stream broadcast", "tracking", "idempotency key"):
        assert words in told
    assert "help@shop.example" not in json.dumps(document)


def test_the_dialect_asks_for_nothing():
    fields = read_content(spooled(crlf(PLAIN.replace("Subject", "X-RelayPost-Tags: a\nSubject")))).fields
    options = VENDOR.read_dialect(fields)
    assert replace(options, report=()) == SendOptions()
    assert options.report == ("X-RelayPost-Tags has no meaning here and was taken out",)


# -- answers


@pytest.mark.parametrize("cause", Cause)
def test_every_reply_is_the_fields_own_with_its_enhanced_status_code(cause):
    assert DIALECT.enhanced_status_codes
    reply = reply_for(cause, "why", DIALECT.wording)
    assert (reply.code, reply.enhanced) == (REPLIES[cause].code, REPLIES[cause].enhanced)
    assert reply.enhanced[0] == str(reply.code)[0]


@pytest.mark.parametrize(
    ("status", "cause"),
    [(300, Cause.UNAVAILABLE), (302, Cause.UNAVAILABLE), (404, Cause.UNAVAILABLE), (405, Cause.UNAVAILABLE),
     (408, Cause.UNAVAILABLE), (429, Cause.RATE_LIMITED), (500, Cause.UNAVAILABLE), (502, Cause.UNAVAILABLE),
     (503, Cause.UNAVAILABLE)],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "text"}', b'{"error": null}', b"\xff"])
def test_what_may_pass_is_temporary_whatever_the_body_is(status, cause, body):
    outcome = read_answer(answer(status, body), OWN)
    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.reason) == (cause, f"the API answered HTTP {status}")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "text"}', b'{"error": {"details": 5}}'])
@pytest.mark.parametrize("status", [400, 409, 418, 422])
def test_other_refusals_without_a_reason_are_told_by_their_status(status, body):
    assert read_answer(answer(status, body), OPERATOR) == Refused(Cause.INVALID, f"the API answered HTTP {status}")


def test_a_template_that_is_not_there_refuses_the_message():
    missing = answer(404, {"error": {"code": "NOT_FOUND", "message": "Resource not found"}})
    _, _, outcomes = send(submission(template="t1"), OWN, missing)
    assert outcomes == {"ann@cust.example": Refused(Cause.INVALID, "Resource not found")}


@pytest.mark.parametrize("headers", [{"x_ratelimit_remaining": "1"}, {}, {"x_ratelimit_limit": "0"}])
def test_a_rate_limit_that_is_not_used_up_is_not_reported(headers):
    assert send(submission(), OWN, answer(201, {}, **headers))[1] == []


def test_a_used_up_rate_limit_is_reported_once_and_without_hostile_words():
    hidden = submission(PLAIN, "x@cust.example", "y@cust.example")
    used_up = answer(201, {}, x_ratelimit_remaining="0", x_ratelimit_limit="\x1b[31m lots")
    _, report, _ = send(hidden, OWN, used_up, used_up)
    assert report[1:] == ["the rate limit is used up"]


SUPPRESSED = {"error": {"code": "RECIPIENTS_SUPPRESSED", "message": "@"}}


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("ann@cust.example", True), ("Suppressed: ANN@CUST.EXAMPLE.", True), ("<ann@cust.example>", True),
        ("joann@cust.example", False), ("o'ann@cust.example", False), ("ann@cust.example.org", False),
        ("ann@cust.example-x", False), ("x.ann@cust.example", False), ("nobody", False),
    ],
)  # fmt: skip
def test_a_suppressed_recipient_is_left_out_only_when_it_is_named_exactly(message, named):
    two = submission(PLAIN, "ann@cust.example", "bob@cust.example")
    refusal = answer(400, {"error": {"code": "RECIPIENTS_SUPPRESSED", "message": message}})
    documents, _, outcomes = send(two, OWN, refusal)
    if named:
        assert documents[1]["to"] == [{"email": "bob@cust.example"}]
        assert outcomes == {
            "ann@cust.example": Refused(Cause.SUPPRESSED, "suppressed"),
            "bob@cust.example": Accepted("m1"),
        }
    else:
        assert len(documents) == 1
        assert {one.cause for one in outcomes.values()} == {Cause.FORBIDDEN}


def test_one_recipient_in_two_spellings_is_one_recipient():
    twice = submission(PLAIN, "ann@cust.example", "ANN@cust.example")
    _, _, outcomes = send(twice, OWN, answer(400, SUPPRESSED))
    assert {one.cause for one in outcomes.values()} == {Cause.SUPPRESSED}


WORDS = st.sampled_from(["ann@cust.example", "bob@cust.example", KEY, "RECIPIENTS_SUPPRESSED", "", "x" * 50])
VALUES = st.recursive(WORDS | st.integers() | st.none(), lambda one: st.lists(one) | st.dictionaries(WORDS, one))
ERRORS = st.fixed_dictionaries({}, optional={"code": WORDS | VALUES, "message": VALUES, "details": VALUES})


@given(st.integers(200, 599), ERRORS, st.booleans())
def test_any_answer_ends_in_an_outcome_for_everybody_and_never_shows_the_key(status, error, own_key):
    paths = ("ann@cust.example", "bob@cust.example")
    account = replace(OWN, own_key=own_key)
    _, report, outcomes = send(submission(PLAIN, *paths), account, answer(status, {"error": error, "data": error}))
    assert outcomes.keys() == set(paths)
    assert KEY not in f"{outcomes}{report}"
