"""The queue: what is due, whose it is, and what becomes of it when a gateway dies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.store.interface import LONGEST_LEASE_SECONDS, LONGEST_WAIT_SECONDS
from gateway.store.records import DueLane, Recipient, State, Step
from tests.store.mail import (
    ATTEMPT,
    LANE,
    NOW,
    OVER,
    add,
    begin,
    claim,
    end_leases,
    finish,
    found,
    message,
    states,
    totals,
)


def due(store, now=NOW, limit=10):
    return store.look(lambda one: one.due_lanes(now, limit))


def test_mail_is_due_from_its_time_on(store):
    add(store, message(1, next_attempt_at=NOW + 10))
    assert due(store, NOW + 9.9) == claim(store, now=NOW + 9.9) == []
    assert due(store, NOW + 10) == [DueLane(LANE, "main/key-1", NOW + 10)]
    assert store.look(lambda one: one.next_due_at()) == NOW + 10


def test_nothing_is_due_in_an_empty_store(store):
    assert due(store) == []
    assert store.look(lambda one: one.next_due_at()) is None


def test_each_lane_and_account_is_told_once_with_its_oldest_mail_and_the_oldest_comes_first(store):
    add(store, *(message(n, next_attempt_at=NOW - n) for n in range(5)))
    add(store, *(message(n, account_name="quiet", next_attempt_at=NOW - n) for n in range(10, 12)))
    add(store, *(message(n, lane="backup/own", next_attempt_at=NOW - n) for n in range(20, 22)))
    wanted = [
        DueLane("backup/own", "main/key-1", NOW - 21),
        DueLane(LANE, "quiet", NOW - 11),
        DueLane(LANE, "main/key-1", NOW - 4),
    ]
    assert due(store) == wanted
    assert due(store, limit=2) == wanted[:2]


def test_a_clock_that_went_back_holds_no_mail_up(store):
    then = NOW + LONGEST_WAIT_SECONDS + 1
    far = message(1, at=then)
    add(store, far, message(2, at=then - 2))
    assert due(store) == [DueLane(LANE, "main/key-1", NOW)]
    assert [one.message for one in claim(store)] == [far]


def test_a_clock_that_went_back_after_an_attempt_holds_no_mail_up_either(store):
    later = NOW + 30 * 86400
    add(store, message(1))
    (mine,) = claim(store)
    finish(store, mine, State.QUEUED, next_attempt_at=later + 60, at=later)
    assert len(claim(store, now=NOW + 5)) == 1


def test_a_vendor_that_asks_for_days_gets_them(store):
    days = LONGEST_WAIT_SECONDS * 30
    add(store, message(1))
    (mine,) = claim(store)
    finish(store, mine, State.QUEUED, next_attempt_at=NOW + days)
    assert due(store, NOW + 1) == claim(store, now=NOW + 1) == claim(store, now=NOW + days - 1) == []
    assert len(claim(store, now=NOW + days)) == 1


def test_a_claim_is_exclusive_and_oldest_mail_goes_first(store, open_store):
    add(store, *(message(n, next_attempt_at=NOW - n) for n in range(1, 4)))
    first = claim(store, limit=2)
    assert [one.message.next_attempt_at for one in first] == [NOW - 3, NOW - 2]
    other = open_store()
    (rest,) = claim(other, gateway="gateway-2")
    assert rest.message.next_attempt_at == NOW - 1
    assert due(other) == []
    assert store.look(lambda one: one.next_due_at()) is None


def test_a_claim_gives_the_whole_message(store):
    kept = message(1, "ann@cust.example", "bob@cust.example")
    add(store, kept)
    (only,) = claim(store)
    assert only.message == kept
    assert not only.was_in_flight


def test_only_the_lane_and_account_that_were_asked_for_are_claimed(store):
    add(store, message(1), message(2, account_name="other"), message(3, lane="other/own"))
    assert [one.message.message_id for one in claim(store)] == [message(1).message_id]


def test_a_claim_is_taken_over_after_its_lease(store, open_store):
    add(store, message(1))
    (dead,) = claim(store, lease=OVER)
    other = open_store()
    assert due(other) == [DueLane(LANE, "main/key-1", NOW)]
    (taken,) = claim(other, gateway="gateway-2")
    assert not taken.was_in_flight
    assert begin(store, dead) == frozenset()
    assert begin(other, taken) == {taken.message.message_id}


def test_an_attempt_that_was_in_flight_when_its_gateway_died_is_told_as_such(store):
    add(store, message(1), message(2))
    dead = claim(store, lease=OVER)
    assert begin(store, dead[0]) == {dead[0].message.message_id}
    store.run(lambda one: one.release("gateway-1"))
    taken = claim(store, gateway="gateway-2")
    assert [one.was_in_flight for one in taken] == [one.message == dead[0].message for one in taken]
    assert sum(one.was_in_flight for one in taken) == 1


def test_what_was_in_flight_stays_so_until_somebody_tells_its_end(store):
    add(store, message(1))
    (dead,) = claim(store)
    begin(store, dead)
    store.run(lambda one: one.release("gateway-1"))
    (taken,) = claim(store, gateway="gateway-2")
    store.run(lambda one: one.release("gateway-2", [taken]))
    (again,) = claim(store, gateway="gateway-2")
    assert again.was_in_flight
    finish(store, again, State.QUEUED)
    assert not claim(store, now=NOW + 60)[0].was_in_flight


def test_the_lease_begins_anew_with_the_attempt(store, open_store):
    add(store, message(1))
    (mine,) = claim(store)
    end_leases(store)
    assert begin(store, mine) == {mine.message.message_id}
    assert claim(open_store(), gateway="gateway-2") == []


def test_a_lease_longer_than_any_is_refused(store):
    with pytest.raises(ValueError, match="at most 3600 seconds"):
        claim(store, lease=LONGEST_LEASE_SECONDS + 1)


def test_mail_that_is_given_back_unattempted_is_due_as_before(store):
    add(store, *(message(n) for n in range(4)))
    claims = claim(store)
    store.run(lambda one: one.release("gateway-1", claims[:1]))
    assert [one.message for one in claim(store)] == [claims[0].message]
    store.run(lambda one: one.release("gateway-2"))
    assert claim(store) == []
    store.run(lambda one: one.release("gateway-1"))
    assert len(claim(store)) == 4


def test_nobody_gives_back_what_is_claimed_anew(store):
    add(store, message(1))
    (lost,) = claim(store, lease=OVER)
    (taken,) = claim(store)
    store.run(lambda one: one.release("gateway-1", [lost]))
    assert begin(store, taken) == {taken.message.message_id}


def test_a_lease_by_a_clock_that_started_anew_has_ended(store, open_store):
    """Another boot of the machine, or a clock that was set back by more than any lease is long."""
    add(store, message(1), message(2))
    claim(store)
    store.run(lambda one: one._database.execute("UPDATE queue SET claimed_until = claimed_until + ?", [7200.0]))
    assert len(claim(store, gateway="gateway-2")) == 2
    store.run(lambda one: one._database.execute("UPDATE queue SET claim_clock = 'of another boot'"))
    assert len(claim(store, gateway="gateway-2")) == 2


# -- the end of an attempt


def test_a_message_that_is_relayed_leaves_the_queue_and_stays_in_the_log(store):
    add(store, message(1))
    (mine,) = claim(store)
    done = Recipient("rcpt-1@cust.example", State.RELAYED, False, "main", "v-1")
    assert store.run(lambda one: one.finish(mine, Step(mine.message.message_id, (done,), None, ATTEMPT)))
    kept = found(store, mine.message)
    assert kept.recipients == (done,)
    assert (kept.attempts, kept.next_attempt_at) == (1, None)
    assert store.look(lambda one: one.attempts(kept.message_id)) == [ATTEMPT]
    assert store.look(lambda one: dict(one.queue_depth())) == {}


def test_a_recipient_that_was_taken_is_done_and_the_rest_waits(store):
    add(store, message(1, "ann@cust.example", "bob@cust.example"))
    (mine,) = claim(store)
    recipients = (Recipient("ann@cust.example", State.RELAYED), Recipient("bob@cust.example", State.QUEUED, True))
    step = Step(mine.message.message_id, recipients, NOW + 60, ATTEMPT, lane="backup/own", warned=True)
    assert store.run(lambda one: one.finish(mine, step))
    assert claim(store, now=NOW + 60) == []
    (again,) = claim(store, lane="backup/own", now=NOW + 60)
    assert again.message.recipients == recipients
    assert (again.message.lane, again.message.warned, again.message.next_attempt_at) == ("backup/own", True, NOW + 60)


def test_a_claim_that_was_lost_logs_its_attempt_and_what_was_relayed_alone(store):
    add(store, message(1, "ann@cust.example", "bob@cust.example", "cyd@cust.example"))
    (lost,) = claim(store, lease=OVER)
    (taken,) = claim(store, gateway="gateway-2")
    kept = taken.message
    ended = Recipient("cyd@cust.example", State.REFUSED, cause="rejected")
    step = Step(kept.message_id, (*kept.recipients[:2], ended), NOW + 99, ATTEMPT)
    late = (
        Recipient("ann@cust.example", State.RELAYED, vendor="main"),
        Recipient("bob@cust.example", State.REFUSED),
        Recipient("cyd@cust.example", State.RELAYED),
    )
    assert store.run(lambda one: one.finish(taken, step))
    assert not store.run(
        lambda one: one.finish(lost, Step(kept.message_id, late, None, ATTEMPT, lane="x", warned=True))
    )
    now = found(store, kept)
    assert now.recipients == (late[0], kept.recipients[1], ended)
    assert (now.attempts, now.lane, now.warned, now.next_attempt_at) == (2, LANE, False, NOW + 99)
    totals(store)


def test_the_lane_of_an_attempt_is_known_from_its_beginning(store):
    add(store, message(1), message(2))
    mine, other = claim(store, limit=2)
    store.run(lambda one: one.begin([mine], "backup/own"))
    assert [found(store, one.message).lane for one in (mine, other)] == ["backup/own", LANE]
    assert finish(store, mine, State.QUEUED)
    assert len(claim(store, lane="backup/own", now=NOW + 61)) == 1


def test_what_is_marked_is_known_at_once_and_the_claim_stays(store):
    add(store, message(1))
    (mine,) = claim(store)
    doubted = Recipient(mine.message.recipients[0].path, State.QUEUED, True, "main")
    assert store.run(lambda one: one.mark(mine, [doubted]))
    assert found(store, mine.message).recipients == (doubted,)
    assert claim(store, gateway="gateway-2") == []
    assert finish(store, mine, State.RELAYED)


def test_a_claim_that_was_lost_marks_nothing(store):
    add(store, message(1))
    (lost,) = claim(store, lease=OVER)
    claim(store, gateway="gateway-2")
    doubted = Recipient(lost.message.recipients[0].path, State.QUEUED, True, "main")
    assert not store.run(lambda one: one.mark(lost, [doubted]))
    assert found(store, lost.message).recipients == lost.message.recipients


def test_a_lost_claim_that_relayed_all_ends_the_message_for_its_successor_too(store):
    add(store, message(1))
    (lost,) = claim(store, lease=OVER)
    (taken,) = claim(store, gateway="gateway-2")
    assert not finish(store, lost, State.RELAYED)
    assert begin(store, taken) == frozenset()
    assert not finish(store, taken, State.QUEUED)
    assert states(store, taken.message) == [State.RELAYED]
    assert totals(store).relayed == 1


def test_the_end_of_an_attempt_of_a_message_that_is_gone_is_nobody_s(store):
    add(store, message(1))
    (mine,) = claim(store)
    gone = replace(mine, message=message(2))
    assert not finish(store, gone, State.RELAYED)


def test_a_queued_recipient_without_a_time_is_refused_and_nothing_of_the_step_is_kept(store):
    add(store, message(1))
    (mine,) = claim(store)
    with pytest.raises(ValueError, match="needs a time"):
        finish(store, mine, State.QUEUED, next_attempt_at=None)
    assert found(store, mine.message) == mine.message
    assert begin(store, mine) == {mine.message.message_id}


def test_the_depth_of_each_lane_is_told_with_its_oldest_mail(store):
    add(store, message(1, at=NOW), message(2, at=NOW - 5), message(3, lane="b/own"), message(4, state=State.RELAYED))
    wanted = {LANE: (2, NOW - 5), "b/own": (1, NOW)}
    assert store.look(lambda one: dict(one.queue_depth())) == wanted
