"""PostStack: what its cases do not say: how the dialect's fields may be written, and that no answer raises."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.json_body import JsonBody
from gateway.content.reading import read_content
from gateway.features import HINTS, Feature
from gateway.message import Envelope, HeaderField, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, reply_for
from gateway.vendor import ApiAnswer, DialectError, NoAnswer, VendorAccount, load
from gateway.vendors.poststack import DIALECT, QUOTA_CODES, QUOTA_WAIT_SECONDS, VENDOR
from tests.content.spooled import crlf, spooled

KEY = "sk_live_secret_0123456789"
OWN = VendorAccount("https://api.example", KEY, own_key=True)
OPERATOR = VendorAccount("https://api.example", KEY, own_key=False)
TO = "ann@cust.example"
PLAIN = f"From: shop@shop.example\nTo: {TO}\nSubject: Hello\n\nHello Ann.\n"
ACCEPTED = ApiAnswer(202, {}, b'{"id": "em_1"}')


def submission(mail: str = PLAIN, *recipients: str, options: SendOptions | None = None) -> Submission:
    content = read_content(spooled(crlf(mail)))
    left = tuple(one for one in content.fields if not VENDOR.is_dialect_field(one.name))
    read = VENDOR.read_dialect(content.fields) if options is None else options
    return Submission("id1", Envelope("shop@shop.example", recipients or (TO,)), replace(content, fields=left), read)


def drive(
    given_submission: Submission, answers: Iterable[ApiAnswer | NoAnswer] = (ACCEPTED,), account: VendorAccount = OWN
) -> tuple[list[dict], dict[str, Outcome], list[str]]:
    """The documents asked with, the outcomes, the report."""
    waiting, documents = iter(answers), []
    translation = VENDOR.translate(account, given_submission)
    try:
        request = next(translation.exchange)
        while True:
            assert KEY not in request.url + str(request.json)
            documents.append(json.loads(b"".join(JsonBody(request.json).pieces())))
            request = translation.exchange.send(next(waiting))
    except StopIteration as stop:
        return documents, stop.value, list(translation.report)


def outcome_of(answer: ApiAnswer | NoAnswer, account: VendorAccount = OWN) -> Outcome:
    return drive(submission(), [answer], account)[1][TO]


def answer(status: int, body: object = None, **headers: str) -> ApiAnswer:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, octets)


def read(*fields: str) -> SendOptions:
    pairs = (field.split(":", 1) for field in fields)
    return VENDOR.read_dialect([HeaderField(name, body.strip()) for name, body in pairs])


# -- the dialect


def test_the_vendor_is_found_by_its_name():
    assert load("poststack") is VENDOR
    assert (DIALECT.name, DIALECT.user_name, DIALECT.mechanisms) == ("poststack", "poststack", ("PLAIN", "LOGIN"))


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        (["X-PostStack-Tags: a, b"], ("a", "b")),
        (["x-poststack-tags: a", "X-POSTSTACK-TAGS: b,a"], ("a", "b")),
        (["X-PostStack-Tags: =?utf-8?q?gr=C3=BCn=2C_a?="], ("grün", "a")),
        (["X-PostStack-Tags: ,, "], ()),
    ],
)
def test_tags_in_all_the_forms_that_clients_write(fields, tags):
    assert read(*fields).tags == tags


def test_a_field_that_is_repeated_with_the_same_value_or_empty_is_one_field():
    options = read(
        "X-PostStack-Idempotency-Key: k", "X-PostStack-Idempotency-Key: k", "X-PostStack-Idempotency-Key:",
        "X-PostStack-Template-Id:", "X-PostStack-Variables:",
    )  # fmt: skip
    assert options == SendOptions(idempotency_key="k")


@pytest.mark.parametrize(
    "body",
    ["{", "[]", "5", '"a"', "null", '{"a": 1}', '{"a": null}', '{"a": {}}', "{'a': 'b'}", '{"a":"b"} x',
     '{"a": "\\ud800"}', "[" * 100_000],
)  # fmt: skip
def test_bad_variables_are_refused_by_the_name_of_their_field(body):
    with pytest.raises(DialectError, match="X-PostStack-Variables is not a JSON object of strings"):
        read("X-PostStack-Template-Id: tpl_1", f"X-PostStack-Variables: {body}")


@pytest.mark.parametrize("value", ["welcome", "tpl_", "TPL_1", "tpl_a b", "tmpl_1"])
def test_what_is_no_template_id_is_refused(value):
    with pytest.raises(DialectError, match="tpl_"):
        read(f"X-PostStack-Template-Id: {value}")


@given(
    st.lists(st.tuples(st.sampled_from(["Tags", "Variables", "Template-Id", "Idempotency-Key", "", "X"]), st.text()))
)
def test_whatever_the_fields_hold_they_are_read_or_refused(fields):
    try:
        options = VENDOR.read_dialect([HeaderField(f"X-PostStack-{name}", body) for name, body in fields])
    except DialectError as error:
        assert "X-PostStack-" in str(error)
    else:
        assert options.template.startswith("tpl_") or not options.variables


# -- the request


def test_no_dialect_field_travels():
    mail = PLAIN.replace("\n\n", "\nX-PostStack-Tags: a\nx-poststack-foo: b\nX-PostStack: c\n\n", 1)
    ((document,), _, _) = drive(submission(mail))
    assert document["headers"] == {"X-PostStack": "c"}


@pytest.mark.parametrize(
    ("opens", "links", "tracking", "reported"),
    [
        (None, "", None, False),
        (True, "", {"opens": True}, False),
        (False, "none", {"opens": False, "clicks": False}, False),
        (None, "html", {"clicks": True}, False),
        (None, "html_and_text", {"clicks": True}, True),
        (None, "text", {"clicks": False}, True),
    ],
)
def test_tracking_on_off_and_unset(opens, links, tracking, reported):
    options = SendOptions(track_opens=opens, track_links=links)
    ((document,), _, report) = drive(submission(options=options))
    assert document.get("tracking") == tracking
    assert any("links in the text" in line for line in report) == reported


def test_a_time_to_send_at_travels():
    ((document,), _, _) = drive(submission(options=SendOptions(scheduled_at="2026-12-24T18:00:00Z")))
    assert document["scheduled_at"] == "2026-12-24T18:00:00Z"


def test_what_the_api_cannot_be_told_is_reported_by_name():
    options = SendOptions(metadata={"order": "77"}, stream="outbound", keep_message_id=True)
    _, _, report = drive(submission(options=options))
    assert [line.partition(":")[0] for line in report] == [
        "metadata (order)", "the message stream outbound", "keeping the Message-ID",
    ]  # fmt: skip
    assert frozenset(Feature) - VENDOR.can == {
        Feature.METADATA,
        Feature.STREAM,
        Feature.KEEP_MESSAGE_ID,
        Feature.TEST_BOUNCE,
    }
    assert frozenset({Feature.STREAM, Feature.KEEP_MESSAGE_ID, Feature.TEST_BOUNCE}) <= HINTS


def test_a_mailboxs_signature_is_never_added():
    for options in (SendOptions(), SendOptions(template="tpl_1")):
        assert drive(submission(options=options))[0][0]["signature"] == "none"


# -- the idempotency key


def test_the_key_is_the_same_on_every_attempt():
    same = submission()
    assert drive(same)[0] == drive(same)[0]
    assert drive(same)[0][0]["idempotency_key"] == "id1"


def test_a_client_that_repeats_with_its_own_key_is_said_in_the_same_words():
    def sent(number: int) -> dict:
        fields = (
            f"Date: Sat, 21 Nov 2026 16:00:0{number} +0000\nMessage-ID: <{number}@x>\nX-PostStack-Idempotency-Key: k"
        )
        return drive(submission(PLAIN.replace("\n\n", f"\n{fields}\n\n", 1)))[0][0]

    assert sent(1) == sent(2)


def test_a_message_id_that_is_to_be_kept_is_kept_beside_a_key_of_the_clients_own():
    mail = PLAIN.replace("\n\n", "\nDate: Sat, 21 Nov 2026 16:00:00 +0000\nMessage-ID: <1@x>\n\n", 1)
    options = SendOptions(idempotency_key="k", keep_message_id=True)
    assert drive(submission(mail, options=options))[0][0]["headers"] == {"Message-ID": "<1@x>"}


def test_the_rest_of_a_message_that_was_partly_taken_keeps_its_keys():
    mail = "From: shop@shop.example\nTo: list@else.example\nSubject: Hello\n\nHello.\n"
    limited = answer(429, {"error": "slow", "code": "rate_limit_exceeded"}, retry_after="1")
    first, outcomes, _ = drive(submission(mail, "a@y", "B@y", "c@y"), [ACCEPTED, limited])
    assert [isinstance(one, Accepted) for one in outcomes.values()] == [True, False, False]
    second, _, _ = drive(submission(mail, "B@y", "c@y"), [ACCEPTED, ACCEPTED])
    third, _, _ = drive(submission(mail, "B@y"))
    assert first[1] == second[0] == third[0]
    assert len({one["idempotency_key"] for one in (*first, *second)}) == 3


# -- the answers


@pytest.mark.parametrize("code", sorted(QUOTA_CODES))
@pytest.mark.parametrize("headers", [{}, {"retry_after": "5"}], ids=["without Retry-After", "with it"])
def test_a_quota_is_told_by_its_reason_and_asks_for_no_short_wait(code, headers):
    outcome = outcome_of(answer(429, {"error": "Monthly limit of 3,000 reached", "code": code}, **headers))
    assert outcome == Deferred(Cause.RATE_LIMITED, "Monthly limit of 3,000 reached", QUOTA_WAIT_SECONDS)
    reply = reply_for(outcome.cause, outcome.reason, DIALECT.wording)
    assert (reply.code, "Monthly limit of 3,000 reached" in reply.text) == (452, True)


def test_a_rate_limit_waits_as_long_as_it_says():
    outcome = outcome_of(answer(429, {"error": "Slow down", "code": "rate_limit_exceeded"}, retry_after="17"))
    assert outcome == Deferred(Cause.RATE_LIMITED, "Slow down", 17.0)


def test_a_quota_that_says_when_it_ends_is_believed():
    outcome = outcome_of(answer(429, {"code": "daily_limit_exceeded"}, retry_after="7200"))
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after_seconds == 7200.0


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("account", [OWN, OPERATOR], ids=["own key", "operator's key"])
def test_a_code_says_more_than_its_status(status, account):
    outcome = outcome_of(answer(status, {"error": "no", "code": "unauthorized"}), account)
    assert outcome.cause is (Cause.KEY_REFUSED if account is OWN else Cause.OPERATOR_KEY_REFUSED)


def test_a_key_that_cannot_be_verified_is_no_matter_of_the_from_domain():
    outcome = outcome_of(answer(401, {"error": "Key not verified", "code": "unauthorized"}))
    assert outcome == Refused(Cause.KEY_REFUSED, "Key not verified")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error": 5}', b"\xff", b"[" * 200_000])
def test_a_body_without_a_reason_is_told_by_its_status(body):
    assert outcome_of(answer(400, body)) == Refused(Cause.INVALID, "the API answered HTTP 400")
    assert outcome_of(answer(202, body)) == Accepted("")


@pytest.mark.parametrize("status", [202, 400, 401, 403, 404, 409, 422, 429, 500])
@pytest.mark.parametrize("account", [OWN, OPERATOR], ids=["own key", "operator's key"])
@pytest.mark.parametrize("body", [{"error": f"no {KEY}!"}, {"code": KEY}, {"id": KEY, "replayed": True}])
def test_a_vendor_that_repeats_the_key_gets_it_neither_into_an_outcome_nor_a_report(status, account, body):
    _, outcomes, report = drive(submission(), [answer(status, body)], account)
    assert KEY not in repr(outcomes) + repr(report)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.integers(200, 599),
    st.binary(max_size=40)
    | st.dictionaries(st.sampled_from(["error", "code", "id", "replayed"]), json_values).map(
        lambda one: json.dumps(one).encode()
    ),
    st.text(max_size=20),
)
def test_no_answer_at_all_raises(status, body, retry_after):
    outcome = outcome_of(ApiAnswer(status, {"retry-after": retry_after}, body))
    assert isinstance(outcome, Accepted) == (status < 300)


# -- the question about a key


@pytest.mark.parametrize(
    ("given_answer", "good"),
    [
        (answer(200), True), (answer(403), True), (answer(401), False),
        (answer(302), None), (answer(400), None), (answer(404), None), (answer(429), None), (answer(500), None),
        (NoAnswer(True, ""), None), (NoAnswer(False, ""), None),
    ],
)  # fmt: skip
def test_a_key_is_bad_only_when_the_vendor_says_so(given_answer, good):
    exchange = VENDOR.check_key(OWN)
    request = next(exchange)
    assert (request.method, request.url, request.json) == ("GET", "https://api.example/emails?per_page=1", None)
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    with pytest.raises(StopIteration) as stop:
        exchange.send(given_answer)
    assert stop.value.value is good
