"""What happens to a message once its mail data is complete: read, translated, attempted, answered, reported.

The walk is told in docs/FLOW.md. Direct mode: the reply is what the vendor said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.accounts.account import Account
from gateway.content.reading import read_content
from gateway.content.spool import Spool
from gateway.content.structure import UnreadableError
from gateway.departures import Departure, Departures, NoDepartureError
from gateway.events import Alarm, Attempted, Rejected, Reporter
from gateway.message import Envelope, Submission
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, Reply, Unknown, fold, printable, reply_for
from gateway.partial import TakenPaths, message_digest
from gateway.relay import InThread
from gateway.trace import Hop, missing_fields, received_field
from gateway.vendor import DialectError, Vendor


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came in: who sent it, its ids, its envelope, how it came, and its mail data."""

    session_id: str
    message_id: str
    account: Account
    envelope: Envelope
    hop: Hop
    spool: Spool


@dataclass(frozen=True, slots=True)
class Clocks:
    """seconds never goes back and is for waiting; wall_seconds is the time of day, since 1970."""

    seconds: Callable[[], float]
    wall_seconds: Callable[[], float]


class Dispatch:
    """Takes incoming messages to their vendors."""

    def __init__(
        self,
        departures: Departures,
        dialects: Mapping[str, Vendor],
        report: Reporter,
        clocks: Clocks,
        hostname: str,
        in_thread: InThread,
        key_refused: Callable[[str, str], None],
        taken: TakenPaths,
    ) -> None:
        self._departures = departures
        self._dialects = dialects
        self._report = report
        self._seconds = clocks.seconds
        self._wall_seconds = clocks.wall_seconds
        self._hostname = hostname
        self._in_thread = in_thread
        self._key_refused = key_refused
        self._taken = taken

    async def submit(self, incoming: Incoming) -> Reply:
        """Bring a message to its vendor; the reply is what became of it."""
        began = self._seconds()
        dialect = self._dialects[incoming.account.dialect]
        try:
            submission = await self._read(incoming, dialect)
        except UnreadableError as error:
            return self._reject(incoming, dialect, Cause.UNREADABLE, str(error))
        except DialectError as error:
            return self._reject(incoming, dialect, Cause.INVALID, str(error))
        try:
            departure = self._departures.choose(incoming.account, submission)
        except NoDepartureError as error:
            return self._stay(incoming, dialect, error.outcome)
        outcome, report = await self._attempt(incoming, departure)
        self._tell(incoming, departure, outcome, report, self._seconds() - began)
        return self._reply(incoming, dialect, outcome, departure.entry.name)

    def _stay(self, incoming: Incoming, dialect: Vendor, outcome: Refused | Deferred) -> Reply:
        if isinstance(outcome, Deferred):
            self._report(Alarm(outcome.reason))
        return self._reject(incoming, dialect, outcome.cause, outcome.reason)

    async def _read(self, incoming: Incoming, dialect: Vendor) -> Submission:
        if incoming.spool.in_memory:
            content = read_content(incoming.spool)
        else:
            content = await self._in_thread(lambda: read_content(incoming.spool))
        options = dialect.read_dialect(content.fields)
        left = [one for one in content.fields if not dialect.is_dialect_field(one.name)]
        at, made_id = self._wall_seconds(), incoming.message_id
        received = received_field(incoming.hop, self._hostname, made_id, at)
        left = [received, *left, *missing_fields(left, self._hostname, made_id, at)]
        return Submission(incoming.message_id, incoming.envelope, replace(content, fields=tuple(left)), options)

    async def _attempt(self, incoming: Incoming, departure: Departure) -> tuple[Outcome, tuple[str, ...]]:
        """One attempt for whoever has not been served by an earlier one of the same message."""
        digest = await self._digest(incoming) if self._taken else None
        served = self._taken.of(digest) if digest else frozenset()
        paths = tuple(path for path in incoming.envelope.forward_paths if path not in served)
        if not paths:
            return Accepted(), ("all recipients were served when the message came before",)
        entry, submission = departure.entry, departure.submission
        rest = replace(submission, envelope=replace(incoming.envelope, forward_paths=paths))
        translation = entry.vendor.translate(departure.vendor_account, rest)
        outcomes = await entry.relay.attempt(translation.exchange, large=not incoming.spool.in_memory)
        await self._remember_partial(incoming, outcomes, digest)
        outcomes = {**dict.fromkeys(served, Accepted()), **outcomes}
        told = (*submission.content.report, *submission.options.report, *translation.report)
        return fold(outcomes), (*told, *_refused_beside_accepted(outcomes))

    async def _remember_partial(
        self, incoming: Incoming, outcomes: Mapping[str, Outcome], digest: bytes | None
    ) -> None:
        taken = frozenset(path for path, one in outcomes.items() if isinstance(one, Accepted))
        comes_again = isinstance(fold(outcomes), Deferred | Unknown)
        if comes_again and taken:
            self._taken.add(digest or await self._digest(incoming), taken)
        elif digest and not comes_again:
            self._taken.forget(digest)

    async def _digest(self, incoming: Incoming) -> bytes:
        name, envelope, spool = incoming.account.name, incoming.envelope, incoming.spool
        if spool.in_memory:
            return message_digest(name, envelope, spool)
        digest: bytes = await self._in_thread(lambda: message_digest(name, envelope, spool))
        return digest

    def _reject(self, incoming: Incoming, dialect: Vendor, cause: Cause, reason: str) -> Reply:
        reply = reply_for(cause, reason, dialect.dialect.wording)
        told = f"{reply.code} {reply.text}"
        self._report(Rejected(incoming.session_id, incoming.message_id, incoming.account.name, told, reason))
        return reply

    def _reply(self, incoming: Incoming, dialect: Vendor, outcome: Outcome, vendor: str) -> Reply:
        match outcome:
            case Accepted(vendor_message_id):
                return Reply(250, f"OK {incoming.message_id} {printable(vendor_message_id)}".rstrip(), "2.0.0")
            case Refused(Cause.KEY_REFUSED) if incoming.account.own_key is not None:
                self._key_refused(incoming.account.vendor, incoming.account.own_key)
            case Deferred(Cause.OPERATOR_KEY_REFUSED, reason):
                self._report(Alarm(f"vendors.{vendor}: the key is refused: {reason}"))
        return reply_for(outcome.cause, outcome.reason, dialect.dialect.wording)

    def _tell(
        self,
        incoming: Incoming,
        departure: Departure,
        outcome: Outcome,
        report: tuple[str, ...],
        seconds: float,
    ) -> None:
        self._report(
            Attempted(
                session_id=incoming.session_id,
                message_id=incoming.message_id,
                account=incoming.account.name,
                vendor=departure.entry.name,
                outcome=type(outcome).__name__.lower(),
                reverse_path=incoming.envelope.reverse_path,
                recipients=len(incoming.envelope.forward_paths),
                size_octets=departure.submission.content.size_octets,
                seconds=round(seconds, 3),
                vendor_message_id=outcome.vendor_message_id if isinstance(outcome, Accepted) else "",
                reason="" if isinstance(outcome, Accepted) else outcome.reason,
                retry_after_seconds=outcome.retry_after_seconds if isinstance(outcome, Deferred) else None,
                report=report,
            )
        )


def _refused_beside_accepted(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """Who does not get a message that the client is told is accepted: one reply stands for all (RFC 5321 §4.2.5)."""
    if isinstance(fold(outcomes), Accepted):
        for path, outcome in outcomes.items():
            if isinstance(outcome, Refused):
                yield f"{path} was refused: {outcome.reason}"
