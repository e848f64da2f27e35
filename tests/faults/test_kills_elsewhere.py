"""Kill -9 while mail spills into the queue, and while an operator cancels and moves what waits.

A few kills in `make test`; hundreds with MAILGATEWAY_SOAK=long, which is `make soak`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from tests.faults.gateways import Gateway
from tests.faults.load import Load
from tests.faults.proof import prove, until, whole_totals
from tests.faults.steering import Operator

LONG = os.environ.get("MAILGATEWAY_SOAK") == "long"
ROUNDS = 5 if LONG else 1
KILLS = 50 if LONG else 6  # in a round
LIFE_SECONDS = (0.3, 1.2)  # from the fork on; a tenth of a second goes by before there are sessions
AWAY = ("503", "none", "cut before", "none", "500")  # of each five requests two are taken, none is taken unheard


def load_on(gateway: Gateway) -> Load:
    return Load({name: [port] for name, port in gateway.ports.items()})


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_mail_that_spills_while_the_gateway_is_killed_leaves(tmp_path, starts, vendors, seed):
    """What the vendor takes while the client waits may be missing in the log after a kill; what is stored is not."""
    moments = random.Random(seed)
    vendors.steer(*AWAY, seconds=0.05)
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    gateway.config.write_text(gateway.config.read_text().replace('mode = "queued"', 'mode = "spill"'))
    load, in_flight = load_on(gateway), Counter[str]()
    with load.running():
        for _ in range(KILLS):
            gateway.start()
            time.sleep(moments.uniform(*LIFE_SECONDS))
            gateway.kill()
            in_flight += gateway.in_flight()
        gateway.start()
        before = load.accepted()
        assert until(lambda: load.accepted() > before + 20)
    vendors.steer()
    prove(gateway.url, vendors, load, in_flight, gateway.log, logs_all=False)
    assert "mode=spill" in gateway.log(), "nothing has spilled: this has shown nothing"
    gateway.stop()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_was_cancelled_or_moved_stays_so_however_often_the_gateway_is_killed(tmp_path, starts, vendors, seed):
    """The vendors take nothing meanwhile, so that each message is there once in the end, at the vendor it was moved to,
    or nowhere."""
    moments = random.Random(seed)
    vendors.steer("503", seconds=0.05)
    operator_key = tmp_path / "key"
    operator_key.write_text("sk_test_operator_0123456789")
    gateway = Gateway(tmp_path / "gateway", starts, vendors, more=f'key = {{ file = "{operator_key}" }}')
    load, operator = load_on(gateway), Operator(gateway, seed)
    with load.running(), operator.running():
        for _ in range(KILLS):
            gateway.start()
            time.sleep(moments.uniform(*LIFE_SECONDS))
            gateway.kill()
        gateway.start()
        changes = len(operator.cancelled) + len(operator.moved)
        assert until(lambda: len(operator.cancelled) + len(operator.moved) > changes)
    vendors.steer()
    assert until(lambda: whole_totals(gateway.url, is_quiet=False).queued == 0), gateway.log()[-8000:]
    gateway.stop()
    totals = whole_totals(gateway.url)
    assert totals.accepted == totals.relayed + totals.cancelled
    assert totals.cancelled >= len(operator.cancelled) > 0
    delivered = {name: vendors.seen(name).deliveries for name in gateway.ports}
    everywhere = delivered["poststack"] + delivered["postscale"]
    assert not operator.cancelled & set(everywhere)
    accepted = load.told["poststack"].accepted | load.told["postscale"].accepted
    assert accepted - operator.cancelled - operator.doubtful <= set(everywhere)
    assert {token: times for token, times in everywhere.items() if times > 1} == {}
    moved = {token: name for token, name in operator.moved.items() if token not in operator.cancelled}
    assert moved
    assert {
        token for token, name in moved.items() if token not in operator.doubtful and not delivered[name][token]
    } == set()
