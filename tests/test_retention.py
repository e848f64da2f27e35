"""What is kept long enough is deleted from the store, in turns, while the gateway runs."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from gateway.events import Alarm
from gateway.retention import PAUSE_SECONDS, ROUND_SECONDS, TURN, Retention
from gateway.store.interface import StoreError
from gateway.store.records import State
from gateway.store_settings import Store as StoreSettings
from tests.store.mail import NOW, add, found, message, totals
from tests.store.waiting import WaitingStore

DAY = 86_400.0


@pytest.fixture
def store(tmp_path):
    made = WaitingStore(tmp_path / "store.sqlite")
    made.open()
    yield made
    made.close()


class Life:
    """A retention with a clock in hand; time is what the wall clock says."""

    def __init__(self, store):
        self.clock, self.told, self.time = Clock(), [], NOW
        settings = StoreSettings(content_days=1.0, log_days=2.0)
        self.retention = Retention(store, settings, self.clock, lambda: self.time, self.told.append)
        self.retention.start()

    def next_round(self, time):
        self.time = time
        self.clock.advance(ROUND_SECONDS)
        while self.clock.getDelayedCalls()[0].getTime() - self.clock.seconds() < 2 * PAUSE_SECONDS:
            self.clock.advance(PAUSE_SECONDS)


def test_content_goes_after_its_days_and_the_log_after_its_own(store):
    add(store, message(1, state=State.RELAYED), message(2))
    life = Life(store)
    life.next_round(NOW + DAY)
    assert found(store, message(1)).has_content
    life.next_round(NOW + DAY + 1)
    assert not found(store, message(1)).has_content
    life.next_round(NOW + 2 * DAY + 1)
    assert found(store, message(1)) is None
    assert found(store, message(2)) == message(2)
    assert totals(store).accepted == 2
    life.retention.stop()


def test_much_goes_in_turns_within_one_round(store):
    add(store, *(message(n, state=State.RELAYED) for n in range(3 * TURN)))
    life = Life(store)
    life.next_round(NOW + 3 * DAY)
    assert store.look(lambda one: one.recount()) == totals(store)
    assert found(store, message(3 * TURN - 1)) is None
    life.retention.stop()


def test_a_store_that_fails_is_an_alarm_and_the_next_round_tries_again(store, monkeypatch):
    add(store, message(1, state=State.RELAYED))
    life = Life(store)

    async def broken(job):
        raise StoreError("store.sqlite: disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", broken)
        life.next_round(NOW + 3 * DAY)
    assert [type(one) for one in life.told] == [Alarm]
    assert "disk I/O error" in life.told[0].text
    life.next_round(NOW + 3 * DAY)
    assert found(store, message(1)) is None
    life.retention.stop()


def test_nothing_is_left_behind_at_the_end(store):
    life = Life(store)
    life.retention.stop()
    assert life.clock.getDelayedCalls() == []


def test_new_times_hold_at_once_and_do_not_wait_for_the_next_round(store):
    add(store, message(1, state=State.RELAYED))
    life = Life(store)
    life.time = NOW + 1.5 * DAY
    life.retention.change(StoreSettings(content_days=1.0, log_days=2.0))
    assert found(store, message(1)).has_content
    life.retention.change(StoreSettings(content_days=1.0, log_days=1.0))
    while life.clock.getDelayedCalls()[0].getTime() - life.clock.seconds() < 2 * PAUSE_SECONDS:
        life.clock.advance(PAUSE_SECONDS)
    assert found(store, message(1)) is None
    life.retention.stop()
    life.retention.change(StoreSettings(content_days=3.0))
    assert life.clock.getDelayedCalls() == []
