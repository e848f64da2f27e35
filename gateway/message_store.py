"""The message store as the walk sees it: what is accepted for later is kept, what became of the rest is logged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.attempts import Gate, Result
from gateway.events import Reporter, Stored
from gateway.incoming import Clocks
from gateway.message_log import Entry, MessageLog
from gateway.outcome import Accepted, Cause, Outcome, Refused, Unknown
from gateway.queue.notices import Notices, notice_kinds
from gateway.queue.schedule import Schedule
from gateway.queue.steps import Progress, after_attempts, rules_of
from gateway.recall import Recalls
from gateway.store.interface import Store, StoreUnsureError, Transaction
from gateway.store.records import WAITING, Recipient, State, Step, StoredEvent, StoredMessage
from gateway.storing import Arrival, Records, event, pieces, received

LOGGED_STATES = (State.RELAYED, State.REFUSED, State.REJECTED)
"""Of recipients of messages that are not kept, in the order in which the event feed has them."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a message store needs. woken is told the lane and the account of a message that may be attempted now;
    posted is called when there are webhook posts to deliver; randomness gives numbers between 0 and 1."""

    store: Store
    records: Records
    schedule: Schedule
    clocks: Clocks
    randomness: Callable[[], float]
    notices: Notices
    woken: Callable[[str, str], None]
    posted: Callable[[], None]
    recalls: Recalls
    report: Reporter


class MessageStore:
    """Keeps messages that wait, and logs those that do not."""

    def __init__(self, keeping: Keeping, log: MessageLog, spill_gate: Gate, spill_seconds: float) -> None:
        self.spill_gate = spill_gate
        self.spill_seconds = spill_seconds
        self._keeping = keeping
        self._log = log

    async def keep(self, arrival: Arrival, result: Result | None = None) -> None:
        """Store a message, with what came of its attempts if some were made; ends once it is on stable storage.

        StoreError: nothing of it was kept, or it will be rejected as soon as the store says so: it does not leave.
        """
        keeping = self._keeping
        now = keeping.clocks.wall_seconds()
        fresh = tuple(Recipient(path, State.QUEUED) for path in arrival.incoming.envelope.forward_paths)
        message = keeping.records.message(arrival, fresh, next_attempt_at=now)
        progress = Progress(message, Step(message.message_id, fresh, now))
        if result is not None:
            rules = rules_of(arrival.plan, keeping.schedule)
            progress = after_attempts(message, result, rules, now, keeping.randomness())
        try:
            has_posts = await keeping.store.write(self._job(arrival, progress, now), is_once=True)
        except StoreUnsureError as error:
            self._recall(progress, now, str(error))
            raise
        if has_posts:
            keeping.posted()
        self._tell(progress.message)
        if result is None:
            keeping.woken(message.lane, message.account_name)

    def log(self, arrival: Arrival, result: Result, *, is_accepted: bool) -> None:
        """Log a message that is done with: the client has it still, or the vendor has."""
        keeping = self._keeping
        now = keeping.clocks.wall_seconds()
        final = [
            _final(path, result.outcomes[path], result.vendors[path], is_accepted=is_accepted)
            for path in arrival.incoming.envelope.forward_paths
        ]
        message = keeping.records.message(arrival, final)
        self._log.add(Entry(message, result.attempts, _events(message, now), keeping.notices))

    def _job(self, arrival: Arrival, progress: Progress, now: float) -> Callable[[Transaction], bool]:
        notices, message = self._keeping.notices, progress.message
        kinds = notice_kinds(arrival.plan.route, arrival.incoming.account.dialect)

        def write(transaction: Transaction) -> bool:
            transaction.add_message(message, pieces(arrival.incoming.spool), progress.attempts)
            posts = notices.add_events(transaction, message, (received(message, message.received_at), *progress.events))
            if progress.ended:
                notices.of(transaction, message, progress.ended, kinds, now, arrival.submission.options)
            return posts

        return write

    def _recall(self, progress: Progress, now: float, reason: str) -> None:
        """The client is told 451: who waits is the client's again."""
        told = tuple(
            replace(one, state=State.REJECTED, cause=Cause.UNAVAILABLE.name, reason=reason)
            if one.state in WAITING
            else one
            for one in progress.message.recipients
        )
        message = replace(progress.message, recipients=told, next_attempt_at=None, has_content=False, sealed_key=None)
        rejected = [one for one in told if one.state is State.REJECTED]
        events = (event(now, State.REJECTED.value, message.message_id, rejected),)
        self._keeping.recalls.add(Entry(message, progress.attempts, events, self._keeping.notices))

    def _tell(self, message: StoredMessage) -> None:
        waiting = sum(one.state in WAITING for one in message.recipients)
        self._keeping.report(
            Stored(
                session_id=message.session_id,
                message_id=message.message_id,
                account=message.account_name,
                mode=message.mode,
                lane=message.lane,
                recipients=waiting,
                size_octets=message.size_octets,
            )
        )


def _final(path: str, outcome: Outcome, vendor: str, *, is_accepted: bool) -> Recipient:
    """A recipient in the log whose client has had its answer: what is not accepted is the client's."""
    if isinstance(outcome, Accepted):
        return Recipient(path, State.RELAYED, vendor=vendor, vendor_message_id=outcome.vendor_message_id)
    return Recipient(
        path,
        State.REFUSED if is_accepted and isinstance(outcome, Refused) else State.REJECTED,
        is_unknown=isinstance(outcome, Unknown),
        vendor=vendor,
        cause=outcome.cause.name,
        reason=outcome.reason,
    )


def _events(message: StoredMessage, now: float) -> list[StoredEvent]:
    """What happened to a message that is not kept: each state, with the recipients that are in it."""
    told = [received(message, message.received_at)]
    those: dict[State, list[Recipient]] = {}
    for one in message.recipients:
        those.setdefault(one.state, []).append(one)
    for state in LOGGED_STATES:
        if state in those:
            told.append(event(now, state.value, message.message_id, those[state]))
    return told
