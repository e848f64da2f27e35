"""The sum: accepted = relayed + refused + expired + cancelled + queued + held, whatever happens in whatever order."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.records import Recipient, State, Step, Totals
from tests.store.mail import ATTEMPT, LEASE_SECONDS, NOW, OVER, add, message, totals

NUMBERS = itertools.count(1)
ENDS = (State.QUEUED, State.HELD, State.RELAYED, State.REFUSED, State.EXPIRED)
PATHS = st.lists(st.sampled_from(["a@x.example", "b@x.example", "c@x.example"]), min_size=1, max_size=4)
ALL_STATES = st.sampled_from([*State])
ACTION = st.one_of(
    st.tuples(st.just("add"), PATHS, st.lists(ALL_STATES, min_size=4, max_size=4)),
    st.tuples(st.just("claim"), st.sampled_from([LEASE_SECONDS, OVER]), st.integers(1, 3)),
    st.tuples(st.just("begin"), st.integers(0, 9)),
    st.tuples(st.just("finish"), st.integers(0, 9), st.lists(st.sampled_from(ENDS), min_size=4, max_size=4)),
    st.tuples(st.just("release"), st.booleans()),
    st.tuples(st.just("steer"), st.integers(0, 9), st.sampled_from([State.QUEUED, State.HELD, State.CANCELLED])),
    st.tuples(st.just("prune"), st.integers(0, 5)),
)


def test_an_empty_store_has_an_empty_sum(store):
    assert totals(store) == Totals(0, 0, 0, 0, 0, 0, 0)


def test_each_state_is_counted(store):
    add(store, *(message(n, state=state) for n, state in enumerate(State)))
    assert totals(store) == Totals(6, 1, 1, 1, 1, 1, 1)


def test_a_new_count_is_of_one_moment_whoever_writes_meanwhile(store):
    is_over = threading.Event()

    def add_for_ever():
        for number in itertools.count():
            if is_over.is_set():
                return
            add(store, message(number, "a@x.example", "b@x.example"))

    writer = threading.Thread(target=add_for_ever)
    writer.start()
    try:
        counts = [store.look(lambda one: one.recount()) for _ in range(100)]
    finally:
        is_over.set()
        writer.join()
    assert [one for one in counts if not one.is_whole] == []


def test_a_job_that_failed_counts_for_nothing(store):
    def fail(transaction):
        transaction.add_message(message(1), [b"x"], ())
        assert transaction.totals().queued == 1
        raise KeyError("enough")

    try:
        store.run(fail)
    except KeyError:
        add(store, message(2))
    assert totals(store).accepted == 1


class Life:
    """What becomes of the messages of one example."""

    def __init__(self, store):
        self.store = store
        self.made = []
        self.claims = []
        self.accepted = totals(store).accepted

    def add(self, paths, states):
        number = next(NUMBERS)
        recipients = tuple(Recipient(path, state) for path, state in zip(paths, states, strict=False))
        due = NOW if any(one.state is State.QUEUED for one in recipients) else None
        self.made.append(replace(message(number, *paths), recipients=recipients, next_attempt_at=due))
        add(self.store, self.made[-1])

    def claim(self, lease, limit):
        self.claims += self.store.run(lambda one: one.claim("g", "main/own", "main/key-1", NOW, limit, lease))

    def begin(self, number):
        self.store.run(lambda one: one.begin(self.claims[number : number + 1]))

    def finish(self, number, states):
        if number < len(self.claims):
            mine = self.claims[number]
            changed = zip(mine.message.recipients, states, strict=False)
            recipients = tuple(replace(one, state=state) for one, state in changed)
            step = Step(mine.message.message_id, recipients, NOW, ATTEMPT)
            self.store.run(lambda one: one.finish(mine, step))

    def release(self, is_all):
        self.store.run(lambda one: one.release("g", None if is_all else self.claims))

    def steer(self, number, state):
        if number < len(self.made):
            message_id = self.made[number].message_id
            self.store.run(lambda one: one.steer(message_id, state, NOW))

    def prune(self, limit):
        self.store.run(lambda one: one.prune(NOW * 2, NOW * 2, limit))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTION, max_size=25))
def test_the_sum_is_whole_after_any_steps(store, actions):
    """One store through all examples: its sum has to stay whole over all of them."""
    life = Life(store)
    for name, *arguments in actions:
        getattr(life, name)(*arguments)
    accepted = sum(one.state is not State.REJECTED for made in life.made for one in made.recipients)
    assert totals(store).accepted == life.accepted + accepted
