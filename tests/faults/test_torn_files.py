"""A gateway that starts on a file that is torn: it says what is wrong, or sends what is left and says what is not."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter

import pytest

from tests.faults.gateways import Gateway
from tests.faults.load import Load
from tests.faults.proof import prove, until, whole_totals

MESSAGES = 40
HEADER_OCTETS, FRAME_OCTETS = 32, 24 + 4096  # of the log, with SQLite's usual pages


@pytest.fixture
def crashed(tmp_path, starts, vendors):
    """A gateway that was killed while its mail waited, and what it had accepted."""
    vendors.steer("503")
    gateway = Gateway(tmp_path / "gateway", starts, vendors)
    load = Load({name: [port] for name, port in gateway.ports.items()})
    gateway.start()
    with load.running():
        assert until(lambda: load.accepted() >= MESSAGES)
    gateway.kill()
    vendors.steer()
    return gateway, load


def log_of(gateway: Gateway):
    return gateway.database.with_name(f"{gateway.database.name}-wal")


def frames_in_use(log: bytes) -> int:
    """How many frames are of the present round of the log; behind them are those of earlier rounds."""
    places = range(HEADER_OCTETS, len(log), FRAME_OCTETS)
    return sum(log[at + 8 : at + 16] == log[16:24] for at in places)


def write_back(gateway: Gateway) -> None:
    """Have all in the one file, as after an orderly end."""
    with contextlib.closing(sqlite3.connect(gateway.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_a_commit_that_the_crash_cut_in_half_was_never_acknowledged(crashed, vendors):
    gateway, load = crashed
    with log_of(gateway).open("ab") as log:
        log.write(b"\xa5" * 3000)
    with gateway.running():
        prove(gateway.url, vendors, load, Counter(), gateway.log)
    assert "cannot be read" not in gateway.log()


def test_what_is_lost_of_a_damaged_log_is_told_and_the_rest_leaves(crashed, vendors):
    gateway, load = crashed
    octets = bytearray(log_of(gateway).read_bytes())
    middle = HEADER_OCTETS + frames_in_use(octets) // 2 * FRAME_OCTETS
    octets[middle + 100 : middle + 200] = b"\xa5" * 100
    log_of(gateway).write_bytes(octets)
    with gateway.running():
        assert until(lambda: "what was accepted last may be missing" in gateway.log())
        assert until(lambda: whole_totals(gateway.url).queued == 0)
        totals = whole_totals(gateway.url)
    assert 0 < totals.relayed == totals.accepted <= load.accepted()
    assert log_of(gateway).with_name("store.sqlite-wal-damaged").read_bytes() == octets


def test_half_a_file_is_refused_by_name(crashed):
    gateway, _ = crashed
    write_back(gateway)
    octets = gateway.database.read_bytes()
    gateway.database.write_bytes(octets[: len(octets) // 2])
    gateway.start()
    assert gateway.child.has_ended(20.0)
    assert f"mailgateway: {gateway.database}: " in gateway.log()
    assert "malformed" in gateway.log()
    assert gateway.database.read_bytes() == octets[: len(octets) // 2]


def test_garbage_in_the_middle_of_the_file_is_told(crashed, vendors):
    """What can be read leaves; the rest stays, with an alarm that names the file."""
    gateway, load = crashed
    write_back(gateway)
    octets = bytearray(gateway.database.read_bytes())
    octets[len(octets) // 3 : len(octets) * 2 // 3] = b"\xa5" * (len(octets) * 2 // 3 - len(octets) // 3)
    gateway.database.write_bytes(octets)
    gateway.start()
    assert until(lambda: "malformed" in gateway.log() or gateway.child.has_ended())
    told = [line for line in gateway.log().splitlines() if "malformed" in line]
    assert any(str(gateway.database) in line for line in told)
    gateway.child.kill()
    delivered = {name: vendors.seen(name).deliveries for name in load.told}
    assert all(times == 1 for tokens in delivered.values() for times in tokens.values())
