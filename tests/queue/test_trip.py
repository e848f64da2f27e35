"""One message's trip, where something of our own fails: its end is written all the same, and nothing is sent twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred as Promise
from twisted.internet.defer import succeed

from gateway.accounts.account import Account
from gateway.attempts import Attempts
from gateway.departures import Departures, VendorEntry
from gateway.incoming import Clocks, Reader
from gateway.message import Envelope
from gateway.queue.breaker import BreakerRules
from gateway.queue.lanes import LaneRules, Lanes, Reservation
from gateway.queue.means import Means
from gateway.queue.schedule import Schedule
from gateway.queue.trip import Trip
from gateway.standing_alarms import StandingAlarms
from gateway.store.interface import StoreError
from gateway.store.records import Claim, Recipient, State, StoredMessage
from gateway.storing import Records, account_record
from gateway.vendor import ApiAnswer, load

MAIL = b"From: shop@shop.example\r\nTo: ann@cust.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
TAKEN = ApiAnswer(202, {}, b'{"message_id": "v1"}')


class FakeStore:
    """Holds one message; fails when it is told to, and remembers what was finished."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.events: list[str] = []
        self.marked: list[Recipient] = []
        self.failing_writes = 0
        self.ours = True

    async def read(self, job):
        return job(self)

    async def write(self, job):
        if self.failing_writes and self.has_begun:
            self.failing_writes -= 1
            raise StoreError("the store is away")
        before = (len(self.steps), len(self.events))
        try:
            return job(self)
        except Exception:
            del self.steps[before[0] :], self.events[before[1] :]
            raise

    has_begun = False

    def content_piece(self, message_id, number):
        return MAIL if number == 0 else None

    def begin(self, claims, lane=""):
        self.has_begun = True
        return frozenset({"m1"} if self.ours else ())

    def mark(self, claim, recipients):
        self.marked += recipients
        return True

    def finish(self, claim, step):
        self.steps.append(step)
        return True

    def add_events(self, events):
        self.events += (one.name for one in events)


class Notices:
    """Adds events; fails over every notice when it is told to."""

    fails = False

    def add_events(self, transaction, message, events):
        transaction.add_events(events)
        return False

    def of(self, *_: Any) -> str:
        if self.fails:
            raise ValueError("no notice can be made of this")
        return ""

    warn = of


