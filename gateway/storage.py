"""Storage: the store of one process and what works on it: the queue's runner, the message log, webhooks, retention.

It lasts as long as the process; at the start and at each reload it is given what the settings say: plan(), then use().
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from gateway.accounts.seal import Seal
from gateway.attempts import Attempts
from gateway.departures import Departures
from gateway.direct import DirectAttempts
from gateway.dispatch import Dispatch
from gateway.events import Alarm, Failed, Reporter
from gateway.ids import new_id
from gateway.incoming import Clocks, Reader
from gateway.lane_state import LaneState
from gateway.message_log import MessageLog
from gateway.message_store import Keeping, MessageStore
from gateway.notice_parts import notices, webhooks, webhooks_with_clients
from gateway.notices.sender import Webhooks, WebhookSender
from gateway.partial import TakenPaths
from gateway.queue.lanes import LONGEST_PAUSE_SECONDS, LaneRules, Lanes, SpillGate
from gateway.queue.means import Means
from gateway.queue.notices import Notices
from gateway.queue.rides import SharedRides
from gateway.queue.runner import Runner
from gateway.queue.settings import QueueSettings
from gateway.recall import Recalls
from gateway.relay import InThread
from gateway.retention import Retention
from gateway.settings import Settings
from gateway.standing_alarms import StandingAlarms
from gateway.store.interface import Store, Transaction
from gateway.store.records import StoredEvent, StoredMessage
from gateway.store_settings import Store as StoreSettings
from gateway.storing import Records
from gateway.takeover import Takeover


@dataclass(frozen=True, slots=True)
class StorageNeeds:
    """What storage is given by the process: gateway is a name that no other process has; prunes: see Lasting."""

    gateway: str
    reactor: Any
    clocks: Clocks
    report: Reporter
    in_thread: InThread
    spool_folder: Path
    takeover: Takeover
    prunes: bool = True


@dataclass(frozen=True, slots=True)
class Working:
    """What works on the store beside the sessions. Each can be started and stopped."""

    lanes: Lanes
    runner: Runner
    retention: Retention
    webhooks: WebhookSender


@dataclass(frozen=True, slots=True)
class Plan:
    """What one reading of the settings asks for: the dispatch for its sessions, and what works on the store."""

    dispatch: Dispatch
    means: Means
    rules: LaneRules
    queue: QueueSettings
    retention: StoreSettings
    webhooks: Webhooks


def lane_rules(settings: Settings, shared: Collection[str]) -> LaneRules:
    """What holds for a lane in this process. Workers take from the queue each by itself, so each has its share."""
    rates = {
        name: one.rate_per_second / settings.workers for name, one in settings.vendors.items() if one.rate_per_second
    }
    attempts = max(1, settings.queue.attempts_per_lane // settings.workers)
    # No longer than a message lives: what comes during a pause must be attempted before it is too late
    longest_pause_seconds = min(LONGEST_PAUSE_SECONDS, settings.queue.expire_seconds)
    return LaneRules(attempts, settings.queue.breaker, rates, shared, longest_pause_seconds)


class Storage:
    """The store in use, and all that works on it."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        key_refused: Callable[[str, str], None],
        taken: TakenPaths,
        around: StorageNeeds,
    ) -> None:
        """seal closes the keys of clients; key_refused is told the vendor entry and key of a client whose own key was
        refused; taken is who of a message's recipients was served while others were not."""
        self.store = store
        self._seal = seal
        self._alarms = StandingAlarms(around.clocks.seconds, around.report)
        own = (around.clocks, around.report, key_refused, self._alarms, around.gateway)
        self._attempts = Attempts(*own)
        self._queue_attempts = Attempts(*own, SharedRides(around.clocks.seconds))
        self._taken = taken
        self._around = around
        self._log = MessageLog(store, around.reactor, around.report, self._posted)
        self._recalls = Recalls(store, around.clocks.wall_seconds, self._pause, around.report)
        self._working: Working | None = None
        self._notices: Notices | None = None
        self._enough: Deferred[None] = Deferred()

    @property
    def messages_not_logged(self) -> int:
        """How many messages of direct mode the log has lost."""
        return self._log.lost

    def lane_states(self) -> list[LaneState]:
        """What the queue of this process knows of its lanes."""
        return self._working.lanes.states(self._around.clocks.wall_seconds()) if self._working is not None else []

    def plan(self, settings: Settings, departures: Departures, reader: Reader) -> Plan:
        """What use() is to go by. Nothing changes yet, because these settings may still be refused. SettingsError."""
        around, queue = self._around, settings.queue
        hooks = webhooks(settings)
        rules = lane_rules(settings, departures.shared)
        lanes = self._working.lanes if self._working else Lanes(around.clocks.seconds, rules)
        means = Means(
            store=self.store,
            departures=departures,
            reader=reader,
            attempts=self._queue_attempts,
            records=Records(self._seal, queue.schedule),
            schedule=queue.schedule,
            notices=notices(settings, hooks, self._seal, self._new_id, queue.expire_seconds),
            clocks=around.clocks,
            alarms=self._alarms,
            randomness=random.random,  # jitter need not be unguessable
            report=around.report,
            spool_folder=around.spool_folder,
            spool_memory_octets=settings.limits.spool_memory_octets,
            lease_seconds=queue.lease_seconds,
            wait_seconds=lanes.wait_seconds,
            pause=self._pause,
            is_recalled=self._recalls.__contains__,
        )
        if self._working is None:
            clocks, reactor, report = around.clocks, around.reactor, around.report
            # Jitter need not be unguessable
            sender = WebhookSender(self.store, reactor, clocks.wall_seconds, random.random, report)
            runner = Runner(around.gateway, means, lanes, queue, reactor, self._posted)
            retention = Retention(self.store, settings.store, reactor, clocks.wall_seconds, report)
            self._working = Working(lanes, runner, retention, sender)
        dispatch = self._dispatch(settings, means, self._working)
        receivers = webhooks_with_clients(settings, hooks, around.reactor)
        return Plan(dispatch, means, rules, queue, settings.store, receivers)

    def use(self, plan: Plan) -> None:
        """Work by these settings from now on, for mail that waits too.

        Attempts and requests to webhooks that are under way end as they began.
        """
        if self._working is not None:
            self._working.lanes.change_rules(plan.rules)
            self._working.runner.change(plan.means, plan.queue)
            self._working.retention.change(plan.retention)
            self._working.webhooks.change(plan.webhooks)
        self._notices = plan.means.notices

    def start(self) -> None:
        """Attempt what waits, from now on; after use()."""
        if self._working is not None:
            self._working.runner.start()
            if self._around.prunes:
                self._working.retention.start()
                self._around.takeover.freed = self._working.runner.look
                self._around.takeover.start()
            self._working.webhooks.start()

    def look(self) -> None:
        """Somebody has changed the queue: see what is due."""
        if self._working is not None:
            self._working.runner.look()

    async def process_ended(self) -> None:
        """A process of this gateway has ended: what it had claimed is free."""
        await self._around.takeover.look()

    def add_events(self, transaction: Transaction, message: StoredMessage, events: Sequence[StoredEvent]) -> None:
        """Append what somebody did to a message to the feed, with the posts for webhooks."""
        if self._notices is None:
            transaction.add_events(events)
        else:
            self._notices.add_events(transaction, message, events)

    async def drain(self) -> None:
        """Claim nothing more; ends when what is in hand has ended, or with abort()."""
        Deferred.fromCoroutine(self._stop_working()).addErrback(self._broken)
        await self._enough

    def abort(self) -> None:
        """Wait no longer, now or in a drain to come: such attempts count as unknown when their lease has ended."""
        if not self._enough.called:
            self._around.report(Alarm("attempts are left behind: they count as unknown when their lease has ended"))
            self._enough.callback(None)

    async def close(self) -> None:
        """Write the log and close the store; after the last session has ended."""
        await self._log.flush()
        await self._recalls.close()
        await self._around.in_thread(self.store.close)

    async def _stop_working(self) -> None:
        try:
            if self._working is not None:
                self._working.retention.stop()
                self._around.takeover.stop()
                await self._working.runner.stop()
                await self._working.webhooks.stop()
        finally:
            if not self._enough.called:
                self._enough.callback(None)

    def _broken(self, failure: Failure) -> None:
        self._around.report(Failed("queue", failure.getTraceback()))

    def _pause(self, seconds: float) -> Deferred[None]:
        paused: Deferred[None] = deferLater(self._around.reactor, seconds, lambda: None)
        return paused

    def _posted(self) -> None:
        """There are webhook posts to deliver."""
        if self._working is not None:
            self._working.webhooks.wake()

    def _new_id(self) -> str:
        return new_id(self._around.clocks.wall_seconds)

    def _dispatch(self, settings: Settings, means: Means, working: Working) -> Dispatch:
        around = self._around
        keeping = Keeping(
            store=self.store,
            records=means.records,
            schedule=means.schedule,
            clocks=around.clocks,
            randomness=means.randomness,
            notices=means.notices,
            woken=working.runner.woken,
            posted=self._posted,
            recalls=self._recalls,
            report=around.report,
        )
        messages = MessageStore(keeping, self._log, SpillGate(working.lanes), settings.queue.spill_seconds)
        direct = DirectAttempts(self._attempts, means.reader, self._taken, around.report)
        own = (around.clocks, around.report, self._alarms)
        return Dispatch(means.departures, means.reader, direct, messages, *own)
