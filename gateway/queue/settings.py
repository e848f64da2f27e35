"""The settings of the queue, each with the reason of its default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.queue.breaker import BreakerRules
from gateway.queue.schedule import Schedule

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """When queued mail is attempted, and how much of it at once."""

    first_retry_seconds: float = 60.0
    """Most faults of an API are over in a minute; the wait doubles from there."""
    longest_retry_seconds: float = float(HOUR)
    """After a long outage the last message leaves within an hour of its end."""
    expire_seconds: float = float(5 * DAY)
    """What mail queues customarily wait (RFC 5321 §4.5.4.1: at least four to five days)."""
    attempts_at_once: int = 64
    """Of one worker. A vendor answers within a second, so these make more than a vendor's rate limit allows."""
    attempts_per_lane: int = 8
    """For one key at one vendor, shared by the workers: one slow key leaves room for seven others, and connections stay
    few. A vendor that takes several messages in one request gets four times as many."""
    spill_seconds: float = 20.0
    """How long a client of mode spill waits for the vendor: below the 30 seconds after which hurried clients leave."""
    lease_seconds: float = 300.0
    """After so long without an end, another gateway takes over what one has claimed. Several vendors of one route may
    take exchange_seconds each."""
    poll_seconds: float = 5.0
    """How often mail is looked for that another gateway has stored; one's own leaves at once."""
    breaker_failures: int = 5
    """Deferrals in a row, for no connection, no answer or 5xx, after which a lane is left alone."""
    breaker_seconds: float = 30.0
    """How long; then one message probes. Doubled with each probe that fails."""
    longest_breaker_seconds: float = float(10 * MINUTE)
    """A vendor that is back is found within ten minutes, and one that is away costs a request in that time."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """Longest waits are not shorter than first ones, and an attempt fits into its lease."""
        for shorter, longer in (
            ("first_retry_seconds", "longest_retry_seconds"),
            ("breaker_seconds", "longest_breaker_seconds"),
            ("spill_seconds", "lease_seconds"),
        ):
            if getattr(self, longer) < getattr(self, shorter):
                yield longer, f"expected at least {shorter}, {getattr(self, shorter):g}"
        if self.lease_seconds > HOUR:
            yield "lease_seconds", f"expected at most {HOUR}; the store takes a longer one for a clock that has jumped"

    @property
    def schedule(self) -> Schedule:
        """When a message is attempted again."""
        return Schedule(self.first_retry_seconds, self.longest_retry_seconds, self.expire_seconds)

    @property
    def breaker(self) -> BreakerRules:
        """When a lane is left alone."""
        return BreakerRules(self.breaker_failures, self.breaker_seconds, self.longest_breaker_seconds)
