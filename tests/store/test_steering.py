"""Steering: held, released, cancelled and moved mail, and what cannot be steered."""

from __future__ import annotations

import pytest

from gateway.store.interface import LONGEST_WAIT_SECONDS
from gateway.store.records import Recipient, State
from tests.store.mail import NOW, add, begin, claim, finish, found, message, states, totals


@pytest.mark.parametrize("state", [State.QUEUED, State.HELD, State.CANCELLED])
def test_waiting_mail_can_be_steered(store, state):
    add(store, message(1, next_attempt_at=NOW + 500), message(2, next_attempt_at=NOW + 500))
    assert store.run(lambda one: one.steer(message(1).message_id, state, NOW + 5))
    kept = found(store, message(1))
    assert states(store, message(1)) == [state]
    assert kept.next_attempt_at == (NOW + 5 if state is State.QUEUED else None)
    assert states(store, message(2)) == [State.QUEUED]
    assert getattr(totals(store), state.value) == (2 if state is State.QUEUED else 1)


def test_held_mail_is_attempted_when_it_is_released(store):
    add(store, message(1, state=State.HELD))
    assert claim(store, now=NOW + LONGEST_WAIT_SECONDS * 2) == []
    store.run(lambda one: one.steer(message(1).message_id, State.QUEUED, NOW))
    assert len(claim(store)) == 1


def test_mail_can_be_moved_to_other_vendors_and_out_of_its_lane(store):
    add(store, message(1))
    assert store.run(lambda one: one.steer(message(1).message_id, State.QUEUED, NOW, ["backup"], "backup/own"))
    assert claim(store) == []
    (mine,) = claim(store, lane="backup/own")
    assert (mine.message.moved_to, mine.message.lane) == (("backup",), "backup/own")


def test_mail_in_an_attempt_cannot_be_steered_but_mail_that_is_only_claimed_can(store):
    add(store, message(1))
    (mine,) = claim(store)
    cancel = lambda one: one.steer(mine.message.message_id, State.CANCELLED, NOW)  # noqa: E731
    hold = lambda one: one.steer(mine.message.message_id, State.HELD, NOW)  # noqa: E731
    assert store.run(hold)
    assert begin(store, mine) == frozenset()
    store.run(lambda one: one.steer(mine.message.message_id, State.QUEUED, NOW))
    (again,) = claim(store)
    begin(store, again)
    assert not store.run(cancel)
    finish(store, again, State.QUEUED)
    assert store.run(cancel)
    assert not store.run(cancel)


def test_mail_that_is_cancelled_after_its_gateway_died_in_an_attempt_may_have_been_sent(store):
    add(store, message(1))
    (dead,) = claim(store)
    begin(store, dead)
    store.run(lambda one: one.release("gateway-1"))
    store.run(lambda one: one.steer(dead.message.message_id, State.CANCELLED, NOW))
    assert found(store, dead.message).recipients == (Recipient("rcpt-1@cust.example", State.CANCELLED, True),)


@pytest.mark.parametrize("state", [State.RELAYED, State.REJECTED, State.EXPIRED])
def test_nobody_can_steer_mail_into_a_state_that_only_attempts_lead_to(store, state):
    add(store, message(1))
    with pytest.raises(ValueError, match="nobody can make a message"):
        store.run(lambda one: one.steer(message(1).message_id, state, NOW))


def test_nobody_can_steer_what_does_not_wait(store):
    add(store, message(1, state=State.RELAYED))
    for one in (message(1), message(2)):
        assert not store.run(lambda t, one=one: t.steer(one.message_id, State.QUEUED, NOW))
