"""Takeover: what a process of this gateway had claimed when it was killed is free at once, and not after its lease.

Each process has a file in the state folder that it keeps locked (flock(2)); the system takes the lock back however the
process ends. So whoever gets the lock of another one's file knows that it is dead, by whatever name it was known, and
that no request of it is under way any more. An attempt that was counts as unknown, as after a lease.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from gateway.events import Alarm, Reporter
from gateway.store.interface import Store, StoreError, Transaction

FOLDER = "processes"
ROUND_SECONDS = 10.0  # what a main process that was killed leaves of workers ends a moment after it


class Takeover:
    """The processes of one state folder. freed is called when claims have become free."""

    def __init__(self, state_dir: Path, store: Store, report: Reporter, reactor: Any) -> None:
        self.freed: Callable[[], None] = lambda: None
        self._folder = state_dir / FOLDER
        self._store = store
        self._report = report
        self._reactor = reactor
        self._own: int | None = None
        self._rounds: Deferred[None] | None = None

    def register(self, gateway: str) -> None:
        """This process lives, and claims under this name. What dead ones had becomes free; blocks.

        StoreError when the store cannot be used.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._own = _locked_file(self._folder, gateway)
        except OSError as error:
            self._report(Alarm(f"{self._folder}: {error.strerror}: what is claimed here ends with its lease only"))
        with self._dead() as dead:
            if dead:
                self._store.run(_release(dead))
                self._forget(dead)

    def start(self) -> None:
        """Look for the dead now and then."""
        self._rounds = Deferred.fromCoroutine(self._look_for_ever())
        self._rounds.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def stop(self) -> None:
        """Look no more."""
        if self._rounds is not None:
            self._rounds.cancel()

    async def look(self) -> None:
        """A process has ended, or may have: free what it had."""
        with self._dead() as dead:
            if not dead:
                return
            try:
                await self._store.write(_release(dead))
            except StoreError as error:
                self._report(Alarm(f"claims of a process that has ended are not free yet: {error}"))
                return
            self._forget(dead)
        self.freed()

    async def _look_for_ever(self) -> None:
        while True:
            await deferLater(self._reactor, ROUND_SECONDS)
            await self.look()

    @contextlib.contextmanager
    def _dead(self) -> Iterator[dict[Path, str]]:
        """The files and names of processes that live no more; locked meanwhile, so that one at a time sees to them."""
        with contextlib.ExitStack() as held:
            dead = {}
            for path in self._folder.glob("[!.]*"):
                with contextlib.suppress(OSError):  # it lives, or another has just seen to it
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    held.callback(os.close, descriptor)
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    dead[path] = path.read_text("utf-8")
            yield dead

    def _forget(self, dead: dict[Path, str]) -> None:
        for path in dead:
            path.unlink(missing_ok=True)


def _locked_file(folder: Path, gateway: str) -> int:
    """The file of this process. It is locked before it has the name by which others find it."""
    name = gateway.rpartition("/")[2]
    new = folder / f".{name}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, gateway.encode())
        new.rename(folder / name)
    except OSError:
        os.close(descriptor)
        new.unlink(missing_ok=True)
        raise
    return descriptor


def _release(dead: dict[Path, str]) -> Callable[[Transaction], None]:
    names = list(dead.values())

    def release(transaction: Transaction) -> None:
        for name in names:
            transaction.release(name)

    return release
