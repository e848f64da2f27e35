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

    def begin(self, seconds: float, expire: Callable[[], None]) -> Deadline:
        """Call expire after so many seconds."""
        deadline = Deadline(self, expire)
        now = self._clock.seconds()
        at = math.ceil(now + seconds) if self._whole_seconds else now + seconds
        self._waiting[deadline] = at
        if self._call is None or self._call.getTime() > at:
            self.stop()
            self._call = self._clock.callLater(at - now, self._look)
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
        for deadline in [one for one, at in self._waiting.items() if at <= now]:
            if self._waiting.pop(deadline, None) is not None:  # expiring one may end others
                deadline.pass_by()
        if self._waiting:
            next_at = min(self._waiting.values())
            if self._call is None:  # else expiring one has begun another
                self._call = self._clock.callLater(max(0.0, next_at - now), self._look)
            elif self._call.getTime() > next_at:
                self._call.reset(max(0.0, next_at - now))


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
