"""Lanes: a vendor entry and a key. All mail of a lane shares its limits, its pauses and its breaker.

A slow or failing lane holds nobody up but itself, and recovery is bounded by the same limits: there is no storm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from gateway.lane_state import WORST_FIRST, LaneCondition, LaneState
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, Unknown
from gateway.queue.breaker import Breaker, BreakerRules

LANES = 1000  # new ones between two sweeps; a lane has about 500 octets
SHOWN_LANES = 500  # the worst first: as many as a page can bear, and a message of 50 KB to another process
LONGEST_PAUSE_SECONDS = 86_400.0  # quotas are of a day at most; behind a longer word new mail would wait unseen
SHARED_FACTOR = 4  # messages for each attempt that a lane may make: half of all at once, so that others have room


@dataclass(frozen=True, slots=True)
class LaneRules:
    """attempts_per_lane at once; rates is messages a second by vendor entry, for those that have a limit.

    shared: the vendor entries that take several messages in a request, so that more may be in hand.
    longest_pause_seconds: a lane whose vendor wants to be left alone for longer is open again after that.
    """

    attempts_per_lane: int
    breaker: BreakerRules
    rates: Mapping[str, float]
    shared: Collection[str] = ()
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS


class _Lane:
    """What is known of one lane. Times are by the clock that never goes back."""

    def __init__(self, breaker: Breaker, rate_per_second: float) -> None:
        self.breaker = breaker
        self.in_hand = 0
        self.paused_until = 0.0
        self.free_at = 0.0
        self.gap_seconds = 0.0
        self.last: Outcome | None = None
        self.change_rate(rate_per_second)

    def change_rate(self, rate_per_second: float) -> None:
        """One attempt after the other, evenly: no second has more than its share."""
        self.gap_seconds = 1.0 / rate_per_second if rate_per_second else 0.0

    def wait_seconds(self, now: float) -> float:
        return max(0.0, self.paused_until - now, self.free_at - now, self.breaker.wait_seconds(now))

    def is_forgettable(self, now: float) -> bool:
        return not self.in_hand and self.breaker.is_pristine and max(self.paused_until, self.free_at) <= now

    @property
    def is_fine(self) -> bool:
        """Whether there is nothing about the last attempt that an operator should see."""
        return self.last is None or isinstance(self.last, Accepted)

    def state(self, name: str, now: float, wall_now: float) -> LaneState:
        """The lane for whoever shows it."""
        condition: LaneCondition = "closed"
        if self.breaker.is_open:
            condition = "probing" if self.breaker.is_probing else "open"
        elif self.paused_until > now:
            condition = "paused"
        wait_seconds = max(self.paused_until - now, self.breaker.wait_seconds(now))
        until = round(wall_now + wait_seconds) if wait_seconds > 0 and condition != "probing" else None
        outcome = type(self.last).__name__.lower() if self.last is not None else ""
        cause = "" if self.last is None or isinstance(self.last, Accepted) else self.last.cause.name.lower()
        return LaneState(name, condition, until, self.in_hand, outcome, cause)


class Lanes:
    """All lanes of one gateway. seconds never goes back."""

    def __init__(self, seconds: Callable[[], float], rules: LaneRules) -> None:
        self._seconds = seconds
        self._rules = rules
        self._lanes: dict[str, _Lane] = {}
        self._sweep_at = LANES

    def change_rules(self, rules: LaneRules) -> None:
        """From now on these limits hold; breakers keep their times, and what is under way goes on."""
        self._rules = rules
        for name, lane in self._lanes.items():
            lane.change_rate(self._rate(name))

    def room(self, name: str) -> int:
        """How many more attempts may begin now."""
        lane = self._lanes.get(name)
        if lane is None:
            return 1 if self._rate(name) else self._limit(name)
        if lane.wait_seconds(self._seconds()) > 0:
            return 0
        room = max(0, self._limit(name) - lane.in_hand)
        return min(room, 1) if lane.breaker.is_open or lane.gap_seconds else room

    def wait_seconds(self, name: str) -> float:
        """How long nothing may begin, for a reason that only time takes away; 0 when it may now."""
        lane = self._lanes.get(name)
        return lane.wait_seconds(self._seconds()) if lane else 0.0

    def states(self, wall_now: float) -> list[LaneState]:
        """What is known of lanes, in their order. wall_now is the time of day."""
        now = self._seconds()
        found = [lane.state(name, now, wall_now) for name, lane in self._lanes.items()]
        found.sort(key=lambda one: (WORST_FIRST.index(one.state), not one.cause, one.lane))
        return sorted(found[:SHOWN_LANES], key=lambda one: one.lane)

    def begin(self, name: str) -> None:
        """An attempt is about to be made."""
        lane = self._lane(name)
        now = self._seconds()
        lane.in_hand += 1
        lane.breaker.begin()
        lane.free_at = max(now, lane.free_at) + lane.gap_seconds

    def end(self, name: str, outcomes: Collection[Outcome]) -> None:
        """It has ended; without outcomes it was not made."""
        lane = self._lane(name)
        lane.in_hand -= 1
        self._learn(lane, outcomes)
        self._forget(name, lane)

    def learn(self, name: str, outcomes: Collection[Outcome]) -> None:
        """What came of an attempt that was not begun here."""
        lane = self._lane(name)
        self._learn(lane, outcomes)
        self._forget(name, lane)

    def _learn(self, lane: _Lane, outcomes: Collection[Outcome]) -> None:
        now = self._seconds()
        lane.last = _most_telling(outcomes) or lane.last
        for outcome in outcomes:
            if isinstance(outcome, Deferred) and outcome.retry_after_seconds:
                pause_seconds = min(outcome.retry_after_seconds, self._rules.longest_pause_seconds)
                lane.paused_until = max(lane.paused_until, now + pause_seconds)
        if any(map(_is_well, outcomes)):
            lane.breaker.succeed()
        elif outcomes:
            lane.breaker.fail(now)
        else:
            lane.breaker.give_up()

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            if len(self._lanes) >= self._sweep_at:
                self._sweep()
            lane = self._lanes[name] = _Lane(Breaker(self._rules.breaker), self._rate(name))
        return lane

    def _limit(self, name: str) -> int:
        is_shared = name.partition("/")[0] in self._rules.shared
        return self._rules.attempts_per_lane * (SHARED_FACTOR if is_shared else 1)

    def _rate(self, name: str) -> float:
        return self._rules.rates.get(name.partition("/")[0], 0.0)

    def _sweep(self) -> None:
        """Forget the lanes whose pauses have ended since; the next sweep is after as many new ones."""
        now = self._seconds()
        self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_forgettable(now)}
        self._sweep_at = len(self._lanes) + LANES

    def _forget(self, name: str, lane: _Lane) -> None:
        """A gateway of many tenants sees many keys; a lane of which nothing is known need not be kept."""
        if lane.is_fine and lane.is_forgettable(self._seconds()):
            self._lanes.pop(name, None)


def _most_telling(outcomes: Collection[Outcome]) -> Outcome | None:
    """Of an attempt's outcomes the one for an operator to see: one recipient that was not taken says why."""
    return next((one for one in outcomes if not isinstance(one, Accepted)), next(iter(outcomes), None))


