"""A step: what an attempt, or the want of one, changes of a stored message. Pure; the store writes it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.attempts import Result
from gateway.departures import Plan
from gateway.features import Feature
from gateway.outcome import Accepted, Deferred, Outcome, Refused, Unknown
from gateway.queue.schedule import Schedule
from gateway.store.records import WAITING, Attempt, Recipient, State, Step, StoredEvent, StoredMessage
from gateway.storing import event


@dataclass(frozen=True, slots=True)
class Rules:
    """What the route and its vendors say of unknown outcomes and of warnings.

    repeatable are the vendor entries that honour idempotency keys, so that unknown may be repeated there.
    """

    schedule: Schedule
    on_unknown: Literal["retry", "hold"] = "retry"
    warn_after_seconds: float = 0.0
    repeatable: Collection[str] = ()


def rules_of(plan: Plan, schedule: Schedule) -> Rules:
    """What holds for a message with this plan."""
    route = plan.route
    can = ((one.entry.name, one.entry.vendor.can) for one in plan.departures)
    repeatable = frozenset(name for name, features in can if Feature.IDEMPOTENCY_KEY in features)
    return Rules(schedule, route.on_unknown, route.warn_after_seconds, repeatable)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is to be written of a message. ended and delayed are the recipients of whom notices tell."""

    message: StoredMessage
    step: Step
    attempts: tuple[Attempt, ...] = ()
    events: tuple[StoredEvent, ...] = ()
    ended: tuple[Recipient, ...] = ()
    delayed: tuple[Recipient, ...] = ()


def recipients_after(
    recipients: Sequence[Recipient], result: Result, rules: Rules, *, has_expired: bool
) -> tuple[Recipient, ...]:
    """The recipients with what a result says of them; those that it does not name stay as they are."""
    return tuple(
        _after(one, result.outcomes[one.path], result.vendors[one.path], rules, has_expired=has_expired)
        if one.path in result.outcomes
        else one
        for one in recipients
    )


def _after(one: Recipient, outcome: Outcome, vendor: str, rules: Rules, *, has_expired: bool) -> Recipient:
    if isinstance(outcome, Accepted):
        given = outcome.vendor_message_id
        return replace(one, state=State.RELAYED, vendor=vendor, vendor_message_id=given, cause="", reason="")
    told = replace(one, cause=outcome.cause.name, reason=outcome.reason)
    if isinstance(outcome, Refused):
        return replace(told, state=State.REFUSED, vendor=vendor)
    state = State.EXPIRED if has_expired else State.QUEUED
    if isinstance(outcome, Deferred):
        # Where an earlier attempt may have handed it over stays known
        return replace(told, state=state, vendor=one.vendor if one.is_unknown else vendor)
    if not has_expired and rules.on_unknown == "hold" and vendor not in rules.repeatable:
        state = State.HELD
    return replace(told, state=state, vendor=vendor, is_unknown=True)


def after_attempts(
    message: StoredMessage, result: Result, rules: Rules, now: float, randomness: float, lane: str = ""
) -> Progress:
    """The step after attempts were made. now is the wall clock."""
    after = recipients_after(message.recipients, result, rules, has_expired=now >= message.expires_at)
    waiting = [one for one in after if one.state is State.QUEUED]
    next_at = None
    if waiting:
        rounds = message.attempts + 1 if result.attempts else _rounds_by_age(message, rules.schedule, now)
        next_at = rules.schedule.next_attempt_at(now, rounds, randomness, _retry_after(result.attempts))
        # The last one when the sender expects to be told, also where the vendor wants to be left alone for longer
        next_at = min(next_at, message.expires_at)
    warns = bool(waiting) and _is_to_warn(message, rules, now)
    changed = tuple(one for one in after if one.path in result.outcomes)
    return Progress(
        message=replace(message, recipients=after, next_attempt_at=next_at, attempts=message.attempts + 1),
        step=Step(
            message.message_id,
            changed,
            next_at,
            result.attempts[-1] if result.attempts else None,
            lane,
            warned=warns,
            at=now,
            attempts_before=result.attempts[:-1],
        ),
        attempts=result.attempts,
        events=tuple(_events(message, changed, result, now)),
        ended=tuple(one for one in changed if one.state not in WAITING),
        delayed=tuple(waiting) if warns else (),
    )


def _rounds_by_age(message: StoredMessage, schedule: Schedule, now: float) -> int:
    """As which attempt it counts that none could be made: waits double here too, by the message's age."""
    rounds = max(1.0, (now - message.received_at) / schedule.first_retry_seconds)
    return 1 + int(math.log2(rounds))


def _retry_after(attempts: Sequence[Attempt]) -> float | None:
    """How long all vendors that were asked want to be left alone; whoever is free first may be asked first."""
    return min((one.retry_after_seconds or 0.0 for one in attempts), default=None)


def _is_to_warn(message: StoredMessage, rules: Rules, now: float) -> bool:
    due = rules.warn_after_seconds and now - message.received_at >= rules.warn_after_seconds
    return bool(due) and not message.warned


def _events(message: StoredMessage, changed: Sequence[Recipient], result: Result, now: float) -> Iterator[StoredEvent]:
    """One event for each thing that happened, with all recipients that it happened to."""
    by_name: dict[str, list[Recipient]] = {}
    for one in changed:
        is_unknown = isinstance(result.outcomes[one.path], Unknown)
        if is_unknown:
            by_name.setdefault("unknown", []).append(one)
        if one.state is not State.QUEUED or not is_unknown:
            by_name.setdefault("deferred" if one.state is State.QUEUED else one.state.value, []).append(one)
    for name, recipients in by_name.items():
        yield event(now, name, message.message_id, recipients)


def put_off(message: StoredMessage, now: float, wait_seconds: float, lane: str) -> Progress:
    """The step when no attempt could be made: nothing but the time of the next one changes."""
    next_attempt_at = now + wait_seconds
    step = Step(message.message_id, (), next_attempt_at, lane=lane, at=now)
    return Progress(replace(message, next_attempt_at=next_attempt_at), step)


def in_doubt(message: StoredMessage, rules: Rules, now: float) -> Progress:
    """The step for a message whose attempt nobody told the end of: unknown, at the vendor of its lane."""
    vendor = message.lane.partition("/")[0]
    unknown = Unknown("the gateway ended during the attempt")
    paths = queued(message)
    result = Result(dict.fromkeys(paths, unknown), dict.fromkeys(paths, vendor))
    after = recipients_after(message.recipients, result, rules, has_expired=False)
    changed = tuple(one for one in after if one.path in paths)
    waits = any(one.state is State.QUEUED for one in after)
    next_at = message.next_attempt_at if waits else None
    events = tuple(_events(message, changed, result, now))
    step = Step(message.message_id, changed, next_at, at=now)
    return Progress(replace(message, recipients=after, next_attempt_at=next_at), step, (), events)


def result_for(result: Result, paths: Collection[str]) -> Result:
    """What a result says of these forward-paths."""
    outcomes = {path: one for path, one in result.outcomes.items() if path in paths}
    return Result(outcomes, {path: result.vendors[path] for path in outcomes}, result.attempts)


def queued(message: StoredMessage) -> Mapping[str, Recipient]:
    """The recipients that an attempt is to be made for, by forward-path."""
    return {one.path: one for one in message.recipients if one.state is State.QUEUED}
