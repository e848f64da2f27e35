"""The circuit breaker, with a clock that is a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.queue.breaker import Breaker, BreakerRules

RULES = BreakerRules(failures=5, first_seconds=30.0, longest_seconds=600.0)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(5):
        breaker.begin()
        breaker.fail(now)
    return breaker


def test_it_opens_after_failures_in_a_row_and_a_success_between_starts_the_count_anew():
    breaker = Breaker(RULES)
    for _ in range(4):
        breaker.fail(0.0)
    breaker.succeed()
    for _ in range(4):
        breaker.fail(0.0)
    assert breaker.wait_seconds(0.0) == 0
    breaker.fail(0.0)
    assert breaker.wait_seconds(0.0) == 30
    assert breaker.wait_seconds(29.0) == 1
    assert breaker.wait_seconds(30.0) == 0


def test_each_probe_that_fails_doubles_the_time_up_to_the_longest():
    breaker, now, waits = opened(), 0.0, []
    for _ in range(7):
        now += breaker.wait_seconds(now)
        breaker.begin()
        breaker.fail(now)
        waits.append(breaker.wait_seconds(now))
    assert waits == [60, 120, 240, 480, 600, 600, 600]


def test_only_one_probe_is_made_at_a_time():
    breaker = opened()
    breaker.begin()
    assert breaker.wait_seconds(1000.0) > 0
    breaker.give_up()
    assert breaker.wait_seconds(1000.0) == 0


def test_a_success_closes_it_and_forgets_the_longer_times():
    breaker = opened()
    breaker.begin()
    breaker.fail(30.0)
    breaker.begin()
    breaker.succeed()
    assert breaker.is_pristine
    assert opened(100.0).wait_seconds(100.0) == 30


def test_attempts_that_were_under_way_when_it_opened_do_not_lengthen_it():
    breaker = opened()
    for _ in range(20):
        breaker.fail(10.0)
    assert breaker.wait_seconds(10.0) == 20


@given(st.lists(st.tuples(st.sampled_from(["begin", "fail", "succeed", "give_up"]), st.floats(0, 100))))
def test_whatever_happens_it_opens_again_for_a_probe_within_the_longest_time(steps):
    breaker, now = Breaker(RULES), 0.0
    for name, passed in steps:
        now += passed
        if name == "begin" and breaker.wait_seconds(now):
            continue
        getattr(breaker, name)(*((now,) if name == "fail" else ()))
        assert breaker.wait_seconds(now) <= RULES.longest_seconds
    breaker.give_up()
    assert breaker.wait_seconds(now + RULES.longest_seconds) == 0
