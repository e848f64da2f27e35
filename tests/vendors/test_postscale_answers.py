"""What each answer of Postscale's API means, in every shape its documentation and its clients know; and keys."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outcome import Accepted, Cause, Deferred, Refused, Unknown, reply_for
from gateway.vendor import ApiAnswer, NoAnswer
from gateway.vendors.postscale import DIALECT, VENDOR

from .submissions import KEY, OPERATOR, OWN, PLAIN, answer, drive, outcome_of, submission

SHAPES = [
    {"error": "the text"},
    {"error": "a_code", "message": "the text"},
    {"error": {"code": "a_code", "message": "the text"}},
    {"code": "a_code", "message": "the text"},
]
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_error_shapes_give_their_text(shape):
    assert outcome_of(answer(400, shape)) == Refused(Cause.INVALID, "the text")


@pytest.mark.parametrize(
    "shape", [{"error": {"code": "a_code"}}, {"code": "a_code"}, {"error": "a_code", "message": 5}]
)
def test_a_code_alone_is_better_than_nothing(shape):
    assert outcome_of(answer(400, shape)) == Refused(Cause.INVALID, "a_code")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"error": null}', b"\xff\xfe", b"[" * 300_000, b'{"error":" "}']
)
def test_a_body_without_a_reason_is_told_by_its_status(body):
    assert outcome_of(answer(400, body)) == Refused(Cause.INVALID, "the API answered HTTP 400")


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, Cause.INVALID), (404, Cause.INVALID), (409, Cause.INVALID), (418, Cause.INVALID),
        (401, Cause.KEY_REFUSED), (403, Cause.FORBIDDEN), (413, Cause.TOO_LARGE), (422, Cause.SUPPRESSED),
    ],
)  # fmt: skip
def test_permanent_refusals_of_the_clients_own_key(status, cause):
    assert outcome_of(answer(status, {"error": "why"})) == Refused(cause, "why")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_of_the_operator_makes_the_message_wait(status):
    assert outcome_of(answer(status, {"error": "why"}), OPERATOR) == Deferred(Cause.OPERATOR_KEY_REFUSED, "why")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_other_refusals_are_the_messages_fault_whosever_key_it_is(status):
    assert outcome_of(answer(status), OPERATOR) == outcome_of(answer(status), OWN)


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("account", [OWN, OPERATOR], ids=["own key", "operator's key"])
@pytest.mark.parametrize(
    "text",
    [
        "domain shop.example is not verified",
        "Unverified sender domain",
        "domain not registered",
        "DKIM verification pending",
    ],
)
def test_an_unverified_from_domain_is_told_as_such_by_either_status(status, account, text):
    assert outcome_of(answer(status, {"error": text}), account) == Refused(Cause.SENDER_UNVERIFIED, text)


@pytest.mark.parametrize("status", [300, 302, 304, 408, 500, 502, 503, 504, 599])
def test_faults_of_the_vendor_are_temporary(status):
    outcome = outcome_of(answer(status, b"<html>Bad Gateway</html>"))
    assert outcome == Deferred(Cause.UNAVAILABLE, f"the API answered HTTP {status}")


@pytest.mark.parametrize(
    ("body", "message_id"),
    [
        (b'{"message_id": "x@y", "status": "queued"}', "x@y"),
        (b'{"message_id": "x@y", "status": "simulated", "environment": "test"}', "x@y"),
        (b"OK: queued", ""), (b"", ""), (b"[]", ""), (b'{"message_id": 5}', ""), (b'{"a":' * 100_000, ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 202])
def test_success_counts_whatever_its_body_is(status, body, message_id):
    assert outcome_of(answer(status, body)) == Accepted(message_id)


def test_no_answer_is_unknown_only_when_the_request_was_wholly_written():
    assert outcome_of(NoAnswer(True, "cut")) == Unknown("cut")
    assert outcome_of(NoAnswer(False, "refused")) == Deferred(Cause.UNAVAILABLE, "refused")


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry_after": "30"}, {"retry_after_seconds": 99}, 30.0),
        ({"retry_after": " 0 "}, {}, 0.0),
        ({"retry_after": DATE, "date": "Wed, 21 Oct 2015 07:27:00 GMT"}, {}, 60.0),
        ({"retry_after": DATE, "date": "Wed, 21 Oct 2015 07:29:00 GMT"}, {}, 0.0),
        ({"retry_after": DATE}, {"retry_after_seconds": 7}, 7.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 -0000", "date": DATE}, {}, None),
        ({"retry_after": "Wed, 21 Oct 99999 07:28:00 GMT", "date": DATE}, {}, None),
        ({"retry_after": "-5"}, {"retry_after_seconds": 7}, 7.0),
        ({"retry_after": "soon"}, {}, None),
        ({"retry_after": "²"}, {}, None),
        ({}, {"retry_after_seconds": 12.5}, 12.5),
        ({}, {"retry_after_seconds": -1}, None),
        ({}, {"retry_after_seconds": True}, None),
        ({}, {"retry_after_seconds": "30"}, None),
        ({}, {}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("status", "cause"), [(429, Cause.RATE_LIMITED), (503, Cause.UNAVAILABLE)])
def test_retry_after_is_read_in_all_its_forms(status, cause, headers, body, seconds):
    outcome = outcome_of(answer(status, body, **headers))
    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.retry_after_seconds) == (cause, seconds)


@pytest.mark.parametrize(
    "given_answer",
    [answer(429, b"", retry_after="9" * 5000), answer(429, b'{"retry_after_seconds": ' + b"9" * 400 + b"}")],
    ids=["header", "body"],
)
def test_an_absurd_retry_after_is_capped_at_a_week(given_answer):
    outcome = outcome_of(given_answer)
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after_seconds == 7 * 24 * 3600


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 403, 404, 413, 422, 429, 500])
@pytest.mark.parametrize("account", [OWN, OPERATOR], ids=["own key", "operator's key"])
@pytest.mark.parametrize(
    "shape", [{"error": f"no {KEY}!"}, {"message": KEY}, {"error": {"message": KEY}}, {"message_id": KEY}]
)
def test_a_vendor_that_repeats_the_key_does_not_get_it_into_an_outcome(status, account, shape):
    assert KEY not in repr(outcome_of(answer(status, shape), account))


@pytest.mark.parametrize("wholly_written", [True, False])
def test_an_error_of_the_http_client_that_repeats_the_key_does_not_get_it_into_an_outcome(wholly_written):
    assert KEY not in repr(outcome_of(NoAnswer(wholly_written, f"ParseError: 'HTTP/1.1 Bearer {KEY}'")))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["error", "message", "code", "message_id", "retry_after_seconds", "status"])


@given(
    st.integers(200, 599),
    st.binary(max_size=40) | st.dictionaries(names, json_values).map(lambda one: json.dumps(one).encode()),
    st.text(max_size=20),
)
def test_no_answer_at_all_raises(status, body, retry_after):
    headers = {"retry-after": retry_after, "date": DATE}
    outcome = outcome_of(ApiAnswer(status, headers, body))
    if status == 202 or status >= 300:
        assert isinstance(outcome, Accepted) == (status < 300)
    else:  # a 2xx that is not the API's own may be an error in disguise
        assert isinstance(outcome, Accepted | Unknown)


@pytest.mark.parametrize("cause", list(Cause), ids=lambda one: one.name)
def test_every_cause_has_a_reply_that_is_temporary_or_permanent_as_it_should_be(cause):
    reply = reply_for(cause, "why", DIALECT.wording)
    temporary = {
        Cause.AUTHENTICATION_UNAVAILABLE, Cause.RATE_LIMITED, Cause.UNAVAILABLE, Cause.NEVER_ANSWERED,
        Cause.OPERATOR_KEY_REFUSED,
    }  # fmt: skip
    assert (reply.code // 100) == (4 if cause in temporary else 5)


# -- the request, and the question about a key


def test_the_request_carries_the_key_in_its_header_and_nowhere_else():
    (request,) = drive(submission(PLAIN, "ann@cust.example")).requests
    assert (request.method, request.url) == ("POST", "https://api.example/v1/send")
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Content-Type"] == "application/json"
    assert KEY not in request.url + str(request.json)


def ask(*answers: ApiAnswer | NoAnswer) -> bool | None:
    exchange = VENDOR.check_key(OWN)
    request = next(exchange)
    for number, one in enumerate(answers, 1):
        assert (request.method, request.json) == ("GET", None)
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        try:
            request = exchange.send(one)
        except StopIteration as stop:
            assert number == len(answers), "an answer was left over"
            good: bool | None = stop.value
            return good
    raise AssertionError("it asks on")


@pytest.mark.parametrize(
    ("given_answer", "good"),
    [
        (answer(200), True), (answer(204), True), (answer(403), True), (answer(401), False),
        (answer(301), None), (answer(400), None), (answer(408), None), (answer(429), None),
        (answer(500), None), (answer(503), None), (NoAnswer(True, ""), None), (NoAnswer(False, ""), None),
    ],
)  # fmt: skip
def test_a_key_is_bad_only_when_the_vendor_says_so(given_answer, good):
    assert ask(given_answer) is good
    assert ask(answer(404), given_answer) is good


def test_a_vendor_that_knows_neither_question_could_not_say():
    assert ask(answer(404), answer(404)) is None


# -- answers that are not the API's


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {"content_type": "text/html"}, b"<html>captive portal</html>"),
        (200, {}, {"error": "nope"}),
        (203, {"content_type": "Text/HTML; charset=utf-8"}, b""),
    ],
)
def test_a_success_that_is_not_the_apis_own_is_unknown(status, headers, body):
    assert isinstance(outcome_of(answer(status, body, **headers)), Unknown)


def test_a_202_is_the_apis_word_even_when_its_body_is_lost():
    assert outcome_of(answer(202, b'{"message_id": "m1@sh')) == Accepted("")


@pytest.mark.parametrize("status", [200, 403])
def test_a_web_page_decides_no_login(status):
    exchange = VENDOR.check_key(OWN)
    next(exchange)
    with pytest.raises(StopIteration) as stop:
        exchange.send(answer(status, b"<html>portal</html>", content_type="text/html"))
    assert stop.value.value is None


def test_to_verify_an_account_is_the_operators_affair():
    told = answer(403, {"error": "please complete identity verification of your account"})
    assert isinstance(outcome_of(told, OPERATOR), Deferred)
