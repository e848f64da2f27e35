"""Runs sessions that break off at every octet, a few at a time, and keeps count of their messages."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, cycle

from tests.faults.sessions import EarlyEndError, Script, Session, Step, Way

THREADS = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """Where and how a session breaks off: in the step of this index, after so many of its octets."""

    port: int
    script: Script
    step: int
    octets: int
    way: Way


def cuts(
    port: int, script: Script, *, first_step: int = 0, stride: int = 1, ways: Iterable[Way] = Way
) -> Iterator[Cut]:
    """Every octet of the script in every way; with a stride, one way after the other at every so many octets."""
    places = [(index, octets) for index, size in sizes(port, script, first_step) for octets in range(size + 1)]
    chosen = cycle(ways)
    for index, octets in places[::stride]:
        for way in [next(chosen)] if stride > 1 else ways:
            yield Cut(port, script, index, octets, way)


def sizes(port: int, script: Script, first_step: int) -> list[tuple[int, int]]:
    """Index and octets of each step; those of a handshake are counted in a session that is not broken off."""
    session, found = Session(port), []
    for index, step in enumerate(script(0)):
        sent = session.take(step)
        found.append((index, sent or len(step.octets)))
    session.socket.close()
    return found[first_step:]


@dataclass(slots=True)
class Soak:
    """What has come of the sessions so far. early holds those that the server ended before the client did."""

    sessions: int = 0
    finished: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    early: list[str] = field(default_factory=list)
    _silent: deque[Session] = field(default_factory=deque)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, these: Iterable[Cut]) -> None:
        """Break off all these sessions; return when the server has ended those that were left to it."""
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(self._one, these):
                pass
        while self._silent:
            self._silent.popleft().wait_for_end()

    def _one(self, cut: Cut) -> None:
        with self._lock:
            number = next(self._numbers)
        session, steps = Session(cut.port), cut.script(number)
        try:
            self._break_off(session, steps, cut)
        except (EarlyEndError, ConnectionError) as error:
            self.early.append(f"{cut}: {error!r}")
            session.socket.close()
        with self._lock:
            self.sessions += 1
            self.finished |= session.finished
            self.acknowledged |= session.acknowledged

    def _break_off(self, session: Session, steps: list[Step], cut: Cut) -> None:
        for step in steps[: cut.step]:
            session.take(step)
        session.begin(steps[cut.step], cut.octets, torn=cut.way is Way.TORN)
        if session.go(cut.way) and cut.way is Way.SILENT:
            self._silent.append(session)  # its end is a deadline, so go on meanwhile
        elif cut.way is Way.HALF:
            session.wait_for_end()