class Relay:
    """Answers with 202, or raises."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def attempt(self, exchange, note, *, large, deadline_seconds=None):
        self.asked += 1
        if self.error:
            raise self.error
        try:
            next(exchange)
            exchange.send(TAKEN)
        except StopIteration as stop:
            return stop.value


class World:
    """All that one trip needs."""

    def __init__(self) -> None:
        self.store, self.relay, self.notices, self.events, self.paused = FakeStore(), Relay(), Notices(), [], []
        clocks = Clocks(lambda: 0.0, lambda: 100.0)
        vendor = load("postscale")
        departures = Departures({"main": VendorEntry("main", vendor, "http://x", "k", self.relay)}, ())
        schedule = Schedule(60.0, 3600.0, 1000.0)
        self.lanes = Lanes(clocks.seconds, LaneRules(8, BreakerRules(5, 30.0, 600.0), {}))
        alarms = StandingAlarms(clocks.seconds, self.events.append)
        self.means = Means(
            store=self.store,
            departures=departures,
            reader=Reader({"postscale": vendor}, "gateway.test", None),
            attempts=Attempts(clocks, self.events.append, lambda *_: None, alarms),
            records=Records(None, schedule),
            schedule=schedule,
            notices=self.notices,
            clocks=clocks,
            alarms=alarms,
            randomness=lambda: 0.5,
            report=self.events.append,
            spool_folder=None,
            spool_memory_octets=10_000,
            lease_seconds=300.0,
            wait_seconds=self.lanes.wait_seconds,
            pause=self._pause,
            is_recalled=lambda _: False,
        )
        path = "ann@cust.example"
        self.message = StoredMessage(
            message_id="m1",
            session_id="s1",
            received_at=100.0,
            account_name="x",
            account=account_record(Account("x", "postscale", "main")),
            envelope=Envelope("shop@shop.example", (path,)),
            recipients=(Recipient(path, State.QUEUED),),
            size_octets=len(MAIL),
            mode="queued",
            lane="main/1",
            expires_at=1100.0,
            next_attempt_at=100.0,
        )

    def _pause(self, seconds: float) -> Promise[None]:
        self.paused.append(seconds)
        return succeed(None)

    def run(self, *, was_in_flight: bool = False, **changed: Any) -> Any:
        claim = Claim(replace(self.message, **changed), "t1", was_in_flight)
        results: list[Any] = []
        trip = Trip(self.means, claim, Reservation(self.lanes, "main/1"))
        Promise.fromCoroutine(trip.make()).addBoth(results.append)
        return results[0]

    def told(self) -> list[str]:
        return [type(one).__name__ for one in self.events]


@pytest.fixture
def world():
    return World()


def test_an_attempts_end_is_written_however_often_the_store_fails(world):
    world.store.failing_writes = 3
    told = world.run()
    assert told.is_ours
    assert world.relay.asked == 1
    assert world.paused == [1.0, 2.0, 4.0]
    (step,) = world.store.steps
    assert step.recipients[0].state is State.RELAYED
    assert world.told().count("Alarm") == 3


def test_a_notice_that_cannot_be_made_does_not_keep_the_step_from_being_written(world):
    world.notices.fails = True
    assert world.run().is_ours
    (step,) = world.store.steps
    assert step.recipients[0].state is State.RELAYED
    assert world.store.events == ["relayed"]
    assert "Failed" in world.told()


def test_a_claim_that_was_lost_is_not_attempted(world):
    world.store.ours = False
    assert not world.run().is_ours
    assert (world.relay.asked, world.store.steps) == (0, [])


def test_a_doubt_is_written_before_the_attempt_that_may_end_like_the_one_before(world):
    world.relay.attempt = lambda *_, **__: Promise()  # never ends
    with pytest.raises(IndexError):
        world.run(was_in_flight=True)
    assert [(one.is_unknown, one.vendor) for one in world.store.marked] == [(True, "main")]
    assert world.store.events == ["unknown"]


def test_a_doubt_is_written_once(world):
    world.run(was_in_flight=True)
    assert len(world.store.marked) == 1
    assert world.store.events == ["unknown", "relayed"]
    assert world.told().count("InDoubt") == 1
    (step,) = world.store.steps
    assert step.recipients[0].is_unknown


@pytest.mark.parametrize("change", [{"moved_to": ("gone",)}, {"account": "gone"}])
def test_a_doubt_is_written_though_no_attempt_can_be_made(world, change):
    if "account" in change:
        change = {"account": {**world.message.account, "dialect": "gone"}}
    world.run(was_in_flight=True, **change)
    assert world.store.events == ["unknown", "deferred"]
    (step,) = world.store.steps
    assert (step.recipients[0].is_unknown, step.recipients[0].vendor) == (True, "main")


def test_a_fault_during_an_attempt_counts_as_unknown_and_comes_round_later(world):
    world.relay.error = ZeroDivisionError()
    world.run()
    (step,) = world.store.steps
    assert step.recipients[0].is_unknown
    assert step.next_attempt_at == 160.0
    assert "Failed" in world.told()


def test_a_fault_before_the_attempt_defers_the_message(world, monkeypatch):
    monkeypatch.setattr("gateway.incoming.read_content", lambda spool: 1 / 0)
    world.run()
    (step,) = world.store.steps
    assert (step.recipients[0].state, step.recipients[0].is_unknown) == (State.QUEUED, False)
    assert world.relay.asked == 0


def test_a_dialect_that_is_gone_defers_the_message(world):
    world.run(account={**world.message.account, "dialect": "gone"})
    (step,) = world.store.steps
    assert step.recipients[0].state is State.QUEUED
