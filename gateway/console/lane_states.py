"""What the queue's runner tells the console about its lanes: who is paused, whose breaker is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.lane_state import LaneState


class LaneStates(Protocol):
    """Gives the lanes of which something is known."""

    def __call__(self) -> Sequence[LaneState]:
        """The lanes, as they are now."""


def no_lane_states() -> Sequence[LaneState]:
    """For a gateway without a queue's runner."""
    return ()
