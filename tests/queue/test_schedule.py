"""When a message is attempted again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.queue.schedule import JITTER, Schedule

SCHEDULE = Schedule(60.0, 3600.0, 5 * 86400.0)
CHANCES = st.floats(0, 1)
NOW = st.floats(0, 4e9)


def test_waits_double_up_to_the_longest():
    waits = [SCHEDULE.next_attempt_at(0.0, attempts, 0.5) for attempts in range(1, 9)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


@given(NOW, st.integers(1, 100_000), CHANCES)
def test_a_wait_is_never_far_from_its_middle_nor_beyond_the_cap(now, attempts, chance):
    wait = SCHEDULE.next_attempt_at(now, attempts, chance) - now
    middle = min(60.0 * 2.0 ** min(attempts - 1, 60), 3600.0)
    assert middle * (1 - JITTER) - 1e-3 <= wait <= middle * (1 + JITTER) + 1e-3


@given(NOW, st.integers(1, 50), CHANCES, st.floats(0, 7 * 86400))
def test_a_vendor_is_never_asked_before_it_wants_to_be(now, attempts, chance, retry_after):
    at = SCHEDULE.next_attempt_at(now, attempts, chance, retry_after)
    assert at >= now + retry_after
    assert at >= SCHEDULE.next_attempt_at(now, attempts, chance)
