"""A write-ahead log that was damaged: what can be recovered is, and what cannot is told and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from gateway.store import sqlite
from gateway.store.sqlite import SqliteStore
from tests.store.mail import add, message, totals

MESSAGES = 20
CONTENT = bytes(3000)


@pytest.fixture
def crashed(tmp_path):
    """The path of a database as a crash leaves it: all messages are in the log."""
    store = SqliteStore(tmp_path / "running" / "store.sqlite")
    store.open()
    for number in range(MESSAGES):
        add(store, message(number), content=CONTENT)
    shutil.copytree(store.path.parent, tmp_path / "crashed")
    store.close()
    (tmp_path / "crashed" / "store.sqlite-shm").unlink()
    return tmp_path / "crashed" / store.path.name


def log_of(path):
    return path.with_name(f"{path.name}-wal")


def opened(path):
    store = SqliteStore(path)
    store.open()
    found = totals(store).accepted
    store.close()
    return found, store.damage


def test_a_log_that_a_crash_left_is_recovered_without_a_word(crashed):
    assert opened(crashed) == (MESSAGES, "")
    assert opened(crashed) == (MESSAGES, "")


def test_what_was_being_written_at_the_crash_is_no_damage(crashed):
    """A commit that is there in part, and what an earlier use of the file has left behind it."""
    os.truncate(log_of(crashed), log_of(crashed).stat().st_size - 1)
    with log_of(crashed).open("ab") as file:
        file.write(os.urandom(50_000))
    assert opened(crashed) == (MESSAGES - 1, "")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.8])
def test_garbage_within_the_log_is_told_and_the_log_is_kept(crashed, place):
    octets = bytearray(log_of(crashed).read_bytes())
    at = int(place * len(octets))
    octets[at : at + 10] = b"\xa5" * 10
    log_of(crashed).write_bytes(octets)
    found, damage = opened(crashed)
    assert 0 < found < MESSAGES
    assert f"{crashed}: at least " in damage
    assert "what was accepted last may be missing" in damage
    assert crashed.with_name("store.sqlite-wal-damaged").read_bytes() == octets


@pytest.mark.parametrize("octet", [0, 9, 17, 25])
def test_a_log_whose_header_is_damaged_is_told(crashed, octet):
    octets = bytearray(log_of(crashed).read_bytes())
    octets[octet] ^= 0xFF
    log_of(crashed).write_bytes(octets)
    found, damage = opened(crashed)
    assert found == 0
    assert "at least 1 commits at the end of the write-ahead log cannot be read" in damage


WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')"


def test_nobody_writes_while_the_log_is_looked_at(crashed, monkeypatch):
    """SQLite's locks belong to the process and are lost when it closes another descriptor of the file."""
    look, tried = sqlite.unreadable_commits, []

    def look_and_have_another_process_write(*arguments):
        found = look(*arguments)
        tried.append(
            subprocess.run([sys.executable, "-c", WRITE, crashed], capture_output=True, text=True, check=False)
        )
        return found

    monkeypatch.setattr(sqlite, "unreadable_commits", look_and_have_another_process_write)
    assert opened(crashed) == (MESSAGES, "")
    assert ["database is locked" in one.stderr for one in tried] == [True]
