"""A store between processes: killed at any moment, claiming at the same time, on a disk that takes no more."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store.opening import open_store
from tests.postgres_server import PASSWORD
from tests.store.mail import add, found, message, totals

PROGRAM = Path(__file__).with_name("gateway_process.py")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/state/store.sqlite"
    return request.getfixturevalue("postgres").new_place()


@contextmanager
def opened(url):
    store = open_store(url, PASSWORD)
    try:
        yield store
    finally:
        store.close()


def start(what, url, name="g"):
    return subprocess.Popen(
        [sys.executable, PROGRAM, what, url, name],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"STORE_PASSWORD": PASSWORD},
    )


@pytest.mark.parametrize("lines", [1, 3, 30])
def test_what_was_committed_survives_kill_9_whole_and_nothing_else_is_there_in_half(url, lines):
    process = start("add", url)
    told = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    told += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    with opened(url) as store:
        accepted = totals(store).accepted
        assert accepted // 2 - len(told) in (0, 1)  # the one in the commit may be there
        for number in range(accepted // 2):
            assert found(store, message(number, "a@x.example", "b@x.example")) is not None
            pieces = store.look(lambda one, number=number: list(one.content(message(number).message_id)))
            assert b"".join(pieces) == bytes(20_000)


def test_processes_that_claim_at_once_never_share_and_miss_nothing(url):
    with opened(url) as store:
        add(store, *(message(n) for n in range(90)))
        processes = [start("take", url, f"g-{number}") for number in range(3)]
        taken = [line for process in processes for line in process.communicate()[0].split()]
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert sorted(taken) == [message(n).message_id for n in range(90)]
        assert totals(store).relayed == 90


def test_a_disk_that_takes_no_more_is_told_and_what_was_taken_stays_whole(tmp_path):
    url = f"sqlite:{tmp_path}/store.sqlite"
    process = start("fill", url)
    lines = [line.split(maxsplit=2) for line in process.communicate()[0].splitlines()]
    assert process.returncode == 0
    kept = [int(line[1]) for line in lines if line[0] == "kept"]
    reasons = {line[2].strip() for line in lines if line[0] == "refused"}
    assert kept
    assert reasons
    assert all("store.sqlite: " in one for one in reasons)
    with opened(url) as store:
        assert totals(store).accepted == len(kept)
        assert [n for n in range(400) if found(store, message(n))] == kept
        add(store, message(1000))
