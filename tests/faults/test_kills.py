"""Kill -9 at random moments under load: what has got its 250 leaves, and nothing leaves twice that nobody told of.

Fifty kills in `make test`; a thousand with MAILGATEWAY_SOAK=long, which is `make soak`.
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

LONG = os.environ.get("MAILGATEWAY_SOAK") == "long"
ROUNDS = 20 if LONG else 1
KILLS = 50  # in a round
LONGEST_LIFE_SECONDS = 0.6  # from the fork on, so that some do not live to see their first client
TOTALS_EVERY = 10  # kills; another process that opens the file recovers it, which is the gateway's own task in between


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_was_accepted_leaves_however_often_the_gateway_is_killed(tmp_path, starts, vendors, seed):
    moments = random.Random(seed)
    vendors.steer(seconds=0.05)
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    load = Load({name: [port] for name, port in gateway.ports.items()})
    in_flight: Counter[str] = Counter()
    with load.running():
        for number in range(KILLS):
            gateway.start()
            time.sleep(moments.uniform(0.0, LONGEST_LIFE_SECONDS))
            gateway.kill()
            in_flight += gateway.in_flight()
            if number % TOTALS_EVERY == 0 and gateway.database.exists():
                whole_totals(gateway.url)
        gateway.start()
        before = load.accepted()
        assert until(lambda: load.accepted() > before)  # it serves on after all that
    prove(gateway.url, vendors, load, in_flight, gateway.log)
    gateway.stop()
    assert load.accepted() > KILLS / 5, "hardly a life was long enough to accept mail: this has shown little"
    assert in_flight, "no kill has hit an attempt: this has shown nothing"
