"""Recalls: messages whose client was told 451 because nobody could say in time whether they had been stored.

The client will bring them again, so they must not leave as well. As soon as the store can be asked they become rejected
there, by their id, before this gateway attempts any of them; whoever shares the store may have been faster.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.events import Alarm, Failed, Reporter
from gateway.message_log import Entry
from gateway.store.interface import Store, StoreError, Transaction

FIRST_WAIT_SECONDS = 0.25  # a store that is back is found before others, who look for mail every few seconds
LONGEST_WAIT_SECONDS = 2.0


class Recalls:
    """Those that are still to be rejected in the store. pause ends after so many seconds."""

    def __init__(
        self,
        store: Store,
        wall_seconds: Callable[[], float],
        pause: Callable[[float], Awaitable[object]],
        report: Reporter,
    ) -> None:
        self._store = store
        self._wall_seconds = wall_seconds
        self._pause = pause
        self._report = report
        self._waiting: dict[str, Entry] = {}
        self._is_running = False

    def __contains__(self, message_id: object) -> bool:
        """Whether this message must not be attempted."""
        return message_id in self._waiting

    def add(self, entry: Entry) -> None:
        """Have it rejected; entry is what the log is to say of it, if the store never got it."""
        self._waiting[entry.message.message_id] = entry
        if not self._is_running:
            self._is_running = True
            Deferred.fromCoroutine(self._run()).addErrback(self._broken)

    async def close(self) -> None:
        """Try once more; what cannot be rejected now is told."""
        try:
            await self._reject_all()
        except StoreError as error:
            left = ", ".join(self._waiting)
            self._report(Alarm(f"their clients were told 451, and may find them sent all the same: {left}: {error}"))

    async def _run(self) -> None:
        wait_seconds = FIRST_WAIT_SECONDS
        while self._waiting:
            try:
                await self._reject_all()
            except StoreError:
                await self._pause(wait_seconds)
                wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
        self._is_running = False

    async def _reject_all(self) -> None:
        for message_id, entry in list(self._waiting.items()):
            is_rejected = await self._store.write(self._job(entry))
            if self._waiting.pop(message_id, None) is not None and not is_rejected:
                self._report(Alarm(f"{message_id}: its client was told 451, and it was attempted all the same"))

    def _job(self, entry: Entry) -> Callable[[Transaction], bool]:
        def reject(transaction: Transaction) -> bool:
            is_rejected = transaction.reject(entry.message, entry.attempts, self._wall_seconds())
            if is_rejected:
                entry.notices.add_events(transaction, entry.message, entry.events)
            return is_rejected

        return reject

    def _broken(self, failure: Failure) -> None:
        self._is_running = False
        self._report(Failed("recall", failure.getTraceback()))
