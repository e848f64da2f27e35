"""Deadlines of many with one delayed call: nearly all end long before, and then nothing has to be undone.

A delayed call for each would make the reactor's heap long, and every call of a turn has to find its place in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadlines:
    """Calls what is to expire when its time has come, unless it was taken out before.

    whole_seconds: at the next whole second of the clock, so that thousands are looked through once a second at most.
    """

    def __init__(self, clock: IReactorTime, *, whole_seconds: bool = False) -> None:
        self._clock = clock
        self._whole_seconds = whole_seconds
        self._waiting: dict[Deadline, float] = {}
        self._call: IDelayedCall | None = None
        self._call_at = 0.0  # as it was meant: the reactor's own figure is some microseconds later

    def begin(self, seconds: float, expire: Callable[[], None]) -> Deadline:
        """Call expire after so many seconds."""
        deadline = Deadline(self, expire)
        now = self._clock.seconds()
        at = math.ceil(now + seconds) if self._whole_seconds else now + seconds
        self._waiting[deadline] = at
        if self._call is None or self._call_at > at:
            self._look_at(at, now)
        return deadline

    def end(self, deadline: Deadline) -> None:
        """Do not call it any more. The delayed call stays: when it comes, it looks for the next."""
        self._waiting.pop(deadline, None)

    def stop(self) -> None:
        """Leave no delayed call behind."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _look(self) -> None:
        self._call = None
        now = self._clock.seconds()
        try:
            for deadline in [one for one, at in self._waiting.items() if at <= now]:
                if self._waiting.pop(deadline, None) is not None:  # expiring one may end others
                    deadline.pass_by()
        finally:  # a fault of one must not keep the others waiting
            next_at = min(self._waiting.values(), default=math.inf)
            if next_at < math.inf and (self._call is None or self._call_at > next_at):  # one may have begun another
                self._look_at(next_at, now)

    def _look_at(self, at: float, now: float) -> None:
        self.stop()
        self._call = self._clock.callLater(max(0.0, at - now), self._look)
        self._call_at = at


class Deadline:
    """One of them. passed tells whether its time has come."""

    __slots__ = ("_deadlines", "_expire", "passed")

    def __init__(self, deadlines: Deadlines, expire: Callable[[], None]) -> None:
        self.passed = False
        self._deadlines = deadlines
        self._expire = expire

    def end(self) -> None:
        """It is not needed any more."""
        self._deadlines.end(self)

    def pass_by(self) -> None:
        """Its time has come."""
        self.passed = True
        self._expire()
