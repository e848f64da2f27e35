"""Shares new connections out among workers: who has more sessions than another leaves a connection to that one.

All workers wait on the same sockets, and the system wakes whoever is first, which may be the same one for long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

LEAVE_SECONDS = 0.002
"""What another worker has to take the connection, for each session that we are ahead; then we do. Most mail libraries
need as long for their EHLO."""
LONGEST_LEAVE_SECONDS = 0.05
"""On a machine with more to do than processors a worker comes to run after some of these. One that does not is stuck,
and must not keep clients waiting for longer."""


class Shares:
    """How many sessions each of the other workers has, by its number."""

    def __init__(self) -> None:
        self._others: Counter[int] = Counter()

    def change(self, worker: int, change: int) -> None:
        """So many more in that worker. 0 makes a worker known that has none yet."""
        self._others[worker] += change

    def gone(self, worker: int) -> None:
        """That worker has ended, and takes no connection."""
        self._others.pop(worker, None)

    def ahead(self, here: int) -> int:
        """By how many the so many that we have here are more than another one has."""
        return max((here - there for there in self._others.values()), default=0)


class FairPort:
    """Takes over the accepting of an open port: one connection at a time, and only when it is our turn."""

    def __init__(self, port: Any, reactor: Any, ahead: Callable[[], int]) -> None:
        self._port = port
        self._reactor = reactor
        self._ahead = ahead
        self._accept: Callable[[], None] = port.doRead
        self._has_waited = False
        port.doRead = self.read

    def read(self) -> None:
        """A connection waits."""
        ahead = 0 if self._has_waited else self._ahead()
        if ahead > 0:
            self._has_waited = True
            self._port.stopReading()
            self._reactor.callLater(min(ahead * LEAVE_SECONDS, LONGEST_LEAVE_SECONDS), self._again)
            return
        self._has_waited = False
        self._port.numberAccepts = 1
        self._accept()

    def _again(self) -> None:
        if self._port.connected and not self._port.disconnecting:
            self._port.startReading()
