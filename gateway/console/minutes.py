"""What happened in each minute of the last hour, counted from the event feed of the store.

All processes write their events there, and a restart forgets nothing: the hour is read again, newest event last, some
thousand events at a time, so that nobody waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gateway.store.interface import Store, Transaction
from gateway.store.records import StoredEvent

MINUTES = 60
SECONDS = 60
BATCH = 2000  # events a job: some ten milliseconds of reading, and other readers come in between
BATCHES = 2  # jobs a refresh; what is left then is read by the next one
SAMPLES = 20  # attempts a minute and batch whose times are looked up: enough for a median, and quick
LATENCIES = 200  # kept for a minute and vendor; a sample of this size tells the 95th percentile well enough
ATTEMPT_SECONDS = 60  # an attempt that ended so long before the event that tells of it is an older one
ATTEMPTED = frozenset({"relayed", "refused", "rejected", "deferred", "unknown", "expired"})
"""Events that follow an attempt."""


@dataclass(slots=True)
class Minute:
    """One minute: recipients by the name of the event, and how long attempts took, in seconds, by vendor entry."""

    recipients: Counter[str] = field(default_factory=Counter)
    latencies: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a job has read. last is the number of the last event; more: there are further ones."""

    minutes: Mapping[int, Minute]
    last: int
    more: bool


class Minutes:
    """The last hour, as far as it has been read. Minutes are counted from 1970."""

    def __init__(self, store: Store, wall_seconds: Callable[[], float]) -> None:
        self.is_whole = False
        """Whether everything that the store had at the last refresh is in."""
        self._store = store
        self._wall_seconds = wall_seconds
        self._minutes: dict[int, Minute] = {}
        self._last: int | None = None
        self._is_reading = False

    def now(self) -> int:
        """The minute that it is."""
        return int(self._wall_seconds()) // SECONDS

    def hour(self) -> list[Minute]:
        """Sixty minutes, the present one last."""
        now = self.now()
        return [self._minutes.get(one) or Minute() for one in range(now - MINUTES + 1, now + 1)]

    async def refresh(self) -> None:
        """Read what is new. While that is being done already, nothing. StoreError."""
        if self._is_reading:
            return
        self._is_reading = True
        try:
            for _ in range(BATCHES):
                found = await self._store.read(self._job(self._last, self.now() - MINUTES + 1))
                self._take(found)
                self.is_whole = not found.more
                if self.is_whole:
                    break
        finally:
            self._is_reading = False

    def _take(self, found: _Found) -> None:
        self._last = found.last
        first = self.now() - MINUTES + 1
        for number, read in found.minutes.items():
            minute = self._minutes.setdefault(number, Minute())
            minute.recipients.update(read.recipients)
            for vendor, seconds in read.latencies.items():
                kept = minute.latencies.setdefault(vendor, [])
                kept += seconds[: LATENCIES - len(kept)]
        for number in [one for one in self._minutes if one < first]:
            del self._minutes[number]

    def _job(self, last: int | None, first_minute: int) -> Callable[[Transaction], _Found]:
        def job(transaction: Transaction) -> _Found:
            # A minute more: what was received is told with its time behind the attempts, when the client waits for them
            after = _number_before(transaction, (first_minute - 1) * SECONDS) if last is None else last
            events = transaction.events(after, BATCH)
            newest = events[-1].number if events else after
            return _Found(_counted(transaction, events, first_minute), newest, len(events) == BATCH)

        return job


def _number_before(transaction: Transaction, at: float) -> int:
    """The number of an event after which all have happened at about that time or later."""
    low, high = 0, transaction.last_event_number()
    while low < high:
        middle = (low + high) // 2
        found = transaction.events(middle, 1)
        if found and found[0].at < at:
            low = found[0].number
        else:
            high = middle
    return low


def _counted(transaction: Transaction, events: Iterable[StoredEvent], first_minute: int) -> dict[int, Minute]:
    minutes: dict[int, Minute] = {}
    looked_up: Counter[int] = Counter()
    for event in events:
        number = int(event.at) // SECONDS
        if number < first_minute:
            continue
        minute = minutes.setdefault(number, Minute())
        minute.recipients[event.name] += _recipients(event)
        if event.name in ATTEMPTED and looked_up[number] < SAMPLES:
            looked_up[number] += 1
            _add_latencies(transaction, event, minute)
    return minutes


def _recipients(event: StoredEvent) -> int:
    """To how many recipients it happened; an event that does not say is of one."""
    told = event.detail.get("recipients", event.detail.get("to"))
    return len(told) if isinstance(told, list) else 1


def _add_latencies(transaction: Transaction, event: StoredEvent, minute: Minute) -> None:
    for attempt in transaction.attempts(event.message_id):
        if -ATTEMPT_SECONDS <= attempt.began_at + attempt.seconds - event.at <= 1.0:
            minute.latencies.setdefault(attempt.vendor, []).append(attempt.seconds)
