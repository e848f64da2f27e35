"""The buffer before the message log: it writes in batches, never grows beyond its bound, and counts what it loses."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred as Promise
from twisted.internet.task import Clock

from gateway import message_log
from gateway.message import Envelope
from gateway.message_log import AT_ONCE, FLUSH_SECONDS, Entry, MessageLog
from gateway.store.interface import StoreError
from gateway.store.records import StoredMessage


class FakeStore:
    """Takes jobs at once, or when it is told to; keeps the ids of what was added."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.is_away = False
        self.gate: Promise[None] | None = None

    async def write(self, job):
        if self.gate is not None:
            await self.gate
        if self.is_away:
            raise StoreError("away")
        self.batches.append([])
        return job(self)

    def add_ended(self, ended):
        self.batches[-1] += [message.message_id for message, _ in ended]


class Notices:
    def add_events_of_all(self, transaction, told):
        return any(message.message_id == "posted" for message, _ in told)


class World:
    def __init__(self) -> None:
        self.clock, self.store, self.events, self.posted = Clock(), FakeStore(), [], []
        self.log = MessageLog(self.store, self.clock, self.events.append, lambda: self.posted.append(1))

    def add(self, *ids: Any) -> None:
        for one in ids:
            message = StoredMessage(str(one), "s", 0.0, "x", {}, Envelope("", ()), (), 1, "direct")
            self.log.add(Entry(message, (), (), Notices()))


@pytest.fixture
def world():
    return World()


def test_messages_are_written_together_a_little_later(world):
    world.add("a", "b")
    assert world.store.batches == []
    world.clock.advance(FLUSH_SECONDS)
    assert world.store.batches == [["a", "b"]]
    world.add("c")
    world.clock.advance(FLUSH_SECONDS)
    assert world.store.batches == [["a", "b"], ["c"]]
    assert world.clock.getDelayedCalls() == []


def test_many_are_written_in_several_transactions(world):
    world.add(*range(2 * AT_ONCE + 1))
    world.clock.advance(FLUSH_SECONDS)
    assert [len(one) for one in world.store.batches] == [AT_ONCE, AT_ONCE, 1]


def test_what_finds_no_room_is_counted_and_told_once_a_minute(world, monkeypatch):
    monkeypatch.setattr(message_log, "ENTRIES", 3)
    world.store.gate = Promise()
    world.add(*range(5))
    assert (world.log.lost, len(world.events)) == (2, 1)
    world.clock.advance(60.0)
    world.add(*range(5))
    assert "messages of direct mode could not be logged" in world.events[-1].text
    assert len(world.events) == 2


def test_a_store_that_is_away_loses_log_lines_and_nothing_else(world):
    world.store.is_away = True
    world.add("a", "b")
    world.clock.advance(FLUSH_SECONDS)
    assert world.log.lost == 2
    assert "2 messages" in world.events[0].text
    world.store.is_away = False
    world.add("c")
    world.clock.advance(FLUSH_SECONDS)
    assert world.store.batches == [["c"]]


def test_what_comes_while_a_batch_is_written_is_written_next(world):
    world.store.gate = Promise()
    world.add("a")
    world.clock.advance(FLUSH_SECONDS)
    world.add("b")
    gate, world.store.gate = world.store.gate, None
    gate.callback(None)
    world.clock.advance(FLUSH_SECONDS)
    assert world.store.batches == [["a"], ["b"]]


def test_a_stop_writes_what_waits(world):
    world.add("a")
    Promise.fromCoroutine(world.log.flush())
    assert world.store.batches == [["a"]]
    assert world.clock.getDelayedCalls() == []


def test_webhooks_are_woken_when_there_is_something_for_them(world):
    world.add("a")
    world.clock.advance(FLUSH_SECONDS)
    assert world.posted == []
    world.add("posted")
    world.clock.advance(FLUSH_SECONDS)
    assert world.posted == [1]
