"""A circuit breaker: after failures in a row nothing is tried for a while, then one probe decides. Pure, with a clock.

Closed: all may try. Open: nobody, for a time that doubles with every probe that fails. A success closes it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """failures in a row open it, for first_seconds, which double up to longest_seconds."""

    failures: int
    first_seconds: float
    longest_seconds: float


class Breaker:
    """One breaker. now is in seconds by a clock that never goes back."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._failures = 0
        self._open_until: float | None = None
        self._open_seconds = rules.first_seconds
        self._is_probing = False

    @property
    def is_pristine(self) -> bool:
        """Whether it knows nothing that a new one would not."""
        return self._failures == 0 and self._open_until is None

    @property
    def is_open(self) -> bool:
        """Whether it has opened and no probe has succeeded since."""
        return self._open_until is not None

    @property
    def is_probing(self) -> bool:
        """Whether the attempt is being made that decides."""
        return self._is_probing

    def wait_seconds(self, now: float) -> float:
        """How long until an attempt may be made; 0 for now. While a probe is made, as long as it last was open."""
        if self._open_until is None:
            return 0.0
        if self._is_probing:
            return self._open_seconds
        return max(0.0, self._open_until - now)

    def begin(self) -> None:
        """An attempt is made; it is the probe when the breaker is open."""
        self._is_probing = self._open_until is not None

    def give_up(self) -> None:
        """The attempt was not made after all, or says nothing."""
        self._is_probing = False

    def succeed(self) -> None:
        """The vendor has answered as vendors do: close."""
        self._failures = 0
        self._open_until = None
        self._open_seconds = self._rules.first_seconds
        self._is_probing = False

    def fail(self, now: float) -> None:
        """No connection, no answer, or one of the vendor's own fault."""
        if self._open_until is None:
            self._failures += 1
            if self._failures >= self._rules.failures:
                self._open_until = now + self._open_seconds
        elif self._is_probing:
            self._open_seconds = min(2 * self._open_seconds, self._rules.longest_seconds)
            self._open_until = now + self._open_seconds
            self._is_probing = False
        # else: an attempt that was on its way when the breaker opened tells nothing new
