"""Alarms about what lasts, such as a refused key: told when it begins, and now and then while it goes on.

A key that is refused fails each attempt of its lane; an alarm for each would bury all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.events import Alarm, Reporter

REPEAT_SECONDS = 600.0  # often enough to stay visible in a log that is looked at, and in the window of the alert rule
SETTLED_SECONDS = 60.0  # well for so long, it is told anew; what comes and goes with each message is one state
SUBJECTS = 1000  # some for each vendor entry and key; beyond it, those that would be told anyway are forgotten


@dataclass(slots=True)
class _Standing:
    """One thing that is wrong: when it was told, how often it was met since, and since when it is well again."""

    told_at: float
    untold: int = 0
    well_at: float | None = None


class StandingAlarms:
    """Those of one process. seconds never goes back."""

    def __init__(self, seconds: Callable[[], float], report: Reporter) -> None:
        self._seconds = seconds
        self._report = report
        self._standing: dict[str, _Standing] = {}

    @property
    def are_standing(self) -> bool:
        """Whether anything may be wrong: when not, nobody need work out what its subject would be."""
        return bool(self._standing)

    def met(self, subject: str, text: str) -> None:
        """It is wrong, or still wrong; text tells of it, subject knows it again."""
        now, known = self._seconds(), self._standing.get(subject)
        if known is not None and not _is_due(known, now):
            known.untold += 1
            known.well_at = None
            return
        if known is not None and known.untold:
            text = f"{text} ({known.untold + 1} times since the last alarm)"
        if known is None and len(self._standing) >= SUBJECTS:
            self._forget(now)
        self._standing[subject] = _Standing(now)
        self._report(Alarm(text))

    def well(self, subject: str) -> None:
        """It is not wrong at the moment."""
        known = self._standing.get(subject)
        if known is not None and known.well_at is None:
            known.well_at = self._seconds()

    def _forget(self, now: float) -> None:
        """Whatever is due would be told anew in any case; if nothing is, the whole of it goes."""
        self._standing = {name: one for name, one in self._standing.items() if not _is_due(one, now)}
        if len(self._standing) >= SUBJECTS:
            self._standing = {}


def _is_due(known: _Standing, now: float) -> bool:
    """Whether it is told when it is met again."""
    has_settled = known.well_at is not None and now - known.well_at >= SETTLED_SECONDS
    return has_settled or now - known.told_at >= REPEAT_SECONDS
