"""What happens to a message once its mail data is complete: read, planned, attempted or stored, answered, reported.

The walk is told in docs/FLOW.md. Direct mode: the reply is what the vendor said. Queued: the message is on stable
storage. Spill: the vendor has a while, then it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.attempts import Result
from gateway.content.structure import UnreadableError
from gateway.departures import Departures, NoDepartureError
from gateway.direct import DirectAttempts
from gateway.events import Alarm, Answered, Rejected, Reporter
from gateway.incoming import Clocks, Incoming, Reader
from gateway.message_store import MessageStore
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Reply, Unknown, fold, printable, reply_for
from gateway.quickly import quickly_made
from gateway.standing_alarms import StandingAlarms
from gateway.store.interface import StoreError, StoreFullError
from gateway.storing import Arrival
from gateway.vendor import DialectError, Vendor

NOT_STORED = Reply(451, "Message cannot be stored now, try again later", "4.3.0")
STORE_FULL = Reply(452, "Insufficient system storage, try again later", "4.3.1")  # RFC 5321 §4.2.2

OUTCOMES = {2: "accepted", 4: "deferred", 5: "refused"}
"""What a reply's first digit says of a message (RFC 5321 §4.2.1)."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, the vendor entry that was asked last or will be first, and whether the message was stored."""

    reply: Reply
    vendor: str = ""
    is_stored: bool = False


class Dispatch:
    """Takes incoming messages to their vendors, or into the store."""

    def __init__(
        self,
        departures: Departures,
        reader: Reader,
        direct: DirectAttempts,
        store: MessageStore,
        clocks: Clocks,
        report: Reporter,
        alarms: StandingAlarms,
    ) -> None:
        self._departures = departures
        self._reader = reader
        self._direct = direct
        self._store = store
        self._clocks = clocks
        self._report = report
        self._alarms = alarms

    async def submit(self, incoming: Incoming, fault: Reply | None = None) -> Reply:
        """Bring a message on its way; the reply is what became of it. fault: the reply to mail data that is no good."""
        began = self._clocks.seconds()
        answer = Answer(fault) if fault is not None else await self._submit(incoming)
        account = incoming.account
        self._report(
            Answered(
                listener=account.listener,
                dialect=account.dialect,
                vendor=answer.vendor,
                outcome="stored" if answer.is_stored else OUTCOMES[answer.reply.code // 100],
                size_octets=incoming.spool.size_octets,
                seconds=self._clocks.seconds() - began,
            )
        )
        return answer.reply

    async def _submit(self, incoming: Incoming) -> Answer:
        received_at = self._clocks.wall_seconds()
        dialect = self._reader.dialect(incoming.account)
        try:
            submission = await self._reader.read(incoming, received_at)
            plan = self._departures.plan(incoming.account, submission)
        except UnreadableError as error:
            return self._reject(incoming, dialect, Cause.UNREADABLE, str(error))
        except DialectError as error:
            return self._reject(incoming, dialect, Cause.INVALID, str(error))
        except NoDepartureError as error:
            if isinstance(error.outcome, Deferred):
                self._alarms.met(error.outcome.reason, error.outcome.reason)
            return self._reject(incoming, dialect, error.outcome.cause, error.outcome.reason)
        arrival = Arrival(incoming, submission, received_at, plan, plan.route.mode or dialect.dialect.default_mode)
        match arrival.mode:
            case "queued":
                return await self._queue(arrival)
            case "spill":
                return await self._spill(arrival, dialect)
        return await self._relay(arrival, dialect)

    async def _relay(self, arrival: Arrival, dialect: Vendor) -> Answer:
        """Direct: the client has the message until the vendor has it."""
        plan = arrival.plan
        deadline_seconds = plan.departures[0].entry.relay.exchange_seconds if len(plan.departures) > 1 else None
        result = await self._direct.make(arrival.incoming, plan, deadline_seconds)
        await self._direct.remember(arrival.incoming, result.outcomes)
        return self._answer(arrival, dialect, result)

    async def _queue(self, arrival: Arrival) -> Answer:
        """Queued: the gateway has the message once it is stored."""
        try:
            await self._store.keep(arrival)
        except StoreError as error:
            return self._not_stored(arrival, error)
        return _queued(arrival)

    async def _spill(self, arrival: Arrival, dialect: Vendor) -> Answer:
        """Spill: whoever the vendor has not taken or refused in time is stored."""
        store = self._store
        result = await self._direct.make(arrival.incoming, arrival.plan, store.spill_seconds, store.spill_gate)
        if not any(map(_waits, result.outcomes.values())):
            await self._direct.remember(arrival.incoming, result.outcomes)
            return self._answer(arrival, dialect, result)
        try:
            await self._store.keep(arrival, result)
        except StoreError as error:
            await self._direct.remember(arrival.incoming, result.outcomes)
            return self._not_stored(arrival, error)
        return _queued(arrival)

    def _answer(self, arrival: Arrival, dialect: Vendor, result: Result) -> Answer:
        """The vendor's word to the client; the message log has the whole of it."""
        outcome = fold(result.outcomes)
        self._store.log(arrival, result, is_accepted=isinstance(outcome, Accepted))
        if isinstance(outcome, Accepted):
            given = printable(outcome.vendor_message_id)
            reply = Reply(250, f"OK {arrival.incoming.message_id} {given}".rstrip(), "2.0.0")
        else:
            reply = reply_for(outcome.cause, outcome.reason, dialect.dialect.wording)
        return Answer(reply, next(iter(result.vendors.values()), ""))

    def _not_stored(self, arrival: Arrival, error: StoreError) -> Answer:
        self._report(Alarm(f"a message could not be stored: {error}"))
        reply = STORE_FULL if isinstance(error, StoreFullError) else NOT_STORED
        return self._tell_rejected(arrival.incoming, reply, str(error))

    def _reject(self, incoming: Incoming, dialect: Vendor, cause: Cause, reason: str) -> Answer:
        return self._tell_rejected(incoming, reply_for(cause, reason, dialect.dialect.wording), reason)

    def _tell_rejected(self, incoming: Incoming, reply: Reply, reason: str) -> Answer:
        told = f"{reply.code} {reply.text}"
        self._report(Rejected(incoming.session_id, incoming.message_id, incoming.account.name, told, reason))
        return Answer(reply)


def _queued(arrival: Arrival) -> Answer:
    reply = Reply(250, f"OK {arrival.incoming.message_id} queued", "2.0.0")
    return Answer(reply, arrival.plan.departures[0].entry.name, is_stored=True)


def _waits(outcome: Outcome) -> bool:
    """Whether the recipient may yet be served by a further attempt."""
    return isinstance(outcome, Deferred | Unknown)
