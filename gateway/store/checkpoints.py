"""Checkpoints of SQLite's write-ahead log, in a thread of their own: no 250 waits while pages go back into the file.

SQLite by itself makes them within whichever commit passes its limit, and that client waits for all the pages and for
another fsync. What a commit promises is the same here: it has reached the disk, in the log, before it ends.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

COMMITS = 200  # of this process between two checkpoints: some MiB of the log, and pages that change often go back once
LONG_FRAMES = 4096  # 16 MiB of usual pages: from then on writers wait for what is left, and the log begins anew


class Log(Protocol):
    """A connection of its own to the file."""

    def checkpoint(self) -> int:
        """Have what nobody reads any more go back into the file; gives how many frames the log had."""

    def checkpoint_alone(self) -> None:
        """The same while nobody writes."""

    def close(self) -> None:
        """Close the connection."""


class Checkpoints:
    """Makes them as commits are told. connect gives a connection of its own; errors are those of the next commit."""

    def __init__(self, connect: Callable[[], Log]) -> None:
        self._connect = connect
        self._commits = 0
        self._due = threading.Event()
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, name="store-checkpoints", daemon=True)
        self._thread.start()

    def note_commit(self) -> None:
        """A commit was made here."""
        self._commits += 1
        if self._commits >= COMMITS:
            self._due.set()

    def close(self) -> None:
        """End the thread; what is left in the log stays there, or goes back when its last user closes the file."""
        self._is_open = False
        self._due.set()
        self._thread.join()

    def _serve(self) -> None:
        log: Log | None = None  # kept open: SQLite keeps the file of a connection that ends while another has a lock
        while self._is_open:
            self._commits = 0
            try:
                log = log or self._connect()
                _checkpoint(log)
            except Exception:  # whatever is wrong with the file, the next commit meets it and tells
                _close(log)
                log = None
            self._due.wait()
            self._due.clear()
        _close(log)


def _close(log: Log | None) -> None:
    if log is not None:
        with contextlib.suppress(Exception):
            log.close()


def _checkpoint(log: Log) -> None:
    """What is committed meanwhile stays in the log, so that a busy one never begins anew by itself."""
    if log.checkpoint() >= LONG_FRAMES:
        log.checkpoint_alone()
