"""Deadlines of many over one delayed call."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from gateway.deadlines import Deadlines


@pytest.fixture
def clock():
    return Clock()


def test_each_deadline_passes_at_its_own_time(clock):
    deadlines, passed = Deadlines(clock), []
    for seconds in (3, 1, 2, 1):
        deadlines.begin(seconds, lambda seconds=seconds: passed.append((seconds, clock.seconds())))
    clock.pump([0.5] * 8)
    assert passed == [(1, 1.0), (1, 1.0), (2, 2.0), (3, 3.0)]
    assert clock.getDelayedCalls() == []


def test_one_that_has_ended_does_not_pass_and_knows_it(clock):
    deadlines, passed = Deadlines(clock), []
    ended, left = deadlines.begin(1, lambda: passed.append("ended")), deadlines.begin(1, lambda: passed.append("left"))
    ended.end()
    ended.end()
    clock.advance(2)
    assert (passed, ended.passed, left.passed) == (["left"], False, True)


def test_a_thousand_that_end_in_time_need_one_delayed_call(clock):
    deadlines = Deadlines(clock)
    for _ in range(1000):
        deadlines.begin(30, lambda: None).end()
        clock.advance(0.001)
        assert len(clock.getDelayedCalls()) == 1
    clock.advance(30)
    assert clock.getDelayedCalls() == []


def test_one_that_passes_may_end_others_and_begin_new_ones(clock):
    deadlines, passed = Deadlines(clock), []

    def expire():
        passed.append("first")
        second.end()
        deadlines.begin(1, lambda: passed.append("third"))
        deadlines.begin(5, lambda: passed.append("fourth"))

    deadlines.begin(1, expire)
    second = deadlines.begin(1, lambda: passed.append("second"))
    deadlines.begin(1.5, lambda: passed.append("between"))
    clock.pump([1, 0.5, 0.5])
    assert passed == ["first", "between", "third"]
    clock.advance(4)
    assert passed[3:] == ["fourth"]


def test_with_whole_seconds_all_that_pass_within_one_pass_together_at_its_end(clock):
    deadlines, passed = Deadlines(clock, whole_seconds=True), []
    clock.advance(0.25)
    for seconds in (1, 1.5, 1.75, 2):
        deadlines.begin(seconds, lambda seconds=seconds: passed.append((seconds, clock.seconds())))
    clock.pump([0.125] * 24)
    assert passed == [(1, 2.0), (1.5, 2.0), (1.75, 2.0), (2, 3.0)]


def test_a_fault_of_one_does_not_keep_the_others_waiting(clock):
    deadlines, passed = Deadlines(clock), []
    deadlines.begin(1, lambda: 1 / 0)
    deadlines.begin(1, lambda: passed.append("same"))
    deadlines.begin(2, lambda: passed.append("later"))
    with pytest.raises(ZeroDivisionError):
        clock.advance(1)
    clock.pump([0, 1])
    assert passed == ["same", "later"]


def test_a_deadline_at_the_time_of_the_delayed_call_needs_no_other(clock):
    class LateReactor(Clock):
        """Takes a while between being asked and looking at its clock, as reactors do."""

        def callLater(self, delay, *called):
            made.append(delay)
            self.rightNow += 0.001
            return super().callLater(delay, *called)

    made, late = [], LateReactor()
    late.advance(0.5)
    deadlines = Deadlines(late, whole_seconds=True)
    for _ in range(10):
        deadlines.begin(5, lambda: None)
    assert len(made) == 1


def test_stop_leaves_no_delayed_call(clock):
    deadlines = Deadlines(clock)
    deadlines.begin(1, lambda: None)
    deadlines.stop()
    assert clock.getDelayedCalls() == []
