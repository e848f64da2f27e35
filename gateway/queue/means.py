"""What the trips of stored messages are made with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.attempts import Attempts
from gateway.departures import Departures
from gateway.events import Reporter
from gateway.incoming import Clocks, Reader
from gateway.queue.notices import Notices
from gateway.queue.schedule import Schedule
from gateway.standing_alarms import StandingAlarms
from gateway.store.interface import Store
from gateway.storing import Records


@dataclass(frozen=True, slots=True)
class Means:
    """What trips are made with. randomness gives numbers between 0 and 1; wait_seconds tells how long a lane is closed.

    pause ends after so many seconds. is_recalled tells of a message that must not be attempted (gateway.recall).
    """

    store: Store
    departures: Departures
    reader: Reader
    attempts: Attempts
    records: Records
    schedule: Schedule
    notices: Notices
    clocks: Clocks
    alarms: StandingAlarms
    randomness: Callable[[], float]
    report: Reporter
    spool_folder: Path | None
    spool_memory_octets: int
    lease_seconds: float
    wait_seconds: Callable[[str], float]
    pause: Callable[[float], Awaitable[object]]
    is_recalled: Callable[[str], bool]
