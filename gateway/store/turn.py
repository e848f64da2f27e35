"""Whose turn it is to write to a SQLite file, among the processes that have it open: each is next after the other.

SQLite's own way to wait for its lock is to sleep for up to a tenth of a second and look again. A process with much to
write takes the lock anew within that time, so that another one's client waits for its 250 for as long as chance has
it. Here one process at a time is next: it looks every millisecond, and the one that has just written is behind it.

The turn is a courtesy: it is SQLite's lock that protects the file. Of a process that ends the system takes it back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

LOOK_SECONDS = 0.001  # a commit takes about as long, and a look a few microseconds


class Turn:
    """The turn of one connection that writes."""

    def __init__(self, path: Path, wait_seconds: float) -> None:
        """path is the database file; after wait_seconds it is left to SQLite to say that the file is locked."""
        self._path = path
        self._files = [path.with_name(f"{path.name}-{name}") for name in ("next", "turn")]
        self._wait_seconds = wait_seconds
        self._descriptors: list[int] = []

    def open(self) -> None:
        """Have the files open, so that none is opened at some later time."""
        with contextlib.suppress(OSError):
            self._opened()

    def take(self) -> None:
        """Wait for it: first to be next, then to have it. Where the files cannot be had, all go at once."""
        with contextlib.suppress(OSError):
            next_one, turn = self._opened()
            until = time.monotonic() + self._wait_seconds
            if _locked(next_one, until):
                _locked(turn, until)
                fcntl.flock(next_one, fcntl.LOCK_UN)

    def give(self) -> None:
        """Let the next one write; nothing happens without the turn."""
        if len(self._descriptors) == len(self._files):
            fcntl.flock(self._descriptors[1], fcntl.LOCK_UN)

    def close(self) -> None:
        """Give up the turn for good."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _opened(self) -> list[int]:
        while len(self._descriptors) < len(self._files):
            name = self._files[len(self._descriptors)]
            self._descriptors.append(os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            if not os.geteuid():  # as SQLite does with its own files: root's commands must not lock the gateway out
                owner = self._path.stat()
                os.fchown(self._descriptors[-1], owner.st_uid, owner.st_gid)
        return self._descriptors


def _locked(descriptor: int, until: float) -> bool:
    """Whether it can be locked by then."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
        else:
            return True
