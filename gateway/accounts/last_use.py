"""When each credential was last used, written down beside the logins, which never wait for it.

Once a minute for a credential is enough to see which ones nobody uses any more, and a client that logs in for every
message costs the store no more than one write a minute.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

from twisted.internet.defer import Deferred

from gateway.events import Alarm, Reporter
from gateway.store.interface import Store

INTERVAL_SECONDS = 60.0


class LastUse:
    """Notes logins with stored credentials. seconds is monotonic, wall_seconds the time of day since 1970.

    There are as many entries as credentials in use, which the operator has made.
    """

    def __init__(
        self,
        store: Store,
        seconds: Callable[[], float],
        wall_seconds: Callable[[], float],
        report: Reporter,
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._wall_seconds = wall_seconds
        self._report = report
        self._noted: dict[str, float] = {}

    def note(self, user_name: str) -> None:
        """Somebody has logged in with this credential; gives control back at once."""
        now = self._seconds()
        before = self._noted.get(user_name)
        if before is None or now - before >= INTERVAL_SECONDS:
            self._noted[user_name] = now
            Deferred.fromCoroutine(self._write(user_name))

    async def _write(self, user_name: str) -> None:
        used_at = datetime.datetime.fromtimestamp(self._wall_seconds(), datetime.UTC).isoformat(timespec="seconds")
        try:
            await self._store.write(lambda transaction: transaction.note_login(user_name, used_at))
        except OSError as error:
            self._report(Alarm(f"the last use of a credential cannot be kept: {error}"))
