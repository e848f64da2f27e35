"""What a process keeps for its whole life, however often settings are read again: clocks, store, counts, answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.accounts.credentials import StoredCredentials
from gateway.accounts.last_use import LastUse
from gateway.accounts.proofs import StoredProofs
from gateway.accounts.remembered import RememberedAnswers
from gateway.accounts.throttle import FailedLoginCount
from gateway.delivery import OctetsInFlight
from gateway.events import Alarm, Reporter
from gateway.ids import new_id
from gateway.incoming import Clocks
from gateway.partial import TakenPaths
from gateway.parts import store_password, store_seal
from gateway.relay import InThread
from gateway.settings import Settings
from gateway.smtp.limits import Limits
from gateway.smtp.listener import SessionCount
from gateway.storage import Storage, StorageNeeds
from gateway.store.interface import StoreError
from gateway.store.opening import open_store
from gateway.takeover import Takeover


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process is given: the reactor, the time of day since 1970, a way to run a call in a thread, a reporter."""

    reactor: Any
    wall_seconds: Callable[[], float]
    in_thread: InThread
    report: Reporter

    def new_id(self) -> str:
        """An id for a session or a message."""
        return new_id(self.wall_seconds)


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted and remembered of all listeners together, under limits that may change."""

    failed_logins: FailedLoginCount
    sessions: SessionCount
    in_flight: OctetsInFlight
    keys: RememberedAnswers
    secrets: RememberedAnswers

    @classmethod
    def under(cls, limits: Limits, seconds: Callable[[], float], hash_key: bytes | None = None) -> Counts:
        """Nothing is counted yet. hash_key: that of the other processes, which count together with this one."""
        return cls(
            FailedLoginCount(
                limits.failed_logins_per_address,
                limits.failed_login_window_seconds,
                limits.failed_login_delay_seconds,
                seconds,
                hash_key,
            ),
            SessionCount(limits),
            OctetsInFlight(limits.octets_in_flight),
            RememberedAnswers(seconds, hash_key),
            RememberedAnswers(seconds, hash_key),
        )

    def change_limits(self, limits: Limits) -> None:
        """From now on these limits hold; who is in stays in."""
        self.failed_logins.change_limits(
            limits.failed_logins_per_address,
            limits.failed_login_window_seconds,
            limits.failed_login_delay_seconds,
        )
        self.sessions.change_limits(limits)
        self.in_flight.change_limit(limits.octets_in_flight)


@dataclass(frozen=True, slots=True)
class Lasting:
    """All of it. taken: who of a message's recipients was served, while others were not.

    storage works on nothing before an assembly uses it and it is started.
    """

    surroundings: Surroundings
    counts: Counts
    credentials: StoredCredentials
    proofs: StoredProofs
    last_use: LastUse
    storage: Storage
    taken: TakenPaths

    @classmethod
    def under(
        cls, settings: Settings, surroundings: Surroundings, hash_key: bytes | None = None, *, prunes: bool = True
    ) -> Lasting:
        """For a process that starts with these settings. StoreError when the store cannot be opened.

        prunes: whether it deletes what has been kept long enough, which one process of a gateway does for all.
        """
        reactor, in_thread = surroundings.reactor, surroundings.in_thread
        store = open_store(settings.store_url, store_password(settings), reactor)
        if store.damage:
            surroundings.report(Alarm(store.damage))
        seal = store_seal(settings)
        if misfit := seal.misfit(store):
            if settings.store.key is not None:
                raise StoreError(misfit)
            surroundings.report(Alarm(misfit))  # a key file that is lost must not keep all other mail waiting
        counts = Counts.under(settings.limits, reactor.seconds, hash_key)
        taken = TakenPaths(reactor.seconds)
        name = f"{settings.hostname}/{surroundings.new_id()}"
        takeover = Takeover(settings.state_dir, store, surroundings.report, reactor)
        takeover.register(name)
        needs = StorageNeeds(
            name,
            reactor,
            Clocks(reactor.seconds, surroundings.wall_seconds),
            surroundings.report,
            in_thread,
            make_spool_folder(settings),
            takeover,
            prunes,
        )
        return cls(
            surroundings,
            counts,
            StoredCredentials(store, counts.secrets, in_thread),
            StoredProofs(store, seal),
            LastUse(store, reactor.seconds, surroundings.wall_seconds, surroundings.report),
            Storage(store, seal, counts.keys.forget, taken, needs),
            taken,
        )


def make_spool_folder(settings: Settings) -> Path:
    """Where large mail waits; it is made when it is not there."""
    folder = settings.state_dir / "spool"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
