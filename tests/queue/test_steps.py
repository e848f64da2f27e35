"""What an attempt changes of a stored message: by property over all outcomes, and case by case."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.attempts import Result
from gateway.message import Envelope
from gateway.outcome import Accepted, Cause, Deferred, Refused, Unknown
from gateway.queue.schedule import Schedule
from gateway.queue.steps import Rules, after_attempts, in_doubt, put_off, queued
from gateway.store.records import WAITING, Attempt, Recipient, State, StoredMessage

SCHEDULE = Schedule(60.0, 3600.0, 1000.0)
RETRY, HOLD = Rules(SCHEDULE), Rules(SCHEDULE, "hold", repeatable=frozenset({"idempotent"}))
PATHS = ("a@x.example", "b@x.example", "c@x.example")
OUTCOMES = st.sampled_from(
    [Accepted("v1"), Refused(Cause.INVALID, "no"), Deferred(Cause.UNAVAILABLE, "503"), Unknown("cut")]
)


def message(*recipients: Recipient) -> StoredMessage:
    return StoredMessage(
        message_id="m1",
        session_id="s1",
        received_at=0.0,
        account_name="x",
        account={},
        envelope=Envelope("", PATHS),
        recipients=recipients or tuple(Recipient(path, State.QUEUED) for path in PATHS),
        size_octets=1,
        mode="queued",
        lane="main/1",
        expires_at=1000.0,
        next_attempt_at=0.0,
    )


def result(outcomes, vendor="main", retry_after=None):
    attempt = Attempt(vendor, 0.0, 1.0, {}, retry_after_seconds=retry_after)
    return Result(outcomes, dict.fromkeys(outcomes, vendor), (attempt,))


@given(
    st.lists(st.sampled_from(list(State)), min_size=3, max_size=3),
    st.lists(OUTCOMES, min_size=3, max_size=3),
    st.sampled_from([RETRY, HOLD]),
    st.sampled_from(["main", "idempotent"]),
    st.floats(0, 5000),
)
def test_nobody_is_lost_and_whoever_has_ended_stays_ended(states, outcomes, rules, vendor, now):
    before = message(*(Recipient(path, state) for path, state in zip(PATHS, states, strict=True)))
    named = dict(zip(PATHS, outcomes, strict=True))
    asked = {path: named[path] for path in queued(before)}
    progress = after_attempts(before, result(asked, vendor), rules, now, 0.5)
    after = progress.message.recipients
    assert [one.path for one in after] == list(PATHS)
    for old, new in zip(before.recipients, after, strict=True):
        assert new == old or old.state is State.QUEUED
    waits = any(one.state is State.QUEUED for one in after)
    assert (progress.step.next_attempt_at is not None) is waits
    assert {one.path for one in progress.step.recipients} == set(asked)
    assert {one.path for one in progress.ended} == {one.path for one in after if one.path in asked} - {
        one.path for one in after if one.state in WAITING
    }
    # Each change has its event
    told = {(event.name, one["path"]) for event in progress.events for one in event.detail["recipients"]}
    for path, outcome in asked.items():
        state = next(one.state for one in after if one.path == path)
        if state is not State.QUEUED:
            assert (state.value, path) in told
        elif isinstance(outcome, Unknown):
            assert ("unknown", path) in told
        else:
            assert ("deferred", path) in told


def test_only_a_failed_attempt_at_or_after_the_time_expires_a_message():
    outcomes = {PATHS[0]: Deferred(Cause.UNAVAILABLE), PATHS[1]: Accepted(), PATHS[2]: Unknown()}
    before = after_attempts(message(), result(outcomes), RETRY, 999.9, 0.5)
    assert [one.state for one in before.message.recipients] == [State.QUEUED, State.RELAYED, State.QUEUED]
    after = after_attempts(message(), result(outcomes), RETRY, 1000.0, 0.5)
    assert [one.state for one in after.message.recipients] == [State.EXPIRED, State.RELAYED, State.EXPIRED]
    assert put_off(message(), 5000.0, 5.0, "main/1").message.recipients == message().recipients


@given(st.floats(0, 999), st.none() | st.floats(0, 10_000_000), st.floats(0, 1))
def test_no_wait_goes_beyond_the_time_at_which_a_message_expires(now, retry_after, chance):
    outcomes = dict.fromkeys(PATHS, Deferred(Cause.RATE_LIMITED, "429", retry_after))
    progress = after_attempts(message(), result(outcomes, retry_after=retry_after), RETRY, now, chance)
    wanted = SCHEDULE.next_attempt_at(now, 1, chance, retry_after)
    assert progress.step.next_attempt_at == min(wanted, 1000.0)
    last = after_attempts(message(), result(outcomes, retry_after=retry_after), RETRY, 1000.0, chance)
    assert [one.state for one in last.ended] == [State.EXPIRED] * len(PATHS)


def test_unknown_is_held_where_it_is_not_to_be_repeated_but_for_vendors_that_know_the_key():
    outcomes = {PATHS[0]: Unknown("cut")}
    states = [
        after_attempts(message(), result(outcomes, vendor), rules, 0.0, 0.5).message.recipients[0].state
        for rules, vendor in ((HOLD, "main"), (HOLD, "idempotent"), (RETRY, "main"))
    ]
    assert states == [State.HELD, State.QUEUED, State.QUEUED]


def test_a_deferral_after_an_unknown_outcome_forgets_neither_it_nor_the_vendor():
    unsure = Recipient(PATHS[0], State.QUEUED, is_unknown=True, vendor="first")
    outcomes = {PATHS[0]: Deferred(Cause.UNAVAILABLE, "down")}
    (after,) = after_attempts(message(unsure), result(outcomes, "second"), RETRY, 0.0, 0.5).message.recipients
    assert (after.is_unknown, after.vendor, after.reason) == (True, "first", "down")


def test_the_vendor_that_is_free_first_decides_when_it_is_asked_again():
    outcomes = {PATHS[0]: Deferred(Cause.RATE_LIMITED, "429")}
    one = after_attempts(message(), result(outcomes, retry_after=500.0), RETRY, 0.0, 0.5)
    assert one.step.next_attempt_at == 500.0
    both = replace(
        result(outcomes),
        attempts=tuple(Attempt("x", 0.0, 1.0, {}, retry_after_seconds=wait) for wait in (500.0, None)),
    )
    assert after_attempts(message(), both, RETRY, 0.0, 0.5).step.next_attempt_at == 60.0


def test_what_could_not_even_be_attempted_waits_longer_the_older_it_is():
    outcomes = dict.fromkeys(PATHS, Deferred(Cause.OPERATOR_KEY_REFUSED, "no key"))
    none_made = replace(result(outcomes), attempts=())
    waits = []
    for age in (0.0, 60.0, 130.0, 500.0):
        step = after_attempts(message(), none_made, RETRY, age, 0.5).step
        assert step.attempt is None
        waits.append(step.next_attempt_at - age)
    assert waits == [60.0, 60.0, 120.0, 480.0]


def test_the_sender_is_warned_once_after_the_time():
    outcomes = {PATHS[0]: Deferred(Cause.UNAVAILABLE)}
    rules = Rules(SCHEDULE, warn_after_seconds=100.0)
    assert not after_attempts(message(), result(outcomes), rules, 99.0, 0.5).step.warned
    late = after_attempts(message(), result(outcomes), rules, 100.0, 0.5)
    assert late.step.warned
    assert len(late.delayed) == 3
    warned = replace(message(), warned=True)
    assert not after_attempts(warned, result(outcomes), rules, 200.0, 0.5).step.warned


def test_an_attempt_whose_end_nobody_told_is_unknown_at_the_vendor_of_its_lane():
    doubt = in_doubt(message(), RETRY, 5.0)
    assert all(one.is_unknown and one.vendor == "main" for one in doubt.message.recipients)
    assert [one.name for one in doubt.events] == ["unknown"]
    assert (doubt.step.next_attempt_at, doubt.message.next_attempt_at) == (0.0, 0.0)
    held = in_doubt(message(), HOLD, 5.0)
    assert {one.state for one in held.message.recipients} == {State.HELD}
    assert held.step.next_attempt_at is None
