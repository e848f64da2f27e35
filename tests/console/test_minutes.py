"""The last hour counted from the event feed, and what is told from it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from gateway.console import wording
from gateway.console.figures import figures, waiting
from gateway.console.minutes import BATCH, BATCHES, Minute, Minutes
from gateway.store.records import State, StoredEvent, Totals
from tests.console.stored import keep, message

NOW = 1_800_000_030.0


class ReadNow:
    """A store whose reads are done at once, for tests without a reactor."""

    def __init__(self, store):
        self.look = store.look

    async def read(self, job):
        return self.look(job)


def refresh(minutes):
    done = []
    Deferred.fromCoroutine(minutes.refresh()).addCallback(done.append)
    assert done == [None]


def told(store, *events):
    store.run(lambda transaction: transaction.add_events(events))


def named(minutes, name):
    return [one.recipients[name] for one in minutes.hour()]


def test_each_event_is_counted_in_its_minute_with_all_its_recipients(store):
    told(
        store,
        StoredEvent(NOW - 3700, "relayed", "a"),
        StoredEvent(NOW - 120, "received", "a", {"to": ["a", "b"]}),
        StoredEvent(NOW - 60, "relayed", "a", {"recipients": [{"path": "a"}, {"path": "b"}]}),
        StoredEvent(NOW, "relayed", "b", {"recipients": [{"path": "a"}]}),
        StoredEvent(NOW, "held", "c"),
    )
    minutes = Minutes(ReadNow(store), lambda: NOW)
    refresh(minutes)
    assert named(minutes, "received")[-3:] == [2, 0, 0]
    assert named(minutes, "relayed") == [0] * 58 + [2, 1]
    assert minutes.is_whole


def test_what_comes_later_is_added_and_what_is_older_than_an_hour_goes(store):
    now = [NOW]
    minutes = Minutes(ReadNow(store), lambda: now[0])
    told(store, StoredEvent(NOW, "relayed", "a"))
    refresh(minutes)
    refresh(minutes)
    assert sum(named(minutes, "relayed")) == 1
    now[0] += 59 * 60
    told(store, StoredEvent(now[0], "relayed", "b"))
    refresh(minutes)
    assert named(minutes, "relayed") == [1] + [0] * 58 + [1]
    now[0] += 60
    refresh(minutes)
    assert named(minutes, "relayed") == [0] * 58 + [1, 0]


def test_a_busy_hour_is_read_in_turns_and_a_restart_counts_the_same(store):
    events = [StoredEvent(NOW - 7000 + number / 4, "relayed", str(number)) for number in range(4 * 7000)]
    told(store, *events)
    wanted = sum(one.at // 60 >= NOW // 60 - 59 for one in events)
    minutes = Minutes(ReadNow(store), lambda: NOW)
    refresh(minutes)
    assert not minutes.is_whole
    assert 0 < sum(named(minutes, "relayed")) <= BATCH * BATCHES < wanted
    while not minutes.is_whole:
        refresh(minutes)
    again = Minutes(ReadNow(store), lambda: NOW)
    while not again.is_whole:
        refresh(again)
    assert sum(named(minutes, "relayed")) == wanted
    assert minutes.hour() == again.hour()


def test_latencies_are_those_of_the_attempts_that_the_events_tell_of(store):
    keep(store, message(NOW - 90, State.RELAYED), message(NOW - 30, State.REFUSED))
    minutes = Minutes(ReadNow(store), lambda: NOW)
    refresh(minutes)
    shown = figures(minutes.hour(), minutes.now(), Totals(0, 0, 0, 0, 0, 0, 0), {})
    (latency,) = shown.latencies
    assert (latency.vendor, latency.attempts) == ("main", 2)
    assert 0.1 < latency.median <= latency.percentile <= latency.slowest < 0.5


MOVES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60)


@given(MOVES, st.integers(0, 50))
def test_the_queues_depth_told_backwards_is_what_it_was(moves, before):
    """Each minute some are accepted, and of those that wait some end; told from the events and the end alone."""
    depths, hour, depth = [], [], before
    for accepted, wished in moves:
        ended = min(wished, depth + accepted)
        depth += accepted - ended
        depths.append(depth)
        hour.append(Minute(Counter(received=accepted, relayed=ended // 2, cancelled=ended - ended // 2)))
    assert waiting(hour, depth) == depths


@given(st.lists(st.integers(0, 10**6), min_size=60, max_size=60))
def test_no_column_of_a_chart_leaves_its_box(values):
    hour = [Minute(Counter(relayed=value)) for value in values]
    shown = figures(hour, 30_000_000, Totals(0, 0, 0, 0, 0, 0, 0), {}).charts[1]
    assert all(0.0 <= one.height <= 1.0 for one in shown.columns)
    assert shown.path.count("M") == sum(value > 0 for value in values)
    assert (shown.total, shown.latest) == (sum(values), values[-1])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0123, "12 ms"), (4.24, "4.2 s"), (59, "59 s"), (180, "3 min"), (5 * 3600 + 720, "5 h 12 min"), (3600, "1 h"),
     (2 * 86400 + 3 * 3600, "2 d 3 h"), (-1, "0 ms")],
)  # fmt: skip
def test_durations_are_told_in_the_units_that_matter(seconds, words):
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("at", "words"), [(100.2, "now"), (93, "7 s ago"), (107, "in 7 s"), (100 + 7300, "in 2 h 1 min")]
)
def test_times_are_told_as_seen_from_now(at, words):
    assert wording.ago(at, 100) == words
