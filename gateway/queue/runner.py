"""The runner: claims mail that is due, lane by lane and account by account, and sends it on its trips.

It goes round the pairs of lane and account that have due mail and takes a few messages of each, oldest first; a lane
that is full, paused or broken is passed over. So within an account and lane mail begins its attempts in the order in
which it is due, while those that are made at once may end in another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from gateway.events import Alarm, Failed
from gateway.queue.lanes import Lanes, Reservation
from gateway.queue.means import Means
from gateway.queue.settings import QueueSettings
from gateway.queue.trip import Trip
from gateway.store.interface import StoreError
from gateway.store.records import Claim, DueLane

CLAIMS_AT_ONCE = 4  # of one account and lane in its turn: enough to share a commit, few enough that turns come soon
DUE_LANES = 10_000  # pairs known at a time: a few MB
OTHERS = "+"  # behind a lane's name: what leaves by other vendors of its route while the lane itself is closed


class Runner:
    """Runs the queue of one gateway. posted is called when there are webhook posts to deliver."""

    def __init__(
        self,
        gateway: str,
        means: Means,
        lanes: Lanes,
        settings: QueueSettings,
        reactor: Any,
        posted: Callable[[], None] = lambda: None,
    ) -> None:
        self._gateway = gateway
        self._means = means
        self._lanes = lanes
        self._settings = settings
        self._reactor = reactor
        self._posted = posted
        self._clocks = means.clocks
        self._store = means.store
        self._report = means.report
        self._due: dict[tuple[str, str], None] = {}
        self._in_hand: set[Deferred[None]] = set()
        self._is_running = False
        self._is_wanted = False
        self._look_at = 0.0
        self._store_fails = False
        self._turning: Deferred[None] | None = None
        self._timer: Any = None

    # -- what others call

    def start(self) -> None:
        """Begin; what is due leaves now."""
        self._is_running = True
        self._look_at = self._clocks.seconds()
        self._turn()

    def change(self, means: Means, settings: QueueSettings) -> None:
        """From now on these hold, for mail that waits already too; trips under way end as they began."""
        self._means = means
        self._settings = settings
        self.look()

    def woken(self, lane: str, account_name: str) -> None:
        """A message of that lane and account is due."""
        self._due.setdefault((lane, account_name))
        self._turn()

    def look(self) -> None:
        """Somebody has changed the queue: see what is due."""
        self._look_at = self._clocks.seconds()
        self._turn()

    async def stop(self) -> None:
        """Claim nothing more, wait for what is in hand, and give back the rest."""
        self._is_running = False
        self._disarm()
        if self._turning is not None:
            await _ended(self._turning)
        await DeferredList(list(self._in_hand))
        try:
            await self._store.write(lambda transaction: transaction.release(self._gateway))
        except StoreError as error:
            self._report(Alarm(f"claims are not given back, and end with their lease: {error}"))

    # -- turns

    def _turn(self) -> None:
        """Go round once more: now, or after the turn that is under way."""
        self._is_wanted = True
        if self._turning is None and self._is_running:
            self._disarm()
            self._turning = Deferred.fromCoroutine(self._turns())
            self._turning.addErrback(self._broken)
            if self._turning is not None and self._turning.called:
                self._turning = None

    async def _turns(self) -> None:
        try:
            while self._is_wanted and self._is_running:
                self._is_wanted = False
                if self._clocks.seconds() >= self._look_at:
                    await self._see()
                if await self._go_round():
                    self._is_wanted = True
                self._store_fails = False
        except StoreError as error:
            if not self._store_fails:  # told once, until it works again
                self._report(Alarm(f"the queue stands still: {error}"))
            self._store_fails = True
            self._is_wanted = False
            self._look_at = self._clocks.seconds() + self._settings.poll_seconds
        finally:
            self._turning = None
            self._arm()

    async def _see(self) -> None:
        """Which lanes and accounts have due mail, and when there is more."""
        now = self._clocks.wall_seconds()
        due: Sequence[DueLane] = await self._store.read(lambda transaction: transaction.due_lanes(now, DUE_LANES))
        next_at = await self._store.read(lambda transaction: transaction.next_due_at())
        for one in due:
            self._due.setdefault((one.lane, one.account_name))
        wait_seconds = self._settings.poll_seconds
        if next_at is not None and now < next_at < now + wait_seconds:
            wait_seconds = next_at - now
        self._look_at = self._clocks.seconds() + wait_seconds

    async def _go_round(self) -> bool:
        """One visit to each pair that has due mail. Gives whether any was claimed."""
        some = False
        for lane, account_name in list(self._due):
            name, room = self._room(lane)
            if not room:
                continue
            del self._due[lane, account_name]
            # Reserved before it is claimed: meanwhile others might take the room
            reservations = [Reservation(self._lanes, name) for _ in range(room)]
            claims = []
            try:
                claims = await self._claim(lane, account_name, room)
            finally:
                for one in reservations[len(claims) :]:
                    one.close()
            for claim, reservation in zip(claims, reservations, strict=False):
                self._send(claim, reservation)
            if len(claims) == room:
                self._due.setdefault((lane, account_name))  # at the end: the others come first
            some = some or bool(claims)
        return some

    def _room(self, lane: str) -> tuple[str, int]:
        """How many messages of a lane may begin now, and the name they count under."""
        left = min(CLAIMS_AT_ONCE, self._settings.attempts_at_once - len(self._in_hand))
        if left > 0 and self._lanes.wait_seconds(lane) > 0 and self._means.departures.has_others(lane):
            lane += OTHERS
        return lane, max(0, min(left, self._lanes.room(lane)))

    async def _claim(self, lane: str, account_name: str, limit: int) -> list[Claim]:
        now, lease_seconds = self._clocks.wall_seconds(), self._settings.lease_seconds
        return await self._store.write(
            lambda transaction: transaction.claim(self._gateway, lane, account_name, now, limit, lease_seconds)
        )

    # -- trips

    def _send(self, claim: Claim, reservation: Reservation) -> None:
        done: Deferred[None] = Deferred.fromCoroutine(self._travel(claim, reservation))
        self._in_hand.add(done)
        done.addErrback(self._broken)
        done.addBoth(self._end, done)

    async def _travel(self, claim: Claim, reservation: Reservation) -> None:
        message = claim.message
        try:
            told = await Trip(self._means, claim, reservation).make()
        except StoreError as error:
            self._report(Alarm(f"{message.message_id} stays claimed until its lease ends: {error}"))
            return
        finally:
            reservation.close()
        if told.next_attempt_at is not None:
            wait_seconds = told.next_attempt_at - self._clocks.wall_seconds()
            self._look_at = min(self._look_at, self._clocks.seconds() + max(0.0, wait_seconds))
        if told.dsn:
            self._due.setdefault((message.lane, message.account_name))
        if told.posts:
            self._posted()

    def _end(self, _: object, done: Deferred[None]) -> None:
        self._in_hand.discard(done)
        if self._due or self._look_at <= self._clocks.seconds():
            self._turn()
        else:
            self._arm()

    def _broken(self, failure: Failure) -> None:
        self._report(Failed("queue", failure.getTraceback()))

    # -- the timer

    def _arm(self) -> None:
        """Turn again when mail is due, or when a lane that mail waits for is free by then."""
        self._disarm()
        if not self._is_running or self._turning is not None:
            return
        wait_seconds = self._look_at - self._clocks.seconds()
        waits = (self._lanes.wait_seconds(lane) for lane, _ in self._due)
        wait_seconds = min((wait_seconds, *(one for one in waits if one > 0)))
        self._timer = self._reactor.callLater(max(0.0, wait_seconds), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._turn()

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


def _ended(running: Deferred[None]) -> Deferred[None]:
    """Fires when that one has, without taking its result."""
    waiting: Deferred[None] = Deferred()

    def pass_on(result: Any) -> Any:
        waiting.callback(None)
        return result

    running.addBoth(pass_on)
    return waiting
