"""Attempts: one submission over the vendors of its route, until one has taken it or there is nobody left to ask.

The next vendor is asked only for whom the one before has surely not taken: deferred, never unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.departures import Departure, Plan
from gateway.events import Attempted, Reporter
from gateway.incoming import Clocks
from gateway.message import Submission
from gateway.outcome import OUTCOME_WORDS, Accepted, Cause, Deferred, Outcome, Refused, fold
from gateway.quickly import quickly_made
from gateway.recorded_calls import Calls
from gateway.relay import Note
from gateway.standing_alarms import StandingAlarms
from gateway.store.records import Attempt

LEAST_SHARE = 0.1  # of the time for all vendors; one that is asked with less left would hardly answer, and end unknown


class Gate(Protocol):
    """Lets attempts through, lane by lane, and learns what came of them."""

    def begin(self, lane: str) -> bool:
        """Whether an attempt may be made in that lane; then it counts until its end."""

    def end(self, lane: str, outcomes: Collection[Outcome]) -> None:
        """What came of the attempt."""


class OpenGate:
    """Lets everything through: in direct mode the client decides."""

    def begin(self, lane: str) -> bool:
        """Always."""
        return True

    def end(self, lane: str, outcomes: Collection[Outcome]) -> None:
        """Nothing is learned."""


OPEN_GATE = OpenGate()


class Rides(Protocol):
    """Takes submissions to vendors: each alone, or several that wait for the same together."""

    async def attempt(
        self,
        departure: Departure,
        submission: Submission,
        note: Note,
        *,
        large: bool,
        deadline_seconds: float | None,
    ) -> tuple[Mapping[str, Outcome], Sequence[str]]:
        """Hand over a submission: the outcome of each forward-path, and the report."""


Ask = Callable[[Departure, "Result"], Awaitable[bool]]
"""Whether a departure may be tried, after what has come of those before; it is about to be."""


async def ask_freely(departure: Departure, so_far: Result) -> bool:
    """Any may be: in direct mode the client has the message until the reply."""
    return True


class RidesAlone:
    """Each submission in requests of its own: in direct mode the client waits."""

    async def attempt(
        self,
        departure: Departure,
        submission: Submission,
        note: Note,
        *,
        large: bool,
        deadline_seconds: float | None,
    ) -> tuple[Mapping[str, Outcome], Sequence[str]]:
        """Hand over a submission: the outcome of each forward-path, and the report."""
        entry = departure.entry
        translation = entry.vendor.translate(departure.vendor_account, submission)
        outcomes = await entry.relay.attempt(translation.exchange, note, large=large, deadline_seconds=deadline_seconds)
        return outcomes, translation.report


ALONE = RidesAlone()


@quickly_made
@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be attempted: whose message, for whom. large: its body is better measured in a thread.

    deadline_seconds is for all vendors together; None: each has its own.
    """

    session_id: str
    message_id: str
    account_name: str
    reverse_path: str
    paths: tuple[str, ...]
    large: bool
    deadline_seconds: float | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Result:
    """What came of an errand. outcomes and vendors (the entry asked last) by forward-path; all attempts, in order.

    Without any attempt the gate let nothing through; the outcomes are deferred then.
    """

    outcomes: Mapping[str, Outcome]
    vendors: Mapping[str, str]
    attempts: tuple[Attempt, ...] = ()

    def joined(self, other: Result) -> Result:
        """This and a later one, whose outcomes count where both have one."""
        if not (self.outcomes or self.attempts):
            return other
        return Result(
            {**self.outcomes, **other.outcomes}, {**self.vendors, **other.vendors}, (*self.attempts, *other.attempts)
        )


