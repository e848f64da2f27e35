"""When a message that was not taken is attempted again, and until when. Pure: times and randomness are arguments."""

from __future__ import annotations

from dataclasses import dataclass

JITTER = 0.2  # messages that were deferred together come back spread over two fifths of their wait
MOST_DOUBLINGS = 60  # far beyond any cap, and within what a float holds


@dataclass(frozen=True, slots=True)
class Schedule:
    """Exponential back-off: the first wait, doubled each time up to the longest; a message lives expire_seconds."""

    first_retry_seconds: float
    longest_retry_seconds: float
    expire_seconds: float

    def next_attempt_at(
        self, now: float, attempts: int, randomness: float, retry_after_seconds: float | None = None
    ) -> float:
        """The time of the next attempt, when so many were made; never before the vendor wants it.

        now is the wall clock; randomness is between 0 and 1.
        """
        doublings = min(max(attempts - 1, 0), MOST_DOUBLINGS)
        wait_seconds = min(self.first_retry_seconds * 2.0**doublings, self.longest_retry_seconds)
        wait_seconds *= 1 - JITTER + 2 * JITTER * randomness
        return now + max(wait_seconds, retry_after_seconds or 0.0)

    def expires_at(self, received_at: float) -> float:
        """From when on a failed attempt is the last. To be asked right after an attempt only: a clock that jumps must
        not expire what nobody has tried."""
        return received_at + self.expire_seconds
