"""The message log of direct mode: a bounded buffer before the store, so that logging never holds the mail up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from twisted.internet.defer import Deferred

from gateway.events import Alarm, Reporter
from gateway.queue.notices import Notices
from gateway.quickly import quickly_made
from gateway.store.interface import Store, StoreError, Transaction
from gateway.store.records import Attempt, StoredEvent, StoredMessage

ENTRIES = 10_000  # about 20 MB, and ten seconds of the fastest mail there is
AT_ONCE = (
    500  # in one transaction: most of what a commit costs is shared; 20 ms, so that no session waits long for its own
)
FLUSH_SECONDS = 0.5  # how late the log may be; a crash loses that much of it, and no mail
ALARM_SECONDS = 60.0


@quickly_made
@dataclass(frozen=True, slots=True)
class Entry:
    """One message, whose content is not kept; notices tells webhooks of its events."""

    message: StoredMessage
    attempts: Sequence[Attempt]
    events: Sequence[StoredEvent]
    notices: Notices


class MessageLog:
    """Writes what became of messages that are not kept for an attempt. What finds no room, or no store, is counted."""

    def __init__(self, store: Store, reactor: Any, report: Reporter, posted: Callable[[], None]) -> None:
        """posted is called when there are webhook posts to deliver."""
        self.lost = 0
        """How many messages could not be logged, ever."""
        self._store = store
        self._reactor = reactor
        self._report = report
        self._posted = posted
        self._waiting: deque[Entry] = deque()
        self._timer: Any = None
        self._flushing: Deferred[None] | None = None
        self._told_at: float | None = None
        self._untold = 0

    def add(self, entry: Entry) -> None:
        """Write this, a little later."""
        if len(self._waiting) >= ENTRIES:
            self._count_lost(1, "the store does not keep up")
            return
        self._waiting.append(entry)
        if self._timer is None and self._flushing is None:
            self._timer = self._reactor.callLater(FLUSH_SECONDS, self._begin)

    async def flush(self) -> None:
        """Write all that waits; at a stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and await self._write_some():
            pass

    def _begin(self) -> None:
        self._timer = None
        self._flushing = Deferred.fromCoroutine(self.flush())
        self._flushing.addBoth(self._end)

    def _end(self, _: object) -> None:
        self._flushing = None
        if self._waiting:
            self._timer = self._reactor.callLater(FLUSH_SECONDS, self._begin)

    async def _write_some(self) -> bool:
        """Write the oldest; when the store cannot, they are lost to the log. Gives whether the store could."""
        some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        try:
            if await self._store.write(_job(some)):
                self._posted()
        except Exception as error:  # a record that cannot be written must not stop the log
            self._count_lost(len(some), str(error) if isinstance(error, StoreError) else repr(error))
            return False
        return True

    def _count_lost(self, messages: int, reason: str) -> None:
        """One alarm a minute, with the number since the one before."""
        self.lost += messages
        self._untold += messages
        now = self._reactor.seconds()
        if self._told_at is None or now - self._told_at >= ALARM_SECONDS:
            self._report(Alarm(f"{self._untold} messages of direct mode could not be logged: {reason}"))
            self._told_at, self._untold = now, 0


def _job(entries: Sequence[Entry]) -> Callable[[Transaction], bool]:
    """A job that writes them and gives whether webhooks are told of any."""

    def write(transaction: Transaction) -> bool:
        posts = False
        transaction.add_ended([(one.message, one.attempts) for one in entries])
        for _, those in groupby(entries, lambda one: id(one.notices)):  # a reload makes others
            same = list(those)
            told = [(one.message, one.events) for one in same]
            posts = same[0].notices.add_events_of_all(transaction, told) or posts
        return posts

    return write
