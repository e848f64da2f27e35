"""Attempts over the vendors of a route: who is asked next, for whom, and what the log keeps."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred as Promise

from gateway.accounts.account import Account, fingerprint
from gateway.attempts import Attempts, Errand, Result
from gateway.departures import Departures, NoDepartureError, VendorEntry
from gateway.events import Alarm, Attempted
from gateway.incoming import Clocks
from gateway.message import Content, Envelope, Mailbox, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred, Refused, Unknown
from gateway.routing import Route
from gateway.standing_alarms import REPEAT_SECONDS, SETTLED_SECONDS, SUBJECTS, StandingAlarms
from gateway.vendor import ApiAnswer, ApiRequest, Feature, NoAnswer, Translation

A, B = "a@cust.example", "b@cust.example"
KEY = "operators-key-0123456789"
DOWN = Deferred(Cause.UNAVAILABLE, "HTTP 503")
REFUSED = Refused(Cause.INVALID, "HTTP 400")


class CannedVendor:
    """A vendor whose outcomes are given, for each attempt in turn: one for all paths, or by path."""

    message_octets = 1000
    can = frozenset({Feature.REPLY_TO})

    def __init__(self, *outcomes: Any, asks: bool = True) -> None:
        self.outcomes = list(outcomes)
        self.asks = asks
        self.served: list[tuple[str, ...]] = []

    def translate(self, account, submission):
        paths = submission.envelope.forward_paths
        self.served.append(paths)
        given = self.outcomes.pop(0)
        outcomes = given if isinstance(given, dict) else dict.fromkeys(paths, given)
        return Translation(self._exchange({path: outcomes[path] for path in paths}, account), ("translated",))

    def _exchange(self, outcomes, account):
        if self.asks:
            yield ApiRequest("POST", f"http://127.0.0.1/{account.key}/send", {})
        return outcomes


class CannedRelay:
    """Answers every request with the same words; takes so long for each."""

    exchange_seconds = 50.0

    def __init__(self, clock: Clock, seconds: float = 1.0, answer: Any = None) -> None:
        self.clock = clock
        self.seconds = seconds
        self.answer = answer or ApiAnswer(200, {}, f"your key {KEY} is fine".encode())
        self.deadlines: list[float | None] = []

    async def attempt(self, exchange, note, *, large, deadline_seconds=None):
        self.deadlines.append(deadline_seconds)
        try:
            request = next(exchange)
            while True:
                self.clock.now += self.seconds
                note(request, self.answer, self.seconds)
                request = exchange.send(self.answer)
        except StopIteration as stop:
            return stop.value


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class World:
    """Two vendors, first and second, and a route over both."""

    def __init__(self, first: CannedVendor, second: CannedVendor, **more: Any) -> None:
        self.clock, self.events, self.refused_keys = Clock(), [], []
        self.relays = {"first": CannedRelay(self.clock, **more), "second": CannedRelay(self.clock)}
        self.entries = {
            name: VendorEntry(name, vendor, f"http://{name}", KEY, self.relays[name])
            for name, vendor in (("first", first), ("second", second))
        }
        self.departures = Departures(self.entries, (Route(("first", "second"), dialect="postscale"),))
        clocks = Clocks(self.clock, lambda: 1000.0 + self.clock.now)
        self.attempts = Attempts(
            clocks,
            self.events.append,
            lambda vendor, key: self.refused_keys.append((vendor, key)),
            StandingAlarms(self.clock, self.events.append),
            "gw1",
        )

    def plan(self, account: Account | None = None, **more: Any):
        return self.departures.plan(account or Account("x", "postscale", "first"), submission(**more))

    def run(self, *paths: str, deadline_seconds: float | None = None, gate: Any = None) -> Result:
        errand = Errand("s1", "m1", "x", "shop@shop.example", paths or (A, B), False, deadline_seconds)
        results: list[Any] = []
        running = self.attempts.run(errand, self.plan(), gate) if gate else self.attempts.run(errand, self.plan())
        Promise.fromCoroutine(running).addBoth(results.append)
        return results[0]


def submission(*, fields: tuple = (), size_octets: int = 10, **options: Any) -> Submission:
    content = Content(fields, (Mailbox("", "shop@shop.example"),), (), (), "", None, None, (), size_octets)
    return Submission("m1", Envelope("shop@shop.example", (A, B)), content, SendOptions(**options))


@pytest.mark.parametrize("outcome", [DOWN, Deferred(Cause.OPERATOR_KEY_REFUSED, "401"), Deferred(Cause.RATE_LIMITED)])
def test_what_one_vendor_defers_goes_to_the_next(outcome):
    second = CannedVendor(Accepted("v2"))
    result = World(CannedVendor(outcome), second).run()
    assert result.outcomes == {A: Accepted("v2"), B: Accepted("v2")}
    assert result.vendors == {A: "second", B: "second"}
    assert [(one.vendor, set(one.outcomes.values())) for one in result.attempts] == [
        ("first", {"deferred"}),
        ("second", {"accepted"}),
    ]


@pytest.mark.parametrize("outcome", [Accepted("v1"), REFUSED, Unknown("no answer")])
def test_what_is_taken_refused_or_unknown_goes_nowhere_else(outcome):
    second = CannedVendor()
    result = World(CannedVendor(outcome), second).run()
    assert second.served == []
    assert result.outcomes == {A: outcome, B: outcome}


def test_only_who_was_deferred_goes_to_the_next():
    first, second = CannedVendor({A: Unknown("cut"), B: DOWN}), CannedVendor(Accepted())
    result = World(first, second).run()
    assert second.served == [(B,)]
    assert result.outcomes == {A: Unknown("cut"), B: Accepted()}
    assert result.vendors == {A: "first", B: "second"}


def test_a_later_vendors_refusal_does_not_overrule_an_earlier_deferral():
    result = World(CannedVendor(DOWN), CannedVendor(REFUSED)).run()
    assert result.outcomes == {A: DOWN, B: DOWN}
    assert result.vendors == {A: "first", B: "first"}
    assert len(result.attempts) == 2


def test_what_a_vendor_cannot_be_told_is_tried_at_the_next():
    result = World(CannedVendor(REFUSED, asks=False), CannedVendor(Accepted())).run()
    assert result.outcomes == {A: Accepted(), B: Accepted()}
    result = World(CannedVendor(REFUSED, asks=False), CannedVendor(REFUSED, asks=False)).run()
    assert result.outcomes == {A: REFUSED, B: REFUSED}


def test_the_deadline_is_for_all_vendors_and_none_is_asked_with_too_little_left():
    world = World(CannedVendor(DOWN), CannedVendor(Accepted()), seconds=12.0)
    world.run(deadline_seconds=20.0)
    assert (world.relays["first"].deadlines, world.relays["second"].deadlines) == ([20.0], [8.0])
    world = World(CannedVendor(DOWN), CannedVendor(Accepted()), seconds=18.5)
    assert world.run(deadline_seconds=20.0).outcomes == {A: DOWN, B: DOWN}
    assert world.relays["second"].deadlines == []


def test_the_log_has_each_call_without_the_key():
    world = World(CannedVendor(Accepted()), CannedVendor())
    (attempt,) = world.run().attempts
    (call,) = attempt.calls
    assert (call.method, call.url, call.status, call.seconds) == ("POST", "http://127.0.0.1/***/send", 200, 1.0)
    assert call.answer == "your key *** is fine"
    assert (attempt.began_at, attempt.seconds, attempt.gateway) == (1000.0, 1.0, "gw1")
    assert attempt.report == ("translated",)
    assert KEY not in repr((attempt, world.events))


def test_half_a_key_is_not_left_where_an_answer_is_cut():
    answer = ApiAnswer(500, {}, b"x" * 2040 + KEY.encode() + b"y" * 5000)
    world = World(CannedVendor(DOWN), CannedVendor(DOWN), answer=answer)
    (call,) = world.run().attempts[0].calls
    assert call.answer == "x" * 2040 + "***" + "y" * 5


def test_no_answer_is_told_with_its_reason():
    world = World(CannedVendor(DOWN), CannedVendor(DOWN), answer=NoAnswer(False, "connection refused"))
    (call,) = world.run().attempts[0].calls
    assert (call.status, call.answer) == (0, "connection refused")


def test_a_hundred_requests_do_not_fill_the_log():
    class Many(CannedVendor):
        def _exchange(self, outcomes, account):
            for _ in range(100):
                yield ApiRequest("POST", "http://127.0.0.1/", {})
            return outcomes

    world = World(Many(Accepted()), CannedVendor())
    assert len(world.run().attempts[0].calls) == 20


def test_an_operators_key_that_is_refused_is_an_alarm_and_a_clients_is_forgotten():
    world = World(CannedVendor(Deferred(Cause.OPERATOR_KEY_REFUSED, "401")), CannedVendor(Accepted()))
    world.run()
    assert [type(one).__name__ for one in world.events] == ["Attempted", "Alarm", "Attempted"]
    assert world.refused_keys == []
    world = World(CannedVendor(Refused(Cause.KEY_REFUSED)), CannedVendor())
    world.plan = lambda: World.plan(world, Account("x", "postscale", "first", "clients-key"))
    world.run()
    assert world.refused_keys == [("first", "clients-key")]


def test_a_key_that_stays_refused_is_an_alarm_now_and_then_with_how_often():
    refused = Deferred(Cause.OPERATOR_KEY_REFUSED, "401")
    world = World(CannedVendor(*[refused] * 102), CannedVendor(*[Accepted()] * 102))

    def alarms():
        return [one.text for one in world.events if isinstance(one, Alarm)]

    for _ in range(100):
        world.run()
    assert alarms() == ["vendors.first: the key is refused: 401"]
    world.clock.now += REPEAT_SECONDS
    world.run()
    world.run()
    assert alarms()[1:] == ["vendors.first: the key is refused: 401 (100 times since the last alarm)"]
    assert sum(isinstance(one, Attempted) for one in world.events) == 204


def test_each_key_that_is_refused_has_an_alarm_of_its_own():
    refused = Deferred(Cause.OPERATOR_KEY_REFUSED, "401")
    world = World(CannedVendor(refused, refused), CannedVendor(refused, refused))
    world.run()
    world.run()
    assert [one.text[:14] for one in world.events if isinstance(one, Alarm)] == ["vendors.first:", "vendors.second"]


@pytest.mark.parametrize(("good_seconds", "alarms"), [(SETTLED_SECONDS, 2), (SETTLED_SECONDS / 2, 1)])
def test_a_key_that_was_good_meanwhile_is_told_at_once_but_not_one_that_comes_and_goes(good_seconds, alarms):
    bad, good = Deferred(Cause.OPERATOR_KEY_REFUSED, "401"), Accepted()
    world = World(CannedVendor(bad, good, good, bad), CannedVendor(good, good))
    world.run()
    world.run()
    world.clock.now += good_seconds
    world.run()
    world.run()
    assert sum(isinstance(one, Alarm) for one in world.events) == alarms


def test_alarms_about_ever_other_things_are_all_told_and_not_all_remembered():
    told: list[Alarm] = []
    alarms = StandingAlarms(lambda: 0.0, told.append)
    for number in range(3 * SUBJECTS):
        alarms.met(f"a{number}", "x")
        alarms.met(f"a{number}", "x")
    assert len(told) == 3 * SUBJECTS
    assert len(alarms._standing) <= SUBJECTS


class ClosedGate:
    """Lets nothing through to these vendor entries."""

    def __init__(self, *closed: str) -> None:
        self.closed = closed
        self.ended: list[tuple[str, int]] = []

    def begin(self, lane: str) -> bool:
        return lane.partition("/")[0] not in self.closed

    def end(self, lane: str, outcomes: Any) -> None:
        self.ended.append((lane, len(outcomes)))


def test_a_lane_that_is_closed_is_passed_over():
    gate = ClosedGate("first")
    result = World(CannedVendor(), CannedVendor(Accepted())).run(gate=gate)
    assert result.outcomes == {A: Accepted(), B: Accepted()}
    assert gate.ended == [(f"second/{fingerprint(KEY)}", 2)]
    result = World(CannedVendor(), CannedVendor()).run(gate=ClosedGate("first", "second"))
    assert result.attempts == ()
    assert all(isinstance(one, Deferred) for one in result.outcomes.values())


def test_what_cannot_be_carried_is_told_and_the_vendor_passed_over():
    with pytest.raises(NoDepartureError) as stopped:
        World(CannedVendor(), CannedVendor()).plan(tags=("t",))
    assert stopped.value.outcome == Refused(Cause.INVALID, "first cannot carry tags (t)")
    able = CannedVendor()
    able.can = frozenset({Feature.TAGS})
    plan = World(CannedVendor(), able).plan(tags=("t",))
    assert [one.entry.name for one in plan.departures] == ["second"]
    assert plan.report == ("passed over: first cannot carry tags (t)",)


def test_moved_mail_leaves_by_where_it_was_moved_to_and_a_vendor_that_is_gone_is_waited_for():
    world = World(CannedVendor(), CannedVendor())
    account = Account("x", "postscale", "first")
    assert [one.entry.name for one in world.departures.plan(account, submission(), ("second",)).departures] == [
        "second"
    ]
    with pytest.raises(NoDepartureError) as stopped:
        world.departures.plan(account, submission(), ("gone",))
    assert isinstance(stopped.value.outcome, Deferred)


def test_a_route_without_vendors_changes_only_how_the_accounts_own_vendor_is_used():
    world = World(CannedVendor(), CannedVendor())
    departures = Departures(world.entries, (Route(dialect="postscale", mode="queued"),))
    plan = departures.plan(Account("x", "postscale", "second"), submission())
    assert ([one.entry.name for one in plan.departures], plan.route.mode) == (["second"], "queued")
