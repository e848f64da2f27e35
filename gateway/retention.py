"""Deletes from the store what has been kept long enough: a little at a time, so that no session waits for it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gateway.events import Alarm, Reporter
from gateway.store.interface import Store, StoreError, Transaction
from gateway.store_settings import Store as StoreSettings

ROUND_SECONDS = 600.0  # what is kept for days may stay ten minutes longer
TURN = 64  # pieces of content (16 MiB) or messages in one transaction: some ten milliseconds
PAUSE_SECONDS = 0.1  # between transactions, so that mail has the disk nearly to itself
DAY_SECONDS = 86_400.0


class Retention:
    """Prunes in rounds from start() to stop(). A store that cannot be used is an alarm; the next round tries again."""

    def __init__(
        self,
        store: Store,
        settings: StoreSettings,
        clock: IReactorTime,
        wall_seconds: Callable[[], float],
        report: Reporter,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._wall_seconds = wall_seconds
        self._report = report
        self._running: Deferred[None] | None = None
        self._resting: Deferred[None] | None = None  # between two rounds

    def start(self) -> None:
        """Begin the first round."""
        self._running = Deferred.fromCoroutine(self._rounds())
        self._running.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def change(self, settings: StoreSettings) -> None:
        """These times hold from now on, in a round under way too."""
        if settings == self._settings:
            return
        self._settings = settings
        self._wake()

    def stop(self) -> None:
        """Begin nothing any more."""
        if self._running is not None:
            self._running.cancel()

    async def _rounds(self) -> None:
        while True:
            try:
                await self._round()
            except StoreError as error:
                self._report(Alarm(f"nothing is deleted from the store at the moment: {error}"))
            await self._rest()

    async def _round(self) -> None:
        while await self._store.write(self._turn()):
            await deferLater(self._clock, PAUSE_SECONDS)

    def _turn(self) -> Callable[[Transaction], int]:
        now = self._wall_seconds()
        content_before = now - self._settings.content_days * DAY_SECONDS
        log_before = now - self._settings.log_days * DAY_SECONDS
        return lambda transaction: transaction.prune(content_before, log_before, TURN)

    async def _rest(self) -> None:
        """Until the next round, or a change of the settings."""
        resting: Deferred[None] = Deferred()
        self._resting = resting
        timer = self._clock.callLater(ROUND_SECONDS, self._wake)
        try:
            await resting
        finally:
            self._resting = None
            if timer.active():
                timer.cancel()

    def _wake(self) -> None:
        resting, self._resting = self._resting, None
        if resting is not None:
            resting.callback(None)
