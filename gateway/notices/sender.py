"""Delivers the webhook posts that wait in the store, beside the mail and never in its way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.events import Alarm, Reporter
from gateway.notices.lane import AT_ONCE, Client, Lane, Shared
from gateway.notices.webhooks import Webhook
from gateway.store.interface import Store, StoreError, Transaction
from gateway.store.records import WebhookPost

IN_HAND = 64  # posts claimed at a time: sixteen rounds of one receiver, so that a lease after a crash is short
IDLE_POLL_SECONDS = 3600.0  # without webhooks there are only posts of former ones to drop
FORMER_SECONDS = 24 * 3600.0  # another gateway may have newer settings, and know the webhook of a post: for a day
FORMER_WAIT_SECONDS = 600.0  # until it is looked at again: for as long as a roll-out of settings takes
POLL_SECONDS = 2.0  # other gateways' posts, and those whose time has come: soon enough for any receiver
LEASE_SLACK_SECONDS = 60.0  # beyond the time that all posts in hand take when each request lasts to its timeout

Webhooks = Mapping[str, tuple[Webhook, Client]]
"""The webhooks by their names, each with a client of its own."""


class WebhookSender:
    """Claims due posts and delivers each at least once. wake() after posts were committed: then none waits for a poll.

    It has no webhooks before change(). Order is not promised.
    """

    def __init__(
        self,
        store: Store,
        reactor: Any,
        wall_seconds: Callable[[], float],
        chance: Callable[[], float],
        report: Reporter,
    ) -> None:
        self._store = store
        self._reactor = reactor
        self._wall_seconds = wall_seconds
        self._report = report
        self._shared = Shared(self._finish, wall_seconds, reactor.seconds, chance, report)
        self._lanes: dict[str, Lane] = {}
        self._lease_seconds = LEASE_SLACK_SECONDS
        self._napping: Deferred[None] | None = None
        self._running = False
        self._is_woken = False
        self._may_be_more = False
        self._stopped: Deferred[None] | None = None
        self._store_fails = False

    def change(self, webhooks: Webhooks) -> None:
        """Deliver to these from now on. Requests under way end as they began; what waits for a webhook that is no more
        goes back to the store."""
        slowest_seconds = max((webhook.timeout_seconds for webhook, _ in webhooks.values()), default=0.0)
        self._lease_seconds = LEASE_SLACK_SECONDS + IN_HAND / AT_ONCE * slowest_seconds
        former = {name: lane for name, lane in self._lanes.items() if name not in webhooks}
        for name, (webhook, client) in webhooks.items():
            lane = self._lanes.get(name)
            if lane is None:
                self._lanes[name] = Lane(webhook, client, self._shared)
            else:
                self._begin(lane.change(webhook, client))
        for name in former:
            self._begin(self._let_go(self._lanes.pop(name)))
        self.wake()

    def start(self) -> None:
        """Deliver from now on."""
        self._running = True
        self._stopped = Deferred.fromCoroutine(self._run()).addErrback(self._broken)

    async def stop(self) -> None:
        """Claim no more; what is in hand is delivered after the lease, maybe twice."""
        self._running = False
        self.wake()
        if self._stopped is not None:
            await self._stopped
        for lane in self._lanes.values():
            await lane.close()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._is_woken = True
        napping, self._napping = self._napping, None
        if napping is not None:
            napping.callback(None)

    async def _run(self) -> None:
        while self._running:
            free = IN_HAND - self._in_hand
            claimed = await self._claim(free) if free > 0 else []
            self._may_be_more = free <= 0 or len(claimed) == free
            await self._hand_over(claimed)
            if len(claimed) < max(free, 1):
                await self._nap()

    @property
    def _in_hand(self) -> int:
        return sum(lane.in_hand for lane in self._lanes.values())

    async def _claim(self, limit: int) -> list[WebhookPost]:
        now = self._wall_seconds()
        try:
            posts = await self._store.write(lambda at: at.claim_webhook_posts(now, limit, self._lease_seconds))
        except StoreError as error:
            self._store_failed(error)
            return []
        self._store_fails = False
        return posts

    async def _hand_over(self, claimed: Sequence[WebhookPost]) -> None:
        """To the lanes; back to the store, in one transaction, what cannot be sent now, or never."""
        now = self._wall_seconds()
        ends: list[tuple[WebhookPost, float | None]] = []
        for post in claimed:
            lane = self._lanes.get(post.webhook)
            if lane is None:  # not in these settings
                is_former = now - post.created_at > FORMER_SECONDS
                ends.append((post, None if is_former else now + FORMER_WAIT_SECONDS))
            elif lane.is_gone:
                ends.append((post, None))
            elif (pause_seconds := lane.pause_seconds()) > 0:
                ends.append((post, now + pause_seconds))
            else:
                lane.add(post)
        if ends:
            await self._write(ends)

    async def _let_go(self, lane: Lane) -> None:
        until = self._wall_seconds() + FORMER_WAIT_SECONDS
        await self._write([(post, until) for post in lane.give_back()])
        await lane.close()

    async def _finish(self, post: WebhookPost, next_attempt_at: float | None) -> None:
        await self._write([(post, next_attempt_at)])
        if self._may_be_more and self._in_hand <= IN_HAND // 2:
            self.wake()

    async def _write(self, ends: Sequence[tuple[WebhookPost, float | None]]) -> None:
        def write(transaction: Transaction) -> None:
            for post, next_attempt_at in ends:
                transaction.finish_webhook_post(post, next_attempt_at)

        try:
            await self._store.write(write)
        except StoreError as error:  # the lease ends, and they are delivered once more
            self._store_failed(error)

    def _store_failed(self, error: StoreError) -> None:
        """Told once, until it works again."""
        if not self._store_fails:
            self._report(Alarm(f"webhooks wait for the store: {error}"))
        self._store_fails = True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        """A fault of our own; what it kept in hand is delivered when its lease has ended."""
        self._report(Alarm(f"webhooks: {type(failure.value).__name__} at a change of the settings"))

    def _broken(self, failure: Failure) -> None:
        self._report(Alarm(f"webhooks are sent no more: {type(failure.value).__name__}: {failure.getErrorMessage()}"))

    async def _nap(self) -> None:
        if self._is_woken or not self._running:
            self._is_woken = False
            return
        self._napping = Deferred()
        napping = self._napping
        timer = self._reactor.callLater(POLL_SECONDS if self._lanes else IDLE_POLL_SECONDS, self.wake)
        try:
            await napping
        finally:
            self._is_woken = False
            if timer.active():
                timer.cancel()
