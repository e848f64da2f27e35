"""Figures of the store: asked for at most once a second, and never waited for longer than a moment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.console.store_figures import KEPT_SECONDS, WAIT_SECONDS, StoreFigures
from gateway.store.interface import StoreError
from gateway.store.records import Totals

TOTALS = Totals(3, 1, 0, 0, 0, 2, 0)
TRANSACTION = SimpleNamespace(
    totals=lambda: TOTALS, queue_depth=lambda: {"a/own": (1, 50.0), "a/key-1": (2, 40.0), "b/own": (1, 60.0)}
)


class SlowStore:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Deferred] = []

    async def read(self, job):
        waiting: Deferred = Deferred()
        self.asked.append(waiting)
        await waiting
        return job(TRANSACTION)


@pytest.fixture
def store():
    return SlowStore()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def figures(store, clock):
    return StoreFigures(store, clock)


def refreshed(figures):
    """Whether it has ended, in a list that grows."""
    ended = []
    Deferred.fromCoroutine(figures.refresh()).addCallbacks(ended.append, pytest.fail)
    return ended


def test_lanes_of_a_vendor_are_added_up(figures, store):
    ended = refreshed(figures)
    store.asked[0].callback(None)
    assert ended == [None]
    assert figures.is_reachable
    assert figures.found.totals == TOTALS
    assert figures.found.depth == {"a": (3, 40.0), "b": (1, 60.0)}


def test_however_many_ask_the_store_is_read_once_a_second(figures, store, clock):
    ended = [refreshed(figures) for _ in range(3)]
    store.asked[0].callback(None)
    ended += [refreshed(figures)]
    assert ended == [[None]] * 4
    assert len(store.asked) == 1
    assert clock.getDelayedCalls() == []
    clock.advance(KEPT_SECONDS)
    refreshed(figures)
    assert len(store.asked) == 2


def test_a_store_that_does_not_answer_is_not_waited_for_nor_asked_again(figures, store, clock):
    first = refreshed(figures)
    store.asked[0].callback(None)
    clock.advance(KEPT_SECONDS)
    late = refreshed(figures)
    assert late == []
    clock.advance(WAIT_SECONDS)
    assert (first, late) == ([None], [None])
    assert not figures.is_reachable
    assert figures.found.totals == TOTALS
    again = refreshed(figures)
    clock.advance(WAIT_SECONDS)
    assert (again, len(store.asked)) == ([None], 2)
    store.asked[1].callback(None)
    assert figures.is_reachable


def test_a_store_that_fails_is_away_until_it_answers(figures, store, clock):
    ended = refreshed(figures)
    store.asked[0].errback(StoreError("gone"))
    assert (ended, figures.is_reachable, figures.found) == ([None], False, None)
    clock.advance(KEPT_SECONDS)
    refreshed(figures)
    store.asked[1].callback(None)
    assert figures.is_reachable
