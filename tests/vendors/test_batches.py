"""Several messages in one request: what is asked, whose each answer is, and that a bad one takes down nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batch import TOGETHER_OCTETS, TOGETHER_RECIPIENTS
from gateway.features import honours_idempotency
from gateway.outcome import Accepted, Cause, Deferred, Refused, Unknown
from gateway.vendor import (
    ApiAnswer,
    ApiRequest,
    NoAnswer,
    VendorAccount,
    batch_key,
    batch_submissions,
    load,
    translate_batch,
)

from .batches import answer, canned, drive, json_of, sized, submission

POSTMARK, POSTSTACK, POSTSCALE, RELAYPOST = map(load, ("postmark", "poststack", "postscale", "relaypost"))
ACCOUNT = VendorAccount("https://api.example", "the-key", own_key=True)
NAMES = "abcdefgh"


def some(count: int, **options: Any) -> list[Any]:
    return [submission(name, f"{name}@cust.example", **options) for name in NAMES[:count]]


def ok(message_id: str) -> dict[str, Any]:
    return {"To": "x", "MessageID": message_id, "ErrorCode": 0, "Message": "OK"}


def error(code: int, text: str = "why") -> dict[str, Any]:
    return {"ErrorCode": code, "Message": text}


def honest(request: ApiRequest, refuse_with: ApiAnswer, bad: str = "") -> ApiAnswer:
    """A Postmark that takes everything but a request with a message of this subject in it."""
    document = json_of(request)
    listed = document if isinstance(document, list) else [document]
    if bad in [one["Subject"] for one in listed]:
        return refuse_with
    items = [ok(one["Subject"]) for one in listed]
    return answer(200, items if isinstance(document, list) else items[0])


# -- what is asked


def test_postmark_gets_a_bare_array_of_what_single_sends_would_say():
    done = drive(POSTMARK, ACCOUNT, some(3), canned(answer(200, [ok("1"), ok("2"), ok("3")])))
    ((path, document),) = done.requests
    assert path == "/email/batch"
    assert document == [json_of(next(POSTMARK.translate(ACCOUNT, one).exchange)) for one in some(3)]
    assert done.only == [Accepted("1"), Accepted("2"), Accepted("3")]


def test_messages_with_a_template_travel_apart_from_those_without():
    plain, templated = some(2), [submission(name, "t@cust.example", template="welcome") for name in "xy"]
    mixed = [plain[0], templated[0], plain[1], templated[1]]
    done = drive(POSTMARK, ACCOUNT, mixed, canned(answer(200, [ok("a"), ok("b")]), answer(200, [ok("x"), ok("y")])))
    assert done.paths == ["/email/batch", "/email/batchWithTemplates"]
    assert [one["TemplateAlias"] for one in done.requests[1][1]["Messages"]] == ["welcome", "welcome"]
    assert done.only == [Accepted(name) for name in "axby"]
    assert len({batch_key(POSTMARK, one) for one in mixed}) == 2


def test_post_stack_gets_each_ones_idempotency_key_in_its_own_entry():
    done = drive(POSTSTACK, ACCOUNT, some(2), canned(answer(202, {"data": [{"id": "em_1"}, {"id": "em_2"}]})))
    ((path, document),) = done.requests
    assert path == "/emails/batch"
    assert [one["idempotency_key"] for one in document["emails"]] == ["a", "b"]
    assert done.only == [Accepted("em_1"), Accepted("em_2")]


def test_only_vendors_with_a_documented_answer_are_sent_batches():
    assert [batch_submissions(one) for one in (POSTMARK, POSTSTACK, POSTSCALE, RELAYPOST)] == [500, 100, 1, 1]
    assert batch_key(RELAYPOST, some(1)[0]) is None
    asked = canned(answer(202, {"message_id": "1"}), answer(202, {"message_id": "2"}))
    done = drive(POSTSCALE, ACCOUNT, some(2), asked)
    assert (done.paths, done.only) == (["/send", "/send"], [Accepted("1"), Accepted("2")])


def test_only_post_stack_knows_a_repetition_by_its_key():
    vendors = (POSTMARK, POSTSTACK, POSTSCALE, RELAYPOST)
    assert [honours_idempotency(one.can) for one in vendors] == [False, True, False, False]


def test_one_alone_is_an_ordinary_send():
    done = drive(POSTMARK, ACCOUNT, some(1), canned(answer(200, ok("1"))))
    assert (done.paths, done.only) == (["/email"], [Accepted("1")])


def test_what_cannot_be_said_at_all_is_refused_without_a_request_and_keeps_nobody():
    crowd = submission("crowd", *(f"{number}@cust.example" for number in range(51)))
    done = drive(POSTMARK, ACCOUNT, [crowd, *some(1)], canned(answer(200, ok("1"))))
    assert {type(one) for one in done.outcomes[0].values()} == {Refused}
    assert done.outcomes[1] == {"a@cust.example": Accepted("1")}


def test_reports_are_told_for_each():
    tagged = submission("t", "t@cust.example", tags=("one", "two"))
    done = drive(POSTMARK, ACCOUNT, [*some(1), tagged], canned(answer(200, [ok("1"), ok("2")])))
    assert ["only the first tag" in " ".join(one) for one in done.reports] == [False, True]


# -- the limits


@pytest.mark.parametrize(
    "crowd",
    [
        [sized(one, TOGETHER_OCTETS // 2) for one in some(3)],
        [sized(one, TOGETHER_OCTETS * 2) for one in some(3)],
        [submission(name, *(f"{n}@cust.example" for n in range(50))) for name in map(str, range(100))],
        [submission(str(number), "a@cust.example") for number in range(501)],
    ],
    ids=["octets", "each too large", "recipients", "messages"],
)
def test_a_request_stays_within_the_limits(crowd):
    sizes = []

    def asked(request: ApiRequest) -> ApiAnswer:
        document = json_of(request)
        listed = document if isinstance(document, list) else [document]
        sizes.append(len(listed))
        return honest(request, answer(500))

    done = drive(POSTMARK, ACCOUNT, crowd, asked)
    assert all(set(one.values()) == {Accepted(sent.message_id)} for one, sent in zip(done.outcomes, crowd, strict=True))
    each = max(one.content.size_octets for one in crowd)
    assert all(size <= 500 and size * each <= max(TOGETHER_OCTETS, each) for size in sizes)
    assert all(size * len(crowd[0].envelope.forward_paths) <= TOGETHER_RECIPIENTS for size in sizes)
    assert sum(sizes) == len(crowd)


def test_two_messages_of_one_idempotency_key_never_share_a_request():
    twice = [submission(name, "a@cust.example", idempotency_key="same") for name in "xy"]
    taken = answer(202, {"data": [{"id": "em_1"}, {"id": "em_2"}]})
    done = drive(POSTSTACK, ACCOUNT, [*some(1), *twice], canned(taken, answer(202, {"id": "em_2", "replayed": True})))
    assert [len(document.get("emails", "1")) for _, document in done.requests] == [2, 1]
    assert done.only == [Accepted("em_1"), Accepted("em_2"), Accepted("em_2")]


# -- the answers


def test_each_item_is_read_as_a_single_answer_would_be():
    items = [ok("1"), error(406), error(300), error(100), error(10), error(429)]
    done = drive(POSTMARK, ACCOUNT, some(6), canned(answer(200, items)))
    assert done.only == [
        Accepted("1"), Refused(Cause.SUPPRESSED, "why"), Refused(Cause.INVALID, "why"),
        Deferred(Cause.UNAVAILABLE, "why"), Refused(Cause.KEY_REFUSED, "why"), Deferred(Cause.RATE_LIMITED, "why"),
    ]  # fmt: skip


def test_recipients_of_one_item_keep_their_own_outcomes():
    pair = submission("pair", "a@cust.example", "b@cust.example")
    told = {**ok("1"), "Message": "Message OK, but will not deliver to these inactive addresses: b@cust.example."}
    done = drive(POSTMARK, ACCOUNT, [pair, *some(1)], canned(answer(200, [told, ok("2")])))
    assert [type(one) for one in done.outcomes[0].values()] == [Accepted, Refused]
    assert done.outcomes[1] == {"a@cust.example": Accepted("2")}


def test_what_has_to_be_sent_once_more_goes_together_again():
    pairs = [submission(name, f"{name}@cust.example", "gone@cust.example") for name in "xy"]
    inactive = error(406, "Found inactive addresses: gone@cust.example. Inactive recipients are such.")
    done = drive(POSTMARK, ACCOUNT, pairs, canned(answer(200, [inactive, inactive]), answer(200, [ok("x"), ok("y")])))
    assert done.paths == ["/email/batch", "/email/batch"]
    assert [one["To"] for one in done.requests[1][1]] == ["x@cust.example", "y@cust.example"]
    assert [[type(one) for one in outcomes.values()] for outcomes in done.outcomes] == [[Accepted, Refused]] * 2


@pytest.mark.parametrize("body", [b"", b"OK", b"{}", [ok("1")], [ok("1")] * 3, [], b'[{"ErrorCode": 0}, '])
def test_when_nobody_can_say_whose_an_item_is_every_outcome_is_unknown(body):
    done = drive(POSTMARK, ACCOUNT, some(2), canned(answer(200, body)))
    assert [type(one) for one in done.only] == [Unknown, Unknown]
    assert len(done.requests) == 1


@pytest.mark.parametrize("item", [None, {}, "OK", 5, [], {"Message": "OK"}, {"ErrorCode": None}, {"MessageID": ""}])
def test_an_item_that_says_nothing_is_unknown_and_keeps_nobody(item):
    done = drive(POSTMARK, ACCOUNT, some(3), canned(answer(200, [ok("1"), item, ok("3")])))
    assert [type(one) for one in done.only] == [Accepted, Unknown, Accepted]


@pytest.mark.parametrize("item", [None, {}, "OK", {"id": 5}, {"id": ""}, {"error": None}, {"id": "em_1", "error": "x"}])
def test_an_item_of_post_stack_that_says_nothing_is_unknown(item):
    done = drive(POSTSTACK, ACCOUNT, some(2), canned(answer(202, {"data": [item, {"id": "em_2"}]})))
    assert [type(one) for one in done.only] == [Unknown, Accepted]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("invalid_request", Refused(Cause.INVALID, "why")),
        ("not_found", Refused(Cause.INVALID, "why")),
        ("unprocessable_entity", Refused(Cause.INVALID, "why")),
        ("forbidden", Refused(Cause.FORBIDDEN, "why")),
        ("unauthorized", Refused(Cause.KEY_REFUSED, "why")),
        ("conflict", Deferred(Cause.UNAVAILABLE, "why")),
        ("internal_error", Deferred(Cause.UNAVAILABLE, "why")),
        ("daily_limit_exceeded", Deferred(Cause.RATE_LIMITED, "why", 3600.0)),
    ],
)
def test_a_known_code_in_an_item_of_post_stack_means_its_status(code, outcome):
    items = [{"id": "em_1"}, {"error": "why", "code": code}]
    done = drive(POSTSTACK, ACCOUNT, some(2), canned(answer(202, {"data": items})))
    assert done.only == [Accepted("em_1"), outcome]


@pytest.mark.parametrize("item", [{"error": "why"}, {"error": "why", "code": "rate_limit_exceeded"}])
def test_an_item_that_was_not_taken_and_does_not_say_why_is_sent_alone(item):
    limited = answer(429, {"error": "slow down", "code": "rate_limit_exceeded"}, retry_after="30")
    done = drive(POSTSTACK, ACCOUNT, some(3), canned(answer(202, {"data": [item, {"id": "em_2"}, item]}), limited))
    assert done.paths == ["/emails/batch", "/emails"]
    assert done.requests[1][1]["idempotency_key"] == "a"
    waits = Deferred(Cause.RATE_LIMITED, "slow down", 30.0)
    assert done.only == [waits, Accepted("em_2"), waits]


def test_a_replay_and_test_mode_are_told_in_the_report_of_their_message():
    items = [{"id": "em_1"}, {"id": "em_2", "replayed": True, "test_mode": True}]
    done = drive(POSTSTACK, ACCOUNT, some(2), canned(answer(202, {"data": items})))
    assert [len([one for one in report if one.startswith(("replayed", "test mode"))]) for report in done.reports] == [
        0, 2,
    ]  # fmt: skip


# -- the whole request


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (answer(401, error(10)), Refused(Cause.KEY_REFUSED, "why")),
        (answer(422, error(405)), Refused(Cause.FORBIDDEN, "why")),
        (answer(429, error(429), retry_after="30"), Deferred(Cause.RATE_LIMITED, "why", 30.0)),
        (answer(503, error(100)), Deferred(Cause.UNAVAILABLE, "why")),
        (answer(500, error(101), retry_after="30"), Deferred(Cause.UNAVAILABLE, "why", 30.0)),
        (answer(302), Deferred(Cause.UNAVAILABLE, "the API answered HTTP 302")),
        (NoAnswer(False, "refused"), Deferred(Cause.UNAVAILABLE, "refused")),
        (NoAnswer(True, "cut"), Unknown("cut")),
    ],
)
def test_what_concerns_all_falls_on_every_message_with_one_request(told, outcome):
    done = drive(POSTMARK, ACCOUNT, some(4), canned(told))
    assert done.only == [outcome] * 4


def test_after_no_answer_what_was_not_sent_yet_is_deferred_and_not_unknown():
    crowd = [sized(one, TOGETHER_OCTETS) for one in some(3)]
    done = drive(POSTMARK, ACCOUNT, crowd, canned(answer(200, ok("1")), NoAnswer(True, "cut")))
    assert done.only == [Accepted("1"), Unknown("cut"), Deferred(Cause.UNAVAILABLE, "not sent, after cut")]


@pytest.mark.parametrize("told", [answer(413), answer(422, error(402)), answer(422, error(300)), answer(404)])
@pytest.mark.parametrize("bad", NAMES)
def test_one_bad_message_takes_down_nobody_else(told, bad):
    done = drive(POSTMARK, ACCOUNT, some(8), lambda request: honest(request, told, bad))
    assert [isinstance(one, Accepted) for one in done.only] == [name != bad for name in NAMES]
    assert isinstance(done.only[NAMES.index(bad)], Refused)
    assert len(done.requests) <= 7


@pytest.mark.parametrize("bad", NAMES)
def test_a_message_over_which_the_vendor_fails_takes_down_nobody_else(bad):
    done = drive(POSTMARK, ACCOUNT, some(8), lambda request: honest(request, answer(500, error(101)), bad))
    assert [isinstance(one, Accepted) for one in done.only] == [name != bad for name in NAMES]
    assert done.only[NAMES.index(bad)] == Deferred(Cause.UNAVAILABLE, "why")
    assert len(done.requests) <= 10


@pytest.mark.parametrize("vendor", [POSTMARK, POSTSCALE])
def test_a_vendor_that_fails_over_every_message_is_asked_for_two_and_no_more(vendor):
    done = drive(vendor, ACCOUNT, some(8), lambda _: answer(500))
    assert {type(one) for one in done.only} == {Deferred}
    assert len(done.requests) == (2 if batch_submissions(vendor) == 1 else 3)


def test_a_key_that_may_not_send_at_all_is_asked_for_two_and_refuses_nobody_unsent():
    refusal = answer(403, {"error": "no permission", "code": "forbidden"})
    done = drive(POSTSTACK, ACCOUNT, some(8), lambda _: refusal)
    refused = Refused(Cause.FORBIDDEN, "no permission")
    assert done.only == [refused] * 2 + [Deferred(Cause.UNAVAILABLE, "not sent, after HTTP 403")] * 6
    assert len(done.requests) == 3


@pytest.mark.parametrize("bad", NAMES)
def test_a_sender_whom_the_key_may_not_send_for_takes_down_nobody_else(bad):
    def asked(request: ApiRequest) -> ApiAnswer:
        document = json_of(request)
        listed = document.get("emails", [document])
        if bad in [one["subject"] for one in listed]:
            return answer(403, {"error": "no permission", "code": "forbidden"})
        items = [{"id": f"em_{one['subject']}"} for one in listed]
        return answer(202, {"data": items} if "emails" in document else items[0])

    done = drive(POSTSTACK, ACCOUNT, some(8), asked)
    assert [isinstance(one, Accepted) for one in done.only] == [name != bad for name in NAMES]


def test_a_vendor_without_its_batch_call_still_gets_every_message():
    def asked(request: ApiRequest) -> ApiAnswer:
        return honest(request, answer(500)) if request.url.endswith("/email") else answer(404)

    assert drive(POSTMARK, ACCOUNT, some(5), asked).only == [Accepted(name) for name in NAMES[:5]]


# -- whatever is answered

ITEMS = st.sampled_from([ok("1"), error(300), error(100), None, {}, {"id": "em_1"}, {"error": "x"}, "x"])
LISTS = st.lists(ITEMS, max_size=6)
BODIES = st.one_of(st.binary(max_size=20), LISTS, st.builds(lambda data: {"data": data}, LISTS))
ANSWERS = st.one_of(
    st.builds(answer, st.sampled_from([200, 202, 302, 400, 401, 403, 413, 422, 429, 500]), BODIES),
    st.builds(NoAnswer, st.booleans(), st.just("why")),
)


@given(st.data(), st.sampled_from([POSTMARK, POSTSTACK, POSTSCALE]), st.integers(1, 6))
def test_whatever_is_answered_all_have_an_outcome_and_what_may_be_taken_is_not_sent_again(data, vendor, count):
    sent: dict[str, int] = {}

    def asked(request: ApiRequest) -> ApiAnswer | NoAnswer:
        told = data.draw(ANSWERS)
        if isinstance(told, NoAnswer) and told.wholly_written:
            document = json_of(request)
            listed = document if isinstance(document, list) else document.get("emails", [document])
            for one in listed:
                name = one.get("Subject") or one["subject"]
                sent[name] = sent.get(name, 0) + 1
        return told

    done = drive(vendor, ACCOUNT, some(count), asked)
    assert [list(one) for one in done.outcomes] == [list(one.envelope.forward_paths) for one in some(count)]
    assert all(number == 1 for number in sent.values())
    assert all(isinstance(done.only[NAMES.index(name)], Unknown) for name in sent)


def test_nothing_to_send_asks_nothing():
    translation = translate_batch(POSTMARK, ACCOUNT, [])
    with pytest.raises(StopIteration) as stop:
        next(translation.exchange)
    assert stop.value.value == []