class Attempts:
    """Makes attempts. key_refused is told the vendor entry and key of a client whose own key was refused."""

    def __init__(
        self,
        clocks: Clocks,
        report: Reporter,
        key_refused: Callable[[str, str], None],
        alarms: StandingAlarms,
        gateway: str = "",
        rides: Rides = ALONE,
    ) -> None:
        self._clocks = clocks
        self._report = report
        self._key_refused = key_refused
        self._alarms = alarms
        self._gateway = gateway
        self._rides = rides

    async def run(self, errand: Errand, plan: Plan, gate: Gate = OPEN_GATE, ask: Ask = ask_freely) -> Result:
        """Ask one vendor after the other for whom the one before has surely not taken."""
        began = self._clocks.seconds()
        result = Result({}, {})
        paths = errand.paths
        for departure in plan.departures:
            left_seconds = errand.deadline_seconds
            if left_seconds is not None:
                left_seconds -= self._clocks.seconds() - began
                if result.attempts and left_seconds < LEAST_SHARE * (errand.deadline_seconds or 0.0):
                    break
            lane = departure.lane
            if not gate.begin(lane):
                result = result.joined(_held_back(departure, paths, known=result.outcomes))
                continue
            outcomes: Mapping[str, Outcome] = {}
            try:
                if not await ask(departure, result):
                    break
                one = await self._attempt(
                    errand if paths == errand.paths else replace(errand, paths=paths), plan, departure, left_seconds
                )
                outcomes = one.outcomes
            finally:
                gate.end(lane, outcomes.values())
            result = result.joined(_without_overruling(result, one))
            paths = tuple([path for path in paths if _may_go_on(result.outcomes[path], one)])
            if not paths:
                break
        return result

    async def _attempt(
        self, errand: Errand, plan: Plan, departure: Departure, deadline_seconds: float | None
    ) -> Result:
        submission, entry = departure.submission, departure.entry
        rest = submission
        if errand.paths != submission.envelope.forward_paths:
            rest = replace(submission, envelope=replace(submission.envelope, forward_paths=errand.paths))
        calls = Calls(departure.vendor_account.key)
        began_at, began = self._clocks.wall_seconds(), self._clocks.seconds()
        outcomes, translated = await self._rides.attempt(
            departure, rest, calls.note, large=errand.large, deadline_seconds=deadline_seconds
        )
        seconds = self._clocks.seconds() - began
        folded = fold(outcomes)
        told = (*submission.content.report, *submission.options.report, *plan.report)
        report = (*told, *translated, *_refused_beside(folded, outcomes))
        self._tell(errand, departure, folded, report, seconds, calls.timed)
        attempt = Attempt(
            vendor=entry.name,
            began_at=began_at,
            seconds=seconds,
            outcomes={path: OUTCOME_WORDS[type(one)] for path, one in outcomes.items()},
            reason="" if isinstance(folded, Accepted) else folded.reason,
            retry_after_seconds=_longest_wait(outcomes),
            calls=tuple(calls.calls),
            report=report,
            gateway=self._gateway,
        )
        return Result(outcomes, dict.fromkeys(outcomes, entry.name), (attempt,))

    def _tell(
        self,
        errand: Errand,
        departure: Departure,
        outcome: Outcome,
        report: tuple[str, ...],
        seconds: float,
        timed: Sequence[tuple[int, float]],
    ) -> None:
        name = departure.entry.name
        self._report(
            Attempted(
                session_id=errand.session_id,
                message_id=errand.message_id,
                account=errand.account_name,
                vendor=name,
                outcome=OUTCOME_WORDS[type(outcome)],
                reverse_path=errand.reverse_path,
                recipients=len(errand.paths),
                size_octets=departure.submission.content.size_octets,
                seconds=round(seconds, 3),
                vendor_message_id=outcome.vendor_message_id if isinstance(outcome, Accepted) else "",
                reason="" if isinstance(outcome, Accepted) else outcome.reason,
                retry_after_seconds=outcome.retry_after_seconds if isinstance(outcome, Deferred) else None,
                report=report,
                calls=tuple(timed),
            )
        )
        match outcome:
            case Refused(Cause.KEY_REFUSED) if departure.vendor_account.own_key:
                self._key_refused(name, departure.vendor_account.key)
            case Deferred(Cause.OPERATOR_KEY_REFUSED, reason):
                self._alarms.met(departure.lane, f"vendors.{name}: the key is refused: {reason}")
            case Accepted() if self._alarms.are_standing:
                self._alarms.well(departure.lane)


def _without_overruling(before: Result, one: Result) -> Result:
    """What an attempt adds: that a later vendor refuses does not take back that an earlier one may take it yet."""
    if not before.outcomes:
        return one
    news = {
        path: outcome
        for path, outcome in one.outcomes.items()
        if not (isinstance(outcome, Refused) and isinstance(before.outcomes.get(path), Deferred))
    }
    return Result(news, {path: one.vendors[path] for path in news}, one.attempts)


def _may_go_on(outcome: Outcome, one: Result) -> bool:
    """Whether the next vendor may be asked: it is deferred, or this one was not even asked, as it cannot be told."""
    return isinstance(outcome, Deferred) or (isinstance(outcome, Refused) and not one.attempts[-1].calls)


def _longest_wait(outcomes: Mapping[str, Outcome]) -> float | None:
    """How long the vendor wants to be left alone, by all that it has said."""
    waits = [one.retry_after_seconds for one in outcomes.values() if isinstance(one, Deferred)]
    return max([wait for wait in waits if wait is not None], default=None) if waits else None


def _held_back(departure: Departure, paths: Sequence[str], known: Mapping[str, Outcome]) -> Result:
    """The gate is closed: deferred, unless a vendor before has said why it is."""
    name = departure.entry.name
    outcome = Deferred(Cause.UNAVAILABLE, f"{name} is left alone for a while")
    new = [path for path in paths if path not in known]
    return Result(dict.fromkeys(new, outcome), dict.fromkeys(new, name))


def _refused_beside(folded: Outcome, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Who does not get a message that the client is told is accepted: one reply stands for all (RFC 5321 §4.2.5)."""
    if not isinstance(folded, Accepted):
        return []
    return [f"{path} was refused: {one.reason}" for path, one in outcomes.items() if isinstance(one, Refused)]