def _is_well(outcome: Outcome) -> bool:
    """Whether the vendor is there and answers."""
    if isinstance(outcome, Unknown):
        return False
    return isinstance(outcome, Accepted | Refused) or outcome.cause is not Cause.UNAVAILABLE


class Reservation:
    """The right of one message to one attempt in a lane; the gate of its attempts (gateway.attempts.Gate).

    An attempt in another lane, by a changed route or by failover, needs room there.
    """

    def __init__(self, lanes: Lanes, lane: str) -> None:
        self._lanes = lanes
        self._reserved: str | None = lane
        lanes.begin(lane)

    def begin(self, lane: str) -> bool:
        """Whether an attempt may be made in that lane; then it counts until its end."""
        if lane == self._reserved:
            self._reserved = None
            return True
        if not self._lanes.room(lane):
            return False
        self._lanes.begin(lane)
        return True

    def end(self, lane: str, outcomes: Collection[Outcome]) -> None:
        """What came of the attempt."""
        self._lanes.end(lane, outcomes)

    def close(self) -> None:
        """No attempt will be made any more."""
        if self._reserved is not None:
            self._lanes.end(self._reserved, ())
            self._reserved = None


class SpillGate:
    """The gate of a direct attempt that may go to the queue: a pause, an open breaker, or the queue at its rate stop
    it; how many are under way does not."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def begin(self, lane: str) -> bool:
        """Whether the client is to wait for an attempt in that lane."""
        return not self._lanes.wait_seconds(lane)

    def end(self, lane: str, outcomes: Collection[Outcome]) -> None:
        """What came of the attempt."""
        self._lanes.learn(lane, outcomes)
