"""Vendors that are down, that limit, fail, cut off and dawdle: what was accepted leaves, and recovery is no storm."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from gateway.exchange import LONGEST_WAIT_SECONDS
from gateway.store.records import Selection, State
from tests.faults.gateways import Gateway
from tests.faults.load import Load
from tests.faults.proof import opened, prove, until
from tests.faults.vendor_process import ABSURD

RATE = 30
JITTER = 2  # requests more in a second, by the network and the scheduler
MESSAGES = 45
DOWN_SECONDS = 1.2
LIMITED = ["429 seconds", "429 date"]
NO_TIME = ["429 none", *(f"429 absurd {number}" for number in range(len(ABSURD)))]  # PostStack: a quota, for an hour
DOUBTFUL = ["cut before", "none", "cut after", "half", "none", "slow"]


def send(gateway: Gateway, vendor: str, messages: int = MESSAGES) -> Load:
    """So many messages at least, all for this vendor."""
    load = Load({vendor: [gateway.ports[vendor]]}, clients=3, pause_seconds=0.0)
    with load.running():
        assert until(lambda: load.accepted() >= messages), gateway.log()[-8000:]
    return load


def test_a_vendor_that_was_down_gets_all_at_no_more_than_its_rate(tmp_path, starts, vendors):
    """An hour's outage, in the proportion of the settings: waits of seconds become tenths."""
    more = f"rate_per_second = {RATE}.0"
    gateway = Gateway(tmp_path / "gateway", starts, vendors, more=more, breaker_failures=5)
    vendors.steer("503")
    with gateway.running():
        load = send(gateway, "postscale")
        asked, began = len(vendors.seen("postscale").requests), time.monotonic()
        assert until(lambda: time.monotonic() - began > DOWN_SECONDS)
        assert len(vendors.seen("postscale").requests) - asked <= 4  # a probe in half a second at most, whatever waits
        vendors.go()
        assert until(lambda: "no connection" in gateway.log() or "refused" in gateway.log())
        vendors.come_back()
        prove(gateway.url, vendors, load, Counter(), gateway.log)
    seen = vendors.seen("postscale")
    assert seen.peak() <= RATE + JITTER
    assert seen.most_at_once <= 8


@pytest.mark.parametrize(
    ("vendor", "faults"), [("poststack", ["500", "503", *LIMITED]), ("postscale", ["500", "503", *LIMITED, *NO_TIME])]
)
def test_whoever_is_put_off_is_served_later_and_once(tmp_path, starts, vendors, vendor, faults):
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    vendors.steer(*(one for fault in faults for one in (fault, "none", "none")))
    with gateway.running():
        load = send(gateway, vendor)
        prove(gateway.url, vendors, load, Counter(), gateway.log)
    assert "Traceback" not in gateway.log()


@pytest.mark.parametrize("vendor", ["poststack", "postscale"])
def test_an_exchange_that_breaks_off_doubles_nothing_untold(tmp_path, starts, vendors, vendor):
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    vendors.steer(*DOUBTFUL)
    with gateway.running():
        load = send(gateway, vendor)
        vendors.steer()
        may_be_twice = Counter({token: len(DOUBTFUL) for token in load.told[vendor].sent})
        prove(gateway.url, vendors, load, may_be_twice, gateway.log)
    assert "Traceback" not in gateway.log()


def test_a_vendor_that_wants_to_be_left_alone_for_ever_is_asked_again_all_the_same(tmp_path, starts, vendors):
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    vendors.steer("429 for ever")
    with gateway.running():
        send(gateway, "postscale", 1)
        assert until(lambda: "waiting " in gateway.log())
    store = opened(gateway.url)
    waiting = store.look(lambda one: one.select(Selection(states=(State.QUEUED,)), 100))
    store.close()
    assert waiting
    assert all(one.next_attempt_at - time.time() <= LONGEST_WAIT_SECONDS for one in waiting)
