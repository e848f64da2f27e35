"""The vendor is down for an hour, by a fake clock, under the settings of every day; runner, lanes, store are real."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred as Promise
from twisted.internet.task import Clock, deferLater

from gateway.accounts.account import Account, fingerprint
from gateway.attempts import Attempts
from gateway.departures import Departures, VendorEntry
from gateway.events import Event
from gateway.incoming import Clocks, Reader
from gateway.message import Envelope
from gateway.queue.lanes import LaneRules, Lanes
from gateway.queue.means import Means
from gateway.queue.runner import Runner
from gateway.queue.settings import HOUR, MINUTE, QueueSettings
from gateway.standing_alarms import StandingAlarms
from gateway.store.records import Recipient, State, StoredMessage
from gateway.storing import Records, account_record
from gateway.vendor import ApiAnswer, load
from tests.store.waiting import WaitingStore

MAIL = b"From: shop@shop.example\r\nTo: ann@cust.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
STARTED_AT = 1_790_000_000.0
MESSAGES = 300
RATE = 5.0
ANSWER_SECONDS = 0.3
SECOND = 1.0 - 1e-6  # sums of fractions are not exact
KEY = "k"
SETTINGS = QueueSettings()


class NoNotices:
    def add_events(self, transaction, message, events):
        transaction.add_events(events)
        return False

    def of(self, *_):
        return ""

    warn = of


class Vendor:
    """Down until a time; each answer takes a while."""

    def __init__(self, clock: Clock, down_seconds: float) -> None:
        self.asked: list[float] = []
        self.taken: list[str] = []
        self._clock = clock
        self._down_seconds = down_seconds

    async def attempt(self, exchange, note, *, large, deadline_seconds=None):
        request = next(exchange)
        self.asked.append(self._clock.seconds())
        await deferLater(self._clock, ANSWER_SECONDS, lambda: None)
        is_up = self._clock.seconds() > self._down_seconds
        if is_up:
            self.taken.append(request.json["to"][0])
        try:
            exchange.send(ApiAnswer(202, {}, b'{"message_id": "v"}') if is_up else ApiAnswer(503, {}, b"{}"))
        except StopIteration as stop:
            return stop.value

    def peak(self, since: float) -> int:
        times = [at for at in self.asked if at >= since]
        return max(sum(start <= at < start + SECOND for at in times) for start in times)


class World:
    """A queue on a fake clock."""

    def __init__(self, store: WaitingStore, down_seconds: float) -> None:
        self.clock, self.store, self.events = Clock(), store, list[Event]()
        self.vendor = Vendor(self.clock, down_seconds)
        clocks = Clocks(self.clock.seconds, lambda: STARTED_AT + self.clock.seconds())
        postscale = load("postscale")
        lanes = Lanes(self.clock.seconds, LaneRules(SETTINGS.attempts_per_lane, SETTINGS.breaker, {"main": RATE}))
        alarms = StandingAlarms(clocks.seconds, self.events.append)
        means = Means(
            store=store,
            departures=Departures({"main": VendorEntry("main", postscale, "http://x", KEY, self.vendor)}, ()),
            reader=Reader({"postscale": postscale}, "gateway.test", None),
            attempts=Attempts(clocks, self.events.append, lambda *_: None, alarms),
            records=Records(None, SETTINGS.schedule),
            schedule=SETTINGS.schedule,
            notices=NoNotices(),
            clocks=clocks,
            alarms=alarms,
            randomness=random.Random(1).random,
            report=self.events.append,
            spool_folder=None,
            spool_memory_octets=10_000,
            lease_seconds=SETTINGS.lease_seconds,
            wait_seconds=lanes.wait_seconds,
            pause=lambda seconds: deferLater(self.clock, seconds, lambda: None),
            is_recalled=lambda _: False,
        )
        self.runner = Runner("g", means, lanes, SETTINGS, self.clock)

    def keep(self, messages: int) -> None:
        def job(transaction):
            for number in range(messages):
                transaction.add_message(_message(number), [MAIL], ())

        self.store.run(job)

    def run_until(self, seconds: float) -> None:
        """From one thing that is to happen to the next."""
        while self.clock.seconds() < seconds:
            times = [one.getTime() for one in self.clock.getDelayedCalls()]
            self.clock.advance(max(0.0, min([*times, seconds]) - self.clock.seconds()))

    def stop(self) -> None:
        stopped = Promise.fromCoroutine(self.runner.stop())
        self.clock.advance(MINUTE)
        assert stopped.called


def _message(number: int) -> StoredMessage:
    path = f"{number}@cust.example"
    return StoredMessage(
        message_id=f"m{number:04}",
        session_id="s1",
        received_at=STARTED_AT,
        account_name=f"account-{number % 3}",
        account=account_record(Account(f"account-{number % 3}", "postscale", "main")),
        envelope=Envelope("shop@shop.example", (path,)),
        recipients=(Recipient(path, State.QUEUED),),
        size_octets=len(MAIL),
        mode="queued",
        lane=f"main/{fingerprint(KEY)}",
        expires_at=SETTINGS.schedule.expires_at(STARTED_AT),
        next_attempt_at=STARTED_AT,
        has_content=True,
    )


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    store = WaitingStore(tmp_path / "store.sqlite")
    store.open()
    made = World(store, float(HOUR))
    yield made
    made.stop()
    store.close()


def test_an_hour_costs_a_few_probes_and_then_all_leaves_once_and_evenly(world):
    world.keep(MESSAGES)
    world.runner.start()
    world.run_until(float(HOUR))
    assert world.vendor.taken == []
    assert len(world.vendor.asked) <= SETTINGS.breaker_failures + SETTINGS.attempts_per_lane + 10
    # Found within the longest pause of the breaker, and then as fast as the rate allows
    world.run_until(HOUR + SETTINGS.longest_breaker_seconds + MESSAGES / RATE + MINUTE)
    assert sorted(world.vendor.taken) == sorted(f"{number}@cust.example" for number in range(MESSAGES))
    assert world.vendor.peak(float(HOUR)) <= RATE
    totals = world.store.look(lambda one: one.totals())
    assert (totals.accepted, totals.relayed, totals.is_whole) == (MESSAGES, MESSAGES, True)
    assert totals == world.store.look(lambda one: one.recount())
