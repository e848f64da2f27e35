"""Three gateways on one PostgreSQL: one is killed, one stands still past its lease and goes on, the server is killed.

They share the key that secrets are sealed with by their settings, and nothing of their state folders.
"""

from __future__ import annotations

import base64
import contextlib
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, closing

import pytest

from tests.faults.gateways import IN_FLIGHT, LEASE_SECONDS, Gateway, token_of
from tests.faults.load import Load
from tests.faults.proof import prove, until, whole_totals
from tests.postgres_server import PASSWORD

GATEWAYS = 3
STEP_ACCEPTED = 40  # messages between one fault and the next
PAST_LEASE_SECONDS = LEASE_SECONDS + 1.0


class Installation:
    """The gateways, their database and the load on them."""

    def __init__(self, folder, starts, vendors, postgres, lease_seconds=LEASE_SECONDS):
        self.url, self._server = postgres.new_place(), postgres
        password = folder / "password"
        password.write_text(PASSWORD)
        key = folder / "key"
        key.write_bytes(base64.b64encode(bytes(range(32))))
        store = f'\n[store]\nurl = "{self.url}"\npassword = {{ file = "{password}" }}\nkey = {{ file = "{key}" }}\n'
        self.gateways = [
            Gateway(folder / f"gateway-{number}", starts, vendors, store, lease_seconds=lease_seconds)
            for number in range(GATEWAYS)
        ]
        ports = {name: [one.ports[name] for one in self.gateways] for name in self.gateways[0].ports}
        self.load = Load(ports, timeout_seconds=1.5)  # whoever meets the one that stands still goes to the next

    def in_flight(self) -> Counter[str]:
        """The tokens that are being attempted at this moment, by anyone."""
        with closing(self._server.connect(self.url)) as connection:
            return Counter(token_of(path) for (path,) in connection.execute(IN_FLIGHT))

    def log(self) -> str:
        return "".join(one.log() for one in self.gateways)

    def goes_on(self) -> bool:
        before = self.load.accepted()
        return until(lambda: self.load.accepted() >= before + STEP_ACCEPTED)


@pytest.fixture
def installation(tmp_path, starts, vendors, postgres):
    vendors.steer(seconds=0.1)
    return Installation(tmp_path, starts, vendors, postgres)


def test_nothing_is_lost_or_doubled_when_one_is_killed_and_one_stands_still(installation, vendors):
    one = installation
    first, second, third = one.gateways
    faults: Counter[str] = Counter()
    with third.running(), second.running(), one.load.running():
        first.start()
        assert one.goes_on(), one.log()
        faults += one.in_flight()
        first.kill()
        assert one.goes_on()
        second.pause()
        faults += one.in_flight()
        paused_at = time.monotonic()
        assert one.goes_on()
        until(lambda: time.monotonic() - paused_at > PAST_LEASE_SECONDS)
        second.go_on()
        assert one.goes_on()
        first.start()
        assert one.goes_on()
        first.stop()
    with third.running():
        prove(one.url, vendors, one.load, faults, one.log)
    assert faults, "no fault has hit an attempt: this has shown nothing"


def test_nothing_is_lost_when_the_database_server_is_killed_and_comes_back(tmp_path, starts, vendors, postgres):
    """The gateways keep the ends of their attempts in hand meanwhile, so that nothing is doubled either."""
    one = Installation(tmp_path, starts, vendors, postgres, lease_seconds=8.0)
    with ExitStack() as stack:
        for gateway in one.gateways:
            stack.enter_context(gateway.running())
        stack.enter_context(one.load.running())
        assert one.goes_on(), one.log()
        postgres.signal(signal.SIGKILL)
        assert until(lambda: one.load.refused(451) >= 3)
        _start_again(postgres)
        assert one.goes_on()
        whole_totals(one.url, is_quiet=False)
    with one.gateways[0].running():
        prove(one.url, vendors, one.load, Counter(), one.log)


def test_a_gateway_with_another_key_does_not_start(tmp_path, starts, vendors, postgres):
    one = Installation(tmp_path, starts, vendors, postgres)
    first, other, _ = one.gateways
    with first.running():
        assert until(lambda: first.log_file.exists() and "listening" in first.log())
        (tmp_path / "other-key").write_bytes(base64.b64encode(bytes(32)))
        other.config.write_text(other.config.read_text().replace(f'"{tmp_path}/key"', f'"{tmp_path}/other-key"'))
        other.start()
        assert other.child.has_ended(20.0)
        assert "its secrets were sealed with another key than that of [store] key" in other.log()


def _start_again(server) -> None:
    """The processes of a killed server need a moment to notice; until then it does not start."""

    def starts() -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.start()
            return True
        return False

    assert until(starts)
