"""What the whole gateway is like at the moment, all its processes together: for health, metrics and the pages."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gateway
import twisted
from gateway.assembly import Assembly
from gateway.console.health import Readiness
from gateway.console.metrics import Gauges, Metrics
from gateway.console.store_figures import StoreFigures
from gateway.console.tallies import Tallies
from gateway.console_parts import ConsoleNeeds, console_listener
from gateway.lane_state import LaneState
from gateway.lasting import Lasting
from gateway.parts import watched_contexts
from gateway.reports import Reports
from gateway.sandbox.inbox import Inbox
from gateway.settings import Settings
from gateway.workers.workforce import Workforce

PAGE_OCTETS = os.sysconf("SC_PAGE_SIZE")
BUILD = (gateway.__version__, platform.python_version(), twisted.__version__)


class GatewayCondition:
    """Counts from now on, and answers what others ask. own_reasons are the service's for not being ready."""

    def __init__(
        self,
        lasting: Lasting,
        reports: Reports,
        workforce: Workforce | None,
        own_reasons: Callable[[], Sequence[str]],
    ) -> None:
        self._lasting = lasting
        self._workforce = workforce
        self._own_reasons = own_reasons
        self._settings = Settings()
        self._tallies = Tallies()
        self._figures = StoreFigures(lasting.storage.store, lasting.surroundings.reactor)
        self._metrics = Metrics(self._tallies, self._figures, self._gauges)
        reports.observe(self._tallies)

    def use(self, assembly: Assembly) -> None:
        """These settings are in use from now on, and their certificates."""
        self._settings = assembly.settings
        self._tallies.certificate_ends = dict(_certificate_ends(assembly))

    def console_needs(self, inbox: Inbox | None) -> ConsoleNeeds:
        """What the console has of the gateway; inbox is the sandbox's."""
        lasting = self._lasting
        return ConsoleNeeds(
            storage=lasting.storage,
            inbox=inbox,
            reactor=lasting.surroundings.reactor,
            wall_seconds=lasting.surroundings.wall_seconds,
            ready=self.readiness,
            metrics=self._metrics.page,
            wake=lasting.storage.look if self._workforce is None else self._workforce.look,
            failed_logins=lasting.counts.failed_logins,
            report=lasting.surroundings.report,
            lanes=self.lane_states,
        )

    def lane_states(self) -> list[LaneState]:
        """What the queue knows of its lanes, in whatever process."""
        return self._workforce.lane_states() if self._workforce is not None else self._lasting.storage.lane_states()

    async def readiness(self) -> Readiness:
        """Whether the gateway should get work.

        Vendors that are away and mail that waits are warnings: another gateway would do no better, and what is to be
        queued is welcome.
        """
        settings = self._settings
        reasons = list(self._own_reasons())
        if not reasons:
            await self._figures.refresh()
            reasons += [] if self._figures.is_reachable else ["the store does not answer"]
        free_octets, wanted_octets = _free_octets(settings.state_dir), settings.console.free_octets
        if free_octets < wanted_octets:
            reasons.append(f"the state folder's disk has {free_octets:,} octets free, less than {wanted_octets:,}")
        return Readiness(tuple(reasons), tuple(self._warnings()))

    def _warnings(self) -> Iterator[str]:
        states = self.lane_states()
        for vendor in self._settings.vendors:
            own = [one.state for one in states if one.vendor == vendor]
            if own and all(state in ("open", "probing") for state in own):
                yield f"vendors.{vendor}: the breaker is open"
        found = self._figures.found
        if found is not None and found.depth:
            age_seconds = self._lasting.surroundings.wall_seconds() - min(at for _, at in found.depth.values())
            if age_seconds > self._settings.console.queue_age_seconds:
                yield f"the oldest message that waits is {age_seconds:.0f} s old"

    def _gauges(self) -> Gauges:
        workforce, lasting = self._workforce, self._lasting
        states = workforce.states() if workforce is not None else []
        pids = {"main": os.getpid()} | {f"worker-{one.number}": one.pid for one in states}
        not_logged = workforce.messages_not_logged if workforce is not None else lasting.storage.messages_not_logged
        return Gauges(
            build=BUILD,
            sessions_opened=lasting.counts.sessions.opened,
            sessions_open=lasting.counts.sessions.open,
            workers=self._settings.workers,
            workers_serving=self._settings.workers - (workforce.missing if workforce is not None else 0),
            memory_octets={name: octets for name, pid in pids.items() if (octets := _memory_octets(pid))},
            messages_not_logged=not_logged,
            disk_free_octets=_free_octets(self._settings.state_dir),
            lanes=self.lane_states(),
            vendors=list(self._settings.vendors),
            wall_seconds=lasting.surroundings.wall_seconds(),
        )


def _certificate_ends(assembly: Assembly) -> Iterator[tuple[str, float]]:
    """The files of the certificates that listeners and the console show, and when these expire, since 1970."""
    settings = assembly.settings
    watched = [front.certificates for front in assembly.fronts.values()]
    watched.append(watched_contexts(settings, console_listener(settings), "console"))
    for those in (one.read() for one in watched if one is not None):
        for one in (those.own, *those.by_name.values()):
            yield str(one.path), one.chain[0].not_valid_after_utc.timestamp()


def _memory_octets(pid: int) -> int:
    """What a process has in memory; 0 when it has just ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * PAGE_OCTETS
    except OSError:
        return 0


def _free_octets(folder: Path) -> int:
    """What an unprivileged process may still write there."""
    return shutil.disk_usage(folder).free
