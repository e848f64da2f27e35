"""What the queue knows of a lane, for whoever shows it; and how what several processes know of one is told as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

LaneCondition = Literal["closed", "open", "probing", "paused"]
WORST_FIRST: tuple[LaneCondition, ...] = ("open", "probing", "paused", "closed")


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane of this gateway. lane is "<vendor entry>/<fingerprint of the key, or own>".

    state is that of the breaker, or paused because the vendor asked for it. until is when the next attempt may be made
    (by the wall clock), None when it may now. in_hand counts the attempts being made. last_outcome is accepted,
    refused, deferred or unknown, with cause the name of its Cause; both empty when none is known.
    """

    lane: str
    state: LaneCondition
    until: float | None = None
    in_hand: int = 0
    last_outcome: str = ""
    cause: str = ""

    @property
    def vendor(self) -> str:
        """The vendor entry."""
        return self.lane.partition("/")[0]


def merged(states: Iterable[LaneState]) -> list[LaneState]:
    """One state for each lane, in order of the lanes: the worst that a process knows, and what all have in hand."""
    found: dict[str, LaneState] = {}
    for one in states:
        before = found.get(one.lane)
        found[one.lane] = one if before is None else _worse(before, one)
    return [found[lane] for lane in sorted(found)]


def _worse(one: LaneState, other: LaneState) -> LaneState:
    """The worse of two; of two that are alike, the one with a cause."""
    worst, _ = sorted((one, other), key=lambda state: (WORST_FIRST.index(state.state), not state.cause))
    until = max((state.until for state in (one, other) if state.until is not None), default=None)
    return replace(worst, until=until, in_hand=one.in_hand + other.in_hand)
