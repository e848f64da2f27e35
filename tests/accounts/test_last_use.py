"""When a credential was last used: written down beside the login, at most once a minute."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.accounts.last_use import LastUse
from gateway.events import Alarm


class Store:
    """Does jobs when told to, as its thread would some time later."""

    def __init__(self):
        self.noted = []
        self.broken = False
        self.waiting = []

    def write(self, job):
        done = Deferred()
        self.waiting.append((job, done))
        return done

    def note_login(self, user_name, at):
        if self.broken:
            raise OSError("disk full")
        self.noted.append((user_name, at))

    def run(self):
        waiting, self.waiting = self.waiting, []
        for job, done in waiting:
            try:
                done.callback(job(self))
            except OSError as error:
                done.errback(error)


@pytest.fixture
def world():
    store, clock, told = Store(), Clock(), []
    last_use = LastUse(store, clock.seconds, lambda: 1_795_276_800 + clock.seconds(), told.append)
    return last_use, store, clock, told


def test_a_use_is_kept_with_the_time_of_day_and_nobody_waits_for_it(world):
    last_use, store, _, _ = world
    last_use.note("ann")
    assert store.noted == []
    store.run()
    assert store.noted == [("ann", "2026-11-21T16:00:00+00:00")]


def test_a_credential_is_written_once_a_minute_and_each_for_itself(world):
    last_use, store, clock, _ = world
    for at_seconds, name in ((0, "ann"), (1, "ann"), (59, "ann"), (59, "bob"), (60, "ann"), (118, "bob"), (119, "bob")):
        clock.advance(at_seconds - clock.seconds())
        last_use.note(name)
        store.run()
    assert [(name, at[14:19]) for name, at in store.noted] == [
        ("ann", "00:00"),
        ("bob", "00:59"),
        ("ann", "01:00"),
        ("bob", "01:59"),
    ]


def test_a_store_that_cannot_be_written_to_is_an_alarm_and_no_failed_login(world):
    last_use, store, clock, told = world
    store.broken = True
    last_use.note("ann")
    store.run()
    assert told == [Alarm("the last use of a credential cannot be kept: disk full")]
    store.broken = False
    clock.advance(60)
    last_use.note("ann")
    store.run()
    assert [name for name, _ in store.noted] == ["ann"]
