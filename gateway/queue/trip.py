"""A trip: one claimed message from the store to its vendors, and what came of it back into the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.python.failure import Failure

from gateway.attempts import Errand, Result
from gateway.content.spool import Spool
from gateway.content.structure import UnreadableError
from gateway.departures import Departure, NoDepartureError, Plan
from gateway.events import Alarm, Failed, InDoubt
from gateway.incoming import Incoming
from gateway.message import SendOptions
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, Unknown
from gateway.queue.lanes import Reservation
from gateway.queue.means import Means
from gateway.queue.notices import notice_kinds
from gateway.queue.steps import Progress, after_attempts, in_doubt, put_off, queued, result_for, rules_of
from gateway.queue.telling import tell
from gateway.routing import Route
from gateway.store.interface import StoreError, Transaction
from gateway.store.records import Claim, StoredMessage
from gateway.storing import SealError
from gateway.vendor import DialectError

LEASE_RESERVE = 0.2  # of the lease: an attempt ends before, so that its end is written while the claim still holds
WRITE_WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, *(30.0,) * 10)  # five minutes, after which the lease has ended too
LEAST_WAIT_SECONDS = 5.0  # for a message that found every lane full: a turn of the others, and no reading in circles


@dataclass(frozen=True, slots=True)
class Told:
    """What the writing of a step has led to: when the message is due again, a DSN that may leave now, webhook posts.

    is_ours is False when the claim had been lost.
    """

    is_ours: bool = False
    next_attempt_at: float | None = None
    dsn: bool = False
    posts: bool = False


class LostContentError(Exception):
    """The store has less of a message than it took."""


class Trip:
    """One claim's trip. The reservation is closed by whoever made it."""

    def __init__(self, means: Means, claim: Claim, reservation: Reservation) -> None:
        self._means = means
        self._claim = claim
        self._reservation = reservation
        self._options = SendOptions()
        self._kinds: tuple[str, ...] = ()
        self._has_begun = False
        self._message = claim.message
        self._doubt: Progress | None = None  # about the attempt before this trip, until it is written
        self._lane = ""  # of the attempt that the store knows to be under way
        self._before = Result({}, {})  # what has come of this trip already
        self._posts = False  # whether there are some already, before the end
        self._dsn = ""

    async def make(self) -> Told:
        """Attempt the message. StoreError: nothing is written; the lease will end."""
        means, message = self._means, self._claim.message
        if means.is_recalled(message.message_id):
            return Told()  # it is about to be rejected, which ends the claim
        spool = Spool(means.spool_folder, means.spool_memory_octets)
        try:
            await self._fill(spool)
            return await self._with_content(means.records.incoming(message, spool))
        except StoreError:
            raise
        except (LostContentError, SealError) as error:
            means.report(Alarm(f"{message.message_id}: {error}"))
            return await self._without_attempt(_fault(error), Route())
        except Exception as error:  # a fault of our own: the message must neither vanish nor come round at once
            means.report(Failed(message.session_id, Failure().getTraceback()))
            told = f"a fault of the gateway: {type(error).__name__}"
            outcome = Unknown(told) if self._has_begun else Deferred(Cause.UNAVAILABLE, told)
            return await self._without_attempt(outcome, Route())
        finally:
            spool.close()

    async def _fill(self, spool: Spool) -> None:
        """Read the content, piece by piece: no transaction stays open for a large one."""
        message_id, number = self._claim.message.message_id, 0
        while spool.size_octets < self._claim.message.size_octets:
            piece = await self._means.store.read(_piece_of(message_id, number))
            if piece is None:
                raise LostContentError(f"its stored content ends after {spool.size_octets} octets")
            spool.write(piece)
            number += 1

    async def _with_content(self, incoming: Incoming) -> Told:
        means, message = self._means, self._claim.message
        try:
            submission = await means.reader.read(incoming, message.received_at)
            plan = means.departures.plan(incoming.account, submission, message.moved_to)
        except (UnreadableError, DialectError) as error:
            return await self._without_attempt(Refused(Cause.INVALID, str(error)), Route())
        except NoDepartureError as error:
            if isinstance(error.outcome, Deferred):
                means.alarms.met(error.outcome.reason, error.outcome.reason)
            return await self._without_attempt(error.outcome, error.route)
        self._options = submission.options
        self._kinds = notice_kinds(plan.route, str(message.account.get("dialect", "")))
        return await self._with_plan(incoming, plan)

    async def _without_attempt(self, outcome: Outcome, route: Route) -> Told:
        """What cannot leave at all ends or waits as if a vendor had said so."""
        plan = Plan(route, ())
        message = self._known(plan)
        self._kinds = notice_kinds(route, str(message.account.get("dialect", "")))
        paths = queued(message)
        if not paths:
            return await self._hold()
        result = Result(dict.fromkeys(paths, outcome), dict.fromkeys(paths, ""))
        return await self._write(self._after(message, result, plan))

    async def _with_plan(self, incoming: Incoming, plan: Plan) -> Told:
        message = self._known(plan)
        if not queued(message):
            return await self._hold()
        lane = plan.departures[0].lane
        self._has_begun = await self._means.store.write(lambda transaction: self._begin(transaction, lane))
        if not self._has_begun:
            return Told()
        self._doubt, self._lane = None, lane
        result = result_for(await self._attempts(message, incoming, plan), queued(self._message))
        return await self._write(
            self._after(self._message, result, plan) if result.attempts else self._put_off(message, plan)
        )

    def _known(self, plan: Plan) -> StoredMessage:
        """The message with what is known of its attempts; one that never ended may have handed it over."""
        message = self._message
        if self._claim.was_in_flight and message is self._claim.message:
            self._doubt = in_doubt(message, rules_of(plan, self._means.schedule), self._means.clocks.wall_seconds())
            self._message = self._doubt.message
            vendor = message.lane.partition("/")[0]
            self._means.report(InDoubt(message.session_id, message.message_id, message.account_name, vendor))
        return self._message

    async def _hold(self) -> Told:
        """The route wants nobody attempted again whose attempt never ended."""
        doubt, self._doubt = self._doubt, None
        return await self._write(doubt) if doubt is not None else Told()

    def _begin(self, transaction: Transaction, lane: str) -> bool:
        """Whether the attempt may be made. A doubt is written now, because this attempt may end as the last one did."""
        if not transaction.begin([self._claim], lane):
            return False
        self._tell_doubt(transaction)
        return True

    def _tell_doubt(self, transaction: Transaction) -> None:
        if self._doubt is not None and transaction.mark(self._claim, self._doubt.step.recipients):
            self._posts = self._means.notices.add_events(transaction, self._doubt.message, self._doubt.events)

    async def _ask(self, departure: Departure, so_far: Result, plan: Plan) -> bool:
        """Whether another vendor may be asked. Written before it is: where the attempt is now, and who is done with.

        So a crash leaves in doubt only whom this vendor was asked for.
        """
        if departure.lane == self._lane:
            return True
        so_far = self._before.joined(so_far)
        done = {path: one for path, one in so_far.outcomes.items() if isinstance(one, Accepted)}
        progress = self._after(self._message, result_for(so_far, done.keys() & queued(self._message).keys()), plan)
        after = replace(progress.message, attempts=self._message.attempts)

        def job(transaction: Transaction) -> bool:
            if not transaction.begin([self._claim], departure.lane):
                return False
            transaction.mark(self._claim, progress.step.recipients)
            self._posts = self._notify(transaction, progress) or self._posts
            return True

        try:
            may = await self._means.store.write(job)
        except StoreError as error:
            self._means.report(Alarm(f"{after.message_id}: no further vendor is asked now: {error}"))
            return False
        if may:
            self._message, self._lane = after, departure.lane
            told = replace(progress, message=replace(after, next_attempt_at=None))
            tell(self._means.report, told, self._means.clocks.wall_seconds())
        return may

    def _notify(self, transaction: Transaction, progress: Progress) -> bool:
        """Write the events and notices of a step; gives whether there are webhook posts."""
        notices, now = self._means.notices, self._means.clocks.wall_seconds()
        posts = bool(progress.events) and notices.add_events(transaction, progress.message, progress.events)
        if progress.ended:
            dsn = notices.of(transaction, progress.message, progress.ended, self._kinds, now, self._options)
            self._dsn = dsn or self._dsn
        if progress.delayed:
            dsn = notices.warn(transaction, progress.message, progress.delayed, self._kinds, now)
            self._dsn = dsn or self._dsn
        return posts

    def _put_off(self, message: StoredMessage, plan: Plan) -> Progress:
        """No lane was open: nothing was tried, and nothing is known that was not known before."""
        means = self._means
        waits = [means.wait_seconds(one.lane) for one in plan.departures]
        wait_seconds = max(LEAST_WAIT_SECONDS, min(waits))
        return put_off(message, means.clocks.wall_seconds(), wait_seconds, plan.departures[0].lane)

    async def _attempts(self, message: StoredMessage, incoming: Incoming, plan: Plan) -> Result:
        """Those who may have been served at one vendor are asked about there alone; the rest by the whole plan."""

        async def ask(departure: Departure, so_far: Result) -> bool:
            return await self._ask(departure, so_far, plan)

        by_vendor: dict[str, list[str]] = {}
        for one in queued(message).values():
            is_pinned = one.is_unknown and any(way.entry.name == one.vendor for way in plan.departures)
            by_vendor.setdefault(one.vendor if is_pinned else "", []).append(one.path)
        for vendor, paths in by_vendor.items():
            pinned = tuple(one for one in plan.departures if one.entry.name == vendor)
            some = replace(plan, departures=pinned or plan.departures)
            errand = Errand(
                session_id=message.session_id,
                message_id=message.message_id,
                account_name=message.account_name,
                reverse_path=message.envelope.reverse_path,
                paths=tuple(paths),
                large=not incoming.spool.in_memory,
                deadline_seconds=self._means.lease_seconds * (1 - LEASE_RESERVE) / len(by_vendor),
            )
            result = await self._means.attempts.run(errand, some, self._reservation, ask)
            self._before = self._before.joined(result)
        return self._before

    def _after(self, message: StoredMessage, result: Result, plan: Plan) -> Progress:
        means = self._means
        now = means.clocks.wall_seconds()
        lane = plan.departures[0].lane if plan.departures else ""
        return after_attempts(message, result, rules_of(plan, means.schedule), now, means.randomness(), lane)

    async def _write(self, progress: Progress) -> Told:
        """Write the step, its events and its notices in one transaction."""
        means, claim = self._means, self._claim
        message, now = progress.message, means.clocks.wall_seconds()

        def job(transaction: Transaction) -> Told:
            self._tell_doubt(transaction)
            if not transaction.finish(claim, progress.step):
                return Told()
            posts = self._notify(transaction, progress)
            return Told(True, message.next_attempt_at, bool(self._dsn), posts or self._posts)

        def step_alone(transaction: Transaction) -> Told:
            self._tell_doubt(transaction)
            if not transaction.finish(claim, progress.step):
                return Told()
            transaction.add_events(progress.events)
            return Told(True, message.next_attempt_at, posts=self._posts)

        try:
            told = await self._written(job)
        except StoreError:
            raise
        except Exception:  # a notice that cannot be made must not have the message sent again and again
            means.report(Failed(message.session_id, Failure().getTraceback()))
            told = await self._written(step_alone)
        if told.is_ours:
            tell(means.report, progress, now)
        return told

    async def _written(self, job: Callable[[Transaction], Told]) -> Told:
        """A vendor may have the message: so its end is written, however long the store is away."""
        for wait_seconds in WRITE_WAITS_SECONDS:
            try:
                return await self._means.store.write(job)
            except StoreError as error:
                message_id = self._claim.message.message_id
                self._means.report(Alarm(f"what came of {message_id} cannot be written: {error}"))
                await self._means.pause(wait_seconds)
        return await self._means.store.write(job)


def _fault(error: Exception) -> Outcome:
    """Content that is lost is lost for good; a key that does not open may be that of another settings file."""
    if isinstance(error, LostContentError):
        return Refused(Cause.UNREADABLE, str(error))
    return Deferred(Cause.OPERATOR_KEY_REFUSED, str(error))


def _piece_of(message_id: str, number: int) -> Callable[[Transaction], Any]:
    return lambda transaction: transaction.content_piece(message_id, number)
