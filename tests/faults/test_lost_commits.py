"""A commit whose answer is lost: the 250 is given when the message is there, and what got 451 does not leave.

Between the gateways and PostgreSQL is a proxy that cuts the connection when COMMIT is sent, or when it is answered.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import smtplib
import time
from collections import Counter

import pytest

from gateway.store.records import Selection, State
from tests.faults.gateways import Gateway
from tests.faults.load import Load, submitted
from tests.faults.proof import opened, prove, until, whole_totals
from tests.faults.proxy import Proxy
from tests.postgres_server import PASSWORD

LONG = os.environ.get("MAILGATEWAY_SOAK") == "long"
CUTS = 100 if LONG else 5
BETWEEN_SECONDS = 0.2
QUIET_SECONDS = 1.5  # several times what the gateways take to look for mail


class Behind:
    """Gateways behind the proxy, and the same database without it."""

    def __init__(self, folder, starts, vendors, postgres, gateways=1):
        self.url = postgres.new_place()
        self.proxy = Proxy(f"{postgres.folder}/.s.PGSQL.5432")
        (folder / "password").write_text(PASSWORD)
        (folder / "key").write_bytes(base64.b64encode(bytes(32)))
        options = self.url.partition("options=")[2]
        url = f"postgresql://gateway@127.0.0.1:{self.proxy.port}/postgres?options={options}"
        secrets = f'password = {{ file = "{folder}/password" }}\nkey = {{ file = "{folder}/key" }}\n'
        store = f'\n[store]\nurl = "{url}"\n{secrets}'
        self.gateways = [Gateway(folder / f"gateway-{n}", starts, vendors, store) for n in range(gateways)]

    @contextlib.contextmanager
    def running(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.proxy.close)
            for one in self.gateways:
                stack.enter_context(one.running())
                port = one.ports["poststack"]
                assert until(lambda port=port: answers(port)), one.log()
            yield self

    def messages(self):
        store = opened(self.url)
        try:
            return store.look(lambda one: one.select(Selection(), 1000))
        finally:
            store.close()

    def log(self):
        return "".join(one.log() for one in self.gateways)


@pytest.fixture
def behind(tmp_path, starts, vendors, postgres):
    with Behind(tmp_path, starts, vendors, postgres).running() as one:
        yield one


def answers(port):
    with contextlib.suppress(OSError, smtplib.SMTPException), smtplib.SMTP("127.0.0.1", port, timeout=5):
        return True
    return False


@pytest.mark.parametrize("cut", ["before", "after"])
def test_the_client_gets_its_250_and_the_message_is_there_once(behind, vendors, cut):
    """Before: the message is stored by another connection; after: it is there already."""
    (gateway,) = behind.gateways
    with behind.proxy.cutting(cut):
        assert submitted(gateway, "one") == 250
    assert behind.proxy.cuts == 1
    assert until(lambda: whole_totals(behind.url, is_quiet=False).relayed == 1), behind.log()
    assert len(behind.messages()) == 1
    assert vendors.seen("poststack").deliveries == {"one": 1}


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_message_whose_client_got_451_does_not_leave_when_the_store_is_back(behind, vendors, cut):
    (gateway,) = behind.gateways
    with behind.proxy.cutting(cut, stays_away=True):
        began = time.monotonic()
        assert submitted(gateway, "one") == 451
        assert time.monotonic() - began < 20
    assert whole_totals(behind.url).accepted == (1 if cut == "after" else 0)  # it is there all the same
    behind.proxy.is_away = False
    assert until(lambda: [one.recipients[0].state for one in behind.messages()] == [State.REJECTED]), behind.log()
    assert until(lambda: answers(gateway.ports["poststack"]))
    assert submitted(gateway, "two") == 250
    assert until(lambda: vendors.seen("poststack").deliveries == {"two": 1})
    time.sleep(QUIET_SECONDS)
    assert vendors.seen("poststack").deliveries == {"two": 1}
    totals = whole_totals(behind.url)
    assert (totals.accepted, totals.relayed) == (1, 1)
    assert "attempted all the same" not in behind.log()


def test_under_load_every_250_leaves_once_and_no_451_does(tmp_path, starts, vendors, postgres):
    moments = random.Random(1)
    with Behind(tmp_path, starts, vendors, postgres, gateways=2).running() as behind:
        load = Load({"poststack": [one.ports["poststack"] for one in behind.gateways]})
        with load.running():
            for _ in range(CUTS):
                before = behind.proxy.cuts
                with behind.proxy.cutting(moments.choice(["before", "after"])):
                    until(lambda before=before: behind.proxy.cuts > before, BETWEEN_SECONDS * 20)
                time.sleep(BETWEEN_SECONDS * moments.random())
        assert behind.proxy.cuts >= CUTS // 2
        prove(behind.url, vendors, load, Counter(), behind.log)
        told = load.told["poststack"]
        assert told.rejected.isdisjoint(vendors.seen("poststack").deliveries)
        assert len(told.accepted) == whole_totals(behind.url).accepted
