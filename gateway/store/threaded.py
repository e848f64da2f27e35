"""What the backends have in common: threads for writers and readers, and the ways to wait for a job."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from gateway.store.database import Database
from gateway.store.interface import StoreError, Transaction
from gateway.store.jobs import Jobs

T = TypeVar("T")
Work = Callable[[Transaction], T]


class ThreadedStore:
    """A store whose jobs run in threads. A backend says how to connect; write() and read() need a reactor.

    name is what errors and the command line call it, without any password.
    """

    def __init__(self, reactor: IReactorFromThreads | None, writers: int, readers: int, name: str) -> None:
        self.name = name
        self.damage = ""
        self._reactor = reactor
        self._threads = (writers, readers)
        self._writers: Jobs | None = None
        self._readers: Jobs | None = None

    def open(self) -> None:
        """Connect and bring the schema up to date; blocks."""
        self._prepare()
        writers, readers = self._threads
        if self._writers is None:
            self._writers = Jobs(lambda: self._connect(reading=False), writers, "store-writer")
            self._readers = Jobs(lambda: self._connect(reading=True), readers, "store-reader", group_jobs=1)

    def close(self) -> None:
        """End the threads after the jobs that were given; blocks."""
        for jobs in (self._writers, self._readers):
            if jobs is not None:
                jobs.close()

    def run(self, job: Work[T]) -> T:
        """Do a job and wait for its commit. Blocks."""
        result: T = _added(self._writers, job).result()
        return result

    def look(self, job: Work[T]) -> T:
        """Do a job that changes nothing, and wait for it. Blocks."""
        result: T = _added(self._readers, job).result()
        return result

    async def write(self, job: Work[T], *, is_once: bool = False) -> T:
        """Do a job; ends once it is committed to stable storage. is_once: see interface."""
        result: T = await self._deferred(_added(self._writers, job, is_once=is_once))
        return result

    async def read(self, job: Work[T]) -> T:
        """Do a job that changes nothing; it does not wait for writers."""
        result: T = await self._deferred(_added(self._readers, job))
        return result

    def _prepare(self) -> None:
        """Make what is not there yet, and take the schema steps that are missing."""
        raise NotImplementedError

    def _connect(self, *, reading: bool) -> Database:
        """A new connection. StoreError when there is none to be had."""
        raise NotImplementedError

    def _deferred(self, future: Future[Any]) -> Deferred[Any]:
        """The same end, in the reactor's thread."""
        deferred: Deferred[Any] = Deferred()
        reactor = self._reactor
        if reactor is None:
            raise RuntimeError("this store was made without a reactor")
        future.add_done_callback(lambda done: reactor.callFromThread(_fire, deferred, done))
        return deferred


def _added(jobs: Jobs | None, job: Work[Any], *, is_once: bool = False) -> Future[Any]:
    if jobs is None:
        raise StoreError("the store is not open")
    return jobs.add(job, is_once=is_once)


def _fire(deferred: Deferred[Any], future: Future[Any]) -> None:
    """Whoever waited may have given up meanwhile."""
    if not deferred.called:
        error = future.exception()
        deferred.callback(future.result()) if error is None else deferred.errback(Failure(error))
