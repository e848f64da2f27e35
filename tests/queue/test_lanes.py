"""Lanes: how much of which mail may be attempted now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lane_state import LaneState, merged
from gateway.outcome import Accepted, Cause, Deferred, Refused, Unknown
from gateway.queue.breaker import BreakerRules
from gateway.queue.lanes import LANES, SHOWN_LANES, LaneRules, Lanes, Reservation, SpillGate

DOWN = Deferred(Cause.UNAVAILABLE, "503")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def lanes_of(clock: Clock, **rates: float) -> Lanes:
    return Lanes(clock, LaneRules(3, BreakerRules(2, 30.0, 600.0), rates))


def test_a_lane_takes_so_many_at_once_and_its_neighbour_has_its_own(clock):
    lanes = lanes_of(clock)
    taken = [Reservation(lanes, "a/1") for _ in range(3)]
    assert (lanes.room("a/1"), lanes.room("a/2")) == (0, 3)
    assert taken[0].begin("a/1")
    taken[0].end("a/1", [Accepted()])
    taken[0].close()
    assert lanes.room("a/1") == 1


def test_retry_after_pauses_the_lane_and_nothing_else(clock):
    lanes = lanes_of(clock)
    one = Reservation(lanes, "a/1")
    one.begin("a/1")
    one.end("a/1", [Deferred(Cause.RATE_LIMITED, "429", 40.0)])
    assert (lanes.room("a/1"), lanes.wait_seconds("a/1"), lanes.room("b/1")) == (0, 40.0, 3)
    clock.now = 40.0
    assert lanes.room("a/1") == 3


def test_a_pause_of_days_ends_after_a_day(clock):
    lanes = lanes_of(clock)
    lanes.learn("a/1", [Deferred(Cause.RATE_LIMITED, "429", 6 * 86400.0)])
    assert lanes.wait_seconds("a/1") == 86_400.0


def test_behind_an_open_breaker_there_is_room_for_one_probe_and_then_for_all(clock):
    lanes = lanes_of(clock)
    for _ in range(2):
        lanes.learn("a/1", [DOWN])
    assert lanes.room("a/1") == 0
    clock.now = 30.0
    probe = Reservation(lanes, "a/1")
    assert lanes.room("a/1") == 0
    probe.begin("a/1")
    probe.end("a/1", [Accepted()])
    assert lanes.room("a/1") == 3


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (DOWN, True),
        (Unknown("no answer"), True),
        (Deferred(Cause.OPERATOR_KEY_REFUSED, "401"), False),
        (Refused(Cause.INVALID, "400"), False),
        (Accepted(), False),
    ],
)
def test_only_a_vendor_that_is_not_there_opens_the_breaker(clock, outcome, counts):
    lanes = lanes_of(clock)
    for _ in range(9):
        lanes.learn("a/1", [outcome])
    assert (lanes.wait_seconds("a/1") > 0) is counts


def test_a_reservation_that_is_not_used_is_given_back(clock):
    lanes = lanes_of(clock)
    one = Reservation(lanes, "a/1")
    one.close()
    one.close()
    assert lanes.room("a/1") == 3


def test_failover_needs_room_in_the_other_lane(clock):
    lanes = lanes_of(clock)
    full = [Reservation(lanes, "b/1") for _ in range(3)]
    one = Reservation(lanes, "a/1")
    assert not one.begin("b/1")
    full[0].close()
    assert one.begin("b/1")
    one.end("b/1", [Accepted()])
    assert lanes.room("b/1") == 1


def test_the_spill_gate_heeds_pauses_and_breakers_but_no_counts(clock):
    lanes = lanes_of(clock)
    gate = SpillGate(lanes)
    full = [Reservation(lanes, "a/1") for _ in range(3)]
    assert gate.begin("a/1")
    for _ in full[:2]:
        gate.end("a/1", [DOWN])
    assert not gate.begin("a/1")


@given(st.floats(0.5, 50), st.lists(st.floats(0.001, 2.0), min_size=1, max_size=60))
def test_no_second_has_more_attempts_than_the_rate(rate, pauses):
    clock = Clock()
    lanes = lanes_of(clock, a=rate)
    begun: list[float] = []
    for pause in pauses:
        clock.now += pause
        for _ in range(lanes.room("a/1")):
            lanes.begin("a/1")
            begun.append(clock.now)
            lanes.end("a/1", [Accepted()])
    for start in begun:
        assert sum(start <= at < start + 1 - 1e-6 for at in begun) <= rate + 1


def test_another_rate_holds_at_once(clock):
    lanes = lanes_of(clock, a=0.1)
    lanes.begin("a/1")
    lanes.change_rules(LaneRules(3, BreakerRules(2, 30.0, 600.0), {}))
    clock.now = 10.0
    assert lanes.room("a/1") == 2


def test_lanes_of_keys_that_come_no_more_do_not_pile_up(clock):
    lanes = lanes_of(clock, a=10.0)
    for number in range(5000):
        clock.now += 1.0
        lanes.begin(f"a/{number}")
        lanes.end(f"a/{number}", [Deferred(Cause.RATE_LIMITED, "429", 30.0)])
    assert len(lanes._lanes) <= 1100
    assert lanes.room("a/4999") == 0


def state_of(lanes: Lanes, name: str = "a/1", wall_now: float = 1000.0) -> LaneState:
    (found,) = [one for one in lanes.states(wall_now) if one.lane == name]
    return found


def test_a_lane_shows_its_breaker_from_open_to_probing_to_closed(clock):
    lanes = lanes_of(clock)
    for _ in range(2):
        lanes.learn("a/1", [DOWN])
    assert state_of(lanes) == LaneState("a/1", "open", 1030, 0, "deferred", "unavailable")
    clock.now = 30.0
    assert state_of(lanes) == LaneState("a/1", "open", None, 0, "deferred", "unavailable")
    probe = Reservation(lanes, "a/1")
    assert state_of(lanes) == LaneState("a/1", "probing", None, 1, "deferred", "unavailable")
    probe.begin("a/1")
    probe.end("a/1", [Accepted()])
    assert lanes.states(1000.0) == []


def test_a_lane_shows_a_pause_and_then_why_it_was(clock):
    lanes = lanes_of(clock)
    lanes.learn("a/1", [Accepted(), Deferred(Cause.RATE_LIMITED, "429", 40.0)])
    assert state_of(lanes) == LaneState("a/1", "paused", 1040, 0, "deferred", "rate_limited")
    clock.now = 40.0
    assert state_of(lanes) == LaneState("a/1", "closed", None, 0, "deferred", "rate_limited")


def test_a_refused_key_is_shown_until_an_attempt_is_taken(clock):
    lanes = lanes_of(clock)
    lanes.learn("a/1", [Deferred(Cause.OPERATOR_KEY_REFUSED, "401")])
    assert state_of(lanes).cause == "operator_key_refused"
    assert lanes.room("a/1") == 3
    lanes.learn("a/1", [Accepted()])
    assert lanes.states(1000.0) == []


def test_of_very_many_lanes_the_worst_are_shown_and_idle_ones_are_forgotten(clock):
    lanes = lanes_of(clock)
    for number in range(5500):
        lanes.learn(f"a/{number:04}", [Refused(Cause.KEY_REFUSED, "401")])
    for _ in range(2):
        lanes.learn("z/down", [DOWN])
    shown = lanes.states(1000.0)
    assert len(shown) == SHOWN_LANES
    assert shown[-1].lane == "z/down"
    assert len(lanes._lanes) <= 2 * LANES


def test_what_several_processes_know_of_a_lane_is_the_worst_with_what_all_have_in_hand():
    told = [
        LaneState("b/1", "closed", None, 1),
        LaneState("a/1", "paused", 20.0, 1, "deferred", "rate_limited"),
        LaneState("a/1", "open", 10.0, 0, "deferred", "unavailable"),
        LaneState("a/1", "closed", None, 2, "accepted"),
    ]
    assert merged(told) == [LaneState("a/1", "open", 20.0, 3, "deferred", "unavailable"), told[0]]
    assert merged(reversed(told)) == merged(told)
    assert merged([]) == []
