"""What health and metrics ask of the store: read at most once a second, and never waited for longer than a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from gateway.store.interface import Store, StoreError, Transaction
from gateway.store.records import Totals

KEPT_SECONDS = 1.0  # however many ask: the queue is counted by going through it, up to 20 ms for 50,000 messages
WAIT_SECONDS = 2.0  # what a load balancer waits at least; a store that takes longer is as good as away


@dataclass(frozen=True, slots=True)
class Figures:
    """The sum over all recipients, and by vendor entry how many messages wait and when the oldest was received."""

    totals: Totals
    depth: Mapping[str, tuple[int, float]]


class StoreFigures:
    """The newest figures. found is None before the first answer; is_reachable tells whether the last was in time."""

    def __init__(self, store: Store, reactor: Any) -> None:
        self.found: Figures | None = None
        self.is_reachable = False
        self._store = store
        self._reactor = reactor
        self._read_at: float | None = None
        self._reading = False
        self._waiting: list[Deferred[None]] = []

    async def refresh(self) -> None:
        """Read them anew unless they are fresh; without an answer in time, those from before stay."""
        now = self._reactor.seconds()
        if not self._reading and (self._read_at is None or now - self._read_at >= KEPT_SECONDS):
            self._reading = True
            Deferred.fromCoroutine(self._read())
        if self._reading:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            late = self._reactor.callLater(WAIT_SECONDS, self._late, waiting)
            await waiting
            if late.active():
                late.cancel()

    async def _read(self) -> None:
        """Ends when the store answers, however late; until then nothing more is asked of it."""
        try:
            self.found = await self._store.read(_job)
            self.is_reachable = True
        except StoreError:
            self.is_reachable = False
        finally:
            self._reading = False
            self._read_at = self._reactor.seconds()
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(None)

    def _late(self, waiting: Deferred[None]) -> None:
        self.is_reachable = False
        self._waiting.remove(waiting)
        waiting.callback(None)


def _job(transaction: Transaction) -> Figures:
    depth: dict[str, tuple[int, float]] = {}
    for lane, (messages, oldest_at) in transaction.queue_depth().items():
        vendor = lane.partition("/")[0]
        before, oldest = depth.get(vendor, (0, oldest_at))
        depth[vendor] = (before + messages, min(oldest, oldest_at))
    return Figures(transaction.totals(), depth)
