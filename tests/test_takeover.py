"""Claims of processes that have ended are free; those of a process that lives, or stands still, are its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.takeover import FOLDER, Takeover
from tests.store.mail import add, claim, message

LIVE = """
import sys, time
from pathlib import Path
from gateway.takeover import Takeover
takeover = Takeover(Path(sys.argv[1]), None, print, None)
takeover.register("other.example/other")
print("lives", flush=True)
time.sleep(60)
"""


@contextmanager
def living(folder):
    command = [sys.executable, "-c", LIVE, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    try:
        assert process.stdout.readline() == "lives\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def registered(folder, store, name="here.example/here"):
    told = []
    made = Takeover(folder, store, told.append, None)
    made.register(name)
    assert told == []
    return made


@pytest.mark.parametrize("still", [False, True])
def test_a_process_that_lives_keeps_its_claims_and_one_that_is_killed_does_not(tmp_path, store, still):
    add(store, message(1))
    with living(tmp_path) as process:
        assert len(claim(store, gateway="other.example/other")) == 1
        if still:
            process.send_signal(signal.SIGSTOP)
        registered(tmp_path, store)
        assert claim(store) == []
    registered(tmp_path, store, "here.example/again")
    assert len(claim(store)) == 1
    assert not (tmp_path / FOLDER / "other").exists()


def test_a_folder_that_cannot_be_written_is_told_and_nothing_else_happens(tmp_path, store):
    (tmp_path / FOLDER).write_text("a file")
    told = []
    Takeover(tmp_path, store, told.append, None).register("here.example/here")
    assert "ends with its lease" in told[0].text
