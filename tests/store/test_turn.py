"""Processes that write to one SQLite file: one after the other, whoever ends or stands still; its log stays short."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store.sqlite import SqliteStore
from gateway.store.turn import Turn
from tests.store.mail import add, message, totals

PROGRAM = Path(__file__).with_name("gateway_process.py")
WRITES = 30
BETWEEN = 4  # commits of the other process that may come between asking and writing; most often it is one
HOLD = """
import sys, time
from pathlib import Path
from gateway.store.turn import Turn
turn = Turn(Path(sys.argv[1]), 5.0)
turn.take()
print("mine", flush=True)
time.sleep(60)
"""
LOG_OCTETS = 80 * 1024 * 1024
COMMITS = 1500  # 140 MB in the log, were nothing written back


@pytest.fixture
def store(tmp_path):
    made = SqliteStore(tmp_path / "store.sqlite")
    made.open()
    yield made
    made.close()


@contextmanager
def running(*arguments):
    process = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_process_that_writes_without_end_leaves_every_second_turn_to_another(store):
    between = []
    with running(PROGRAM, "add", f"sqlite:{store.path}", "loud"):
        for number in range(WRITES):
            time.sleep(0.01)
            before = totals(store).accepted
            asked = time.monotonic()
            after = store.run(lambda one: one.totals().accepted)
            between.append((after - before) // 2)
            assert time.monotonic() - asked < 5.0, number
    assert statistics.median(between) <= BETWEEN, between


def test_the_turn_of_a_process_that_is_killed_goes_to_the_next(tmp_path):
    with running("-c", HOLD, tmp_path / "store.sqlite") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        turn, began = Turn(tmp_path / "store.sqlite", 60.0), time.monotonic()
        turn.take()
        turn.close()
        assert time.monotonic() - began < 10.0


def test_a_process_that_stands_still_with_the_turn_alone_stops_nobody(store, monkeypatch):
    """SQLite's lock is what counts: who has waited long enough writes all the same."""
    monkeypatch.setattr("gateway.store.sqlite.BUSY_SECONDS", 0.2)
    with running("-c", HOLD, store.path) as process:
        process.send_signal(signal.SIGSTOP)
        add(store, message(1))
        add(store, message(2))
        process.send_signal(signal.SIGCONT)
    assert totals(store).accepted == 2


def test_a_log_that_is_written_to_without_end_stays_short(store):
    log = store.path.with_name(f"{store.path.name}-wal")
    for number in range(COMMITS):
        add(store, message(number), content=bytes(20_000))
    assert log.stat().st_size < LOG_OCTETS
    assert store.path.stat().st_size > COMMITS * 20_000 / 2
    assert totals(store).accepted == COMMITS
