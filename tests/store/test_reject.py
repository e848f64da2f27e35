"""Rejecting a message after a commit whose answer was lost: whether it is there, is not, or is being attempted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gateway.store.records import State
from tests.store.mail import ATTEMPT, NOW, add, begin, claim, finish, found, message, totals


def reject(store, one, attempts=()):
    told = tuple(replace(each, state=State.REJECTED, reason="lost") for each in one.recipients)
    record = replace(one, recipients=told, next_attempt_at=None, has_content=False)
    return store.run(lambda transaction: transaction.reject(record, attempts, NOW))


def states(store, one):
    return [each.state for each in found(store, one).recipients]


def test_a_message_that_is_there_is_rejected_and_leaves_the_sum(store):
    one = message(1, "a@x.example", "b@x.example")
    add(store, one, message(2))
    assert reject(store, one)
    assert states(store, one) == [State.REJECTED, State.REJECTED]
    assert claim(store)[0].message.message_id == message(2).message_id
    counted = store.look(lambda transaction: transaction.recount())
    assert counted == totals(store)
    assert (counted.accepted, counted.queued) == (1, 1)


def test_a_message_that_never_came_is_logged_as_rejected(store):
    assert reject(store, message(1), [ATTEMPT])
    assert states(store, message(1)) == [State.REJECTED]
    assert totals(store).accepted == 0
    assert len(store.look(lambda transaction: transaction.attempts(message(1).message_id))) == 1
    assert claim(store) == []


def test_a_claim_without_attempt_is_lost_by_it(store):
    add(store, message(1))
    (mine,) = claim(store)
    assert reject(store, message(1))
    assert begin(store, mine) == frozenset()


def test_a_message_that_is_being_attempted_stays(store):
    add(store, message(1))
    (mine,) = claim(store)
    assert begin(store, mine)
    assert not reject(store, message(1))
    assert finish(store, mine, State.RELAYED)
    assert not reject(store, message(1))
    assert totals(store).relayed == totals(store).accepted == 1


def test_who_is_about_to_bring_it_is_waited_for(store, open_store):
    """Whoever comes first: the message is there once, and rejected."""
    other, is_in, go_on = open_store(), threading.Event(), threading.Event()

    def bring(transaction):
        transaction.add_message(message(1), [b"x"], ())
        is_in.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as threads:
        bringing = threads.submit(other.run, bring)
        assert is_in.wait(20)
        rejecting = threads.submit(reject, store, message(1))
        go_on.set()
        bringing.result(20)
        assert rejecting.result(20)
    assert states(store, message(1)) == [State.REJECTED]
    assert totals(store).accepted == 0
