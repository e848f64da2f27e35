"""What the queue's runner tells the console about its lanes: who is paused, whose breaker is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane of this gateway. lane is "<vendor entry>/<fingerprint of the key, or own>".

    state is that of the breaker, or paused because the vendor asked for it. until is when the next attempt may be made
    (by the wall clock), None when it may now. in_hand counts the attempts being made. last_outcome is accepted,
    refused, deferred or unknown, with cause the name of its Cause; both empty when none is known.
    """

    lane: str
    state: Literal["closed", "open", "probing", "paused"]
    until: float | None = None
    in_hand: int = 0
    last_outcome: str = ""
    cause: str = ""


class LaneStates(Protocol):
    """Gives the lanes of which something is known."""

    def __call__(self) -> Sequence[LaneState]:
        """The lanes, as they are now."""


def no_lane_states() -> Sequence[LaneState]:
    """For a gateway without a queue's runner."""
    return ()
