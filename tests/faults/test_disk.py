"""A disk that is full, that fails, that takes no writes: mail is refused meanwhile, and none is lost or doubled."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gateway.store.jobs import BURY_SECONDS
from tests.faults.failing_calls import failing, is_here
from tests.faults.gateways import Gateway
from tests.faults.load import Load, submitted
from tests.faults.proof import prove, until, whole_totals

FAULTS = {
    "the disk is full": ("pwrite64", "ENOSPC", 452),
    "writing fails": ("pwrite64", "EIO", 451),
    "fsync fails": ("fsync,fdatasync", "EIO", 451),
    "the disk has become read-only": ("pwrite64", "EROFS", 451),
}
REFUSED = 4  # messages while the fault lasts
LEASE_SECONDS = 4.0  # longer than the fault, so that nothing is taken over
START_SECONDS = 30


@pytest.fixture
def gateway(tmp_path, starts, vendors, needs):
    needs(is_here(), "strace")
    return Gateway(tmp_path / "gateway", starts, vendors, lease_seconds=LEASE_SECONDS)


def load_on(gateway: Gateway) -> Load:
    return Load({name: [port] for name, port in gateway.ports.items()})


@pytest.mark.parametrize("fault", FAULTS)
def test_mail_is_refused_while_the_disk_fails_and_goes_on_afterwards(gateway, vendors, fault):
    calls, error, code = FAULTS[fault]
    load = load_on(gateway)
    with gateway.running():
        with load.running():
            assert until(lambda: load.accepted() > 20)
            with failing(gateway.child.pid, calls, error):
                assert until(lambda: load.refused(code) >= REFUSED), (load.told, gateway.log()[-8000:])
                before = load.accepted()
            assert until(lambda: load.accepted() >= before + 20)
        prove(gateway.url, vendors, load, Counter(), gateway.log)  # and nothing twice: no attempt's end was lost
        for name, told in load.told.items():
            assert told.rejected.isdisjoint(vendors.seen(name).deliveries)
    assert "Traceback" not in gateway.log()


@pytest.mark.parametrize("fault", ["writing fails", "fsync fails"])
def test_a_gateway_that_is_killed_while_the_disk_fails_has_lost_nothing(tmp_path, starts, vendors, needs, fault):
    needs(is_here(), "strace")
    calls, error, code = FAULTS[fault]
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    load = load_on(gateway)
    with load.running():
        gateway.start()
        assert until(lambda: load.accepted() > 20)
        with failing(gateway.child.pid, calls, error):
            assert until(lambda: load.refused(code) >= REFUSED)
            gateway.kill()
        in_flight = gateway.in_flight()
        whole_totals(gateway.url)
        before = load.accepted()
        gateway.start()
        assert until(lambda: load.accepted() > before)
    prove(gateway.url, vendors, load, in_flight, gateway.log)
    gateway.stop()


def test_mail_that_was_refused_for_a_failing_fsync_is_not_there_after_a_crash(tmp_path, starts, vendors, needs):
    """The commit is in the log all the same, whole, and SQLite would recover it: so it is written over."""
    needs(is_here(), "strace")
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    gateway.start()
    assert until(lambda: submitted(gateway, "before") == 250)
    assert until(lambda: vendors.seen("poststack").deliveries == {"before": 1})
    with failing(gateway.child.pid, "fsync,fdatasync", "EIO"):
        assert submitted(gateway, "refused") == 451
    time.sleep(BURY_SECONDS * 4)  # nobody else writes meanwhile
    gateway.kill()
    with gateway.running():
        assert until(lambda: submitted(gateway, "after") == 250)
        assert until(lambda: vendors.seen("poststack").deliveries["after"] == 1)
        assert whole_totals(gateway.url).accepted == 2
    assert "refused" not in vendors.seen("poststack").deliveries


def test_a_start_on_a_disk_that_is_read_only_says_so(gateway, tmp_path):
    """SQLite opens for writing first, which a read-only disk refuses, and then for reading."""
    with gateway.running():
        assert until(gateway.database.exists)
    command = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "mailgateway"]
    injected = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(gateway.database), "-e", "trace=openat"]
    done = subprocess.run(
        [*injected, "-e", "inject=openat:error=EROFS:when=1..3+2", *command, "--config", str(gateway.config)],
        check=False,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert done.returncode != 0
    assert f"mailgateway: {gateway.database}: " in done.stderr + done.stdout
