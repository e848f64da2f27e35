"""Jobs in threads: those that wait at the same time share a transaction and its commit, and fail alone.

Each job of a group has a savepoint, so that one that fails leaves no trace in it. When the whole transaction is lost on
the way, each job gets one of its own. When the answer to the commit is lost, those that can be done only once are done
again, which shows whether they had been; to the others it is told as an error.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from gateway.store.database import Database, Taken
from gateway.store.interface import StoreError, StoreUnsureError
from gateway.store.total_rows import write_totals
from gateway.store.transaction import SqlTransaction

GROUP_JOBS = 256  # more share no commit: none waits for ever, and what is rolled back at once is bounded
SETTLE_SECONDS = 8.0  # for who waits for a 250: with the time of a connection it is below the 20 s of hurried clients
SETTLE_PAUSE_SECONDS = 0.2
BURY_SECONDS = 0.5  # without a commit after one that failed, before one is made
SHARDS = 64  # rows of each total; more writers than any installation has at once


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A function of a transaction, and where its result goes. is_once: see interface.Store.write()."""

    function: Callable[[SqlTransaction], Any]
    is_once: bool = False
    future: Future[Any] = field(default_factory=Future)


class _Lost(Exception):
    """The transaction is gone before its commit, with all that its jobs did; its cause is why."""


class _Doubtful(Exception):
    """The answer to the commit is lost; its cause is why. outcomes: what is to be told if it has taken place."""

    def __init__(self, outcomes: list[Callable[[Future[Any]], None]]) -> None:
        self.outcomes = outcomes


class Jobs:
    """Threads that do jobs, each with a connection of its own. connect raises StoreError when there is none."""

    def __init__(self, connect: Callable[[], Database], threads: int, name: str, group_jobs: int = GROUP_JOBS) -> None:
        self._connect = connect
        self._group_jobs = group_jobs
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._closed = threading.Lock()  # held by whoever adds or closes, so that no job comes behind the end
        self._is_open = True
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, function: Callable[[SqlTransaction], Any], *, is_once: bool = False) -> Future[Any]:
        """Have a job done; the future ends after its commit."""
        job = Job(function, is_once)
        with self._closed:
            if self._is_open:
                self._waiting.put(job)
            else:
                job.future.set_exception(StoreError("the store is closed"))
        return job.future

    def close(self) -> None:
        """Do what was added, and end the threads."""
        with self._closed:
            self._is_open = False
            for _ in self._threads:
                self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, number: int) -> None:
        thread = _Thread(self._connect, number % SHARDS)
        while (group := self._group(thread.wait_seconds)) is not None:
            thread.do(group) if group else thread.bury()
        thread.disconnect()

    def _group(self, wait_seconds: float | None) -> list[Job] | None:
        """The next jobs: one that is waited for, and those that wait by then. Empty after wait_seconds; None at the
        end."""
        try:
            first = self._waiting.get(timeout=wait_seconds)
        except Empty:
            return []
        if first is None:
            return None
        group = [first]
        while len(group) < self._group_jobs:
            try:
                job = self._waiting.get_nowait()
            except Empty:
                break
            if job is None:
                self._waiting.put(None)  # the end is told once to each thread, after all jobs
                break
            group.append(job)
        return group


class _Thread:
    """What one thread has: a connection, made when needed and dropped after errors."""

    def __init__(self, connect: Callable[[], Database], shard: int) -> None:
        self._connect = connect
        self._shard = shard
        self._database: Database | None = None
        self.wait_seconds: float | None = None
        """How long to wait for jobs before bury() is to be called; None: for ever."""

    def do(self, jobs: list[Job], *, is_repeated: bool = False) -> None:
        """Do jobs and tell each what came of it."""
        database = None
        try:
            database = self._connected()
            outcomes = self._together(database, jobs)
        except _Doubtful as doubt:
            self.disconnect()
            self._settle(jobs, doubt)
        except Exception as error:  # whatever it is: who waits is told, and the thread goes on
            self.disconnect()
            cause = _cause(error)
            if isinstance(error, _Lost) and database and not is_repeated and database.is_worth_repeating(cause):
                self.do(jobs, is_repeated=True)
            elif isinstance(error, _Lost) and len(jobs) > 1:
                for job in jobs:
                    self.do([job])
            else:
                told = (database.told(cause) if database else None) or cause
                for job in jobs:
                    job.future.set_exception(told)
        else:
            for job, outcome in zip(jobs, outcomes, strict=True):
                outcome(job.future)

    def _settle(self, jobs: list[Job], doubt: _Doubtful) -> None:
        """Find out what became of those that can be done only once; all have the same time for it."""
        until = time.monotonic() + SETTLE_SECONDS
        for job, outcome in zip(jobs, doubt.outcomes, strict=True):
            if job.is_once:
                self._settle_one(job, outcome, until)
            else:
                job.future.set_exception(_cause(doubt))

    def _settle_one(self, job: Job, outcome: Callable[[Future[Any]], None], until: float) -> None:
        """Do it again. Who brings the same at the same moment is waited for by the database."""
        while True:
            try:
                (again,) = self._together(self._connected(), [job])
            except Exception as error:
                cause, database = _cause(error), self._database
                self.disconnect()
                if isinstance(cause, Taken):
                    outcome(job.future)
                elif database is not None and not (isinstance(cause, StoreError) or database.told(cause)):
                    job.future.set_exception(cause)  # the job's own: it has never been done
                elif time.monotonic() > until:
                    job.future.set_exception(StoreUnsureError(f"the answer to a commit was lost: {cause}"))
                else:
                    time.sleep(SETTLE_PAUSE_SECONDS)
                    continue
            else:
                again(job.future)
            return

    def bury(self) -> None:
        """A commit that failed must not come back after a crash; to be called while there are no jobs."""
        try:
            self._connected().bury()
        except Exception:  # the disk fails still
            self.disconnect()
        else:
            self.wait_seconds = None

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _connected(self) -> Database:
        if self._database is None:
            self._database = self._connect()
        return self._database

    def _together(self, database: Database, jobs: list[Job]) -> list[Callable[[Future[Any]], None]]:
        """Do jobs in one transaction. Gives what is to be done to the future of each, now that all is committed."""
        counted: Counter[str] = Counter()
        outcomes = []
        try:
            database.begin()
        except Exception as error:
            if database.is_worth_repeating(error):
                raise _Lost from error
            raise
        try:
            for number, job in enumerate(jobs):
                outcomes.append(self._one(database, job, counted, f"job_{number}" if len(jobs) > 1 else ""))
            write_totals(database, self._shard, counted)
        except _Lost:
            raise
        except Exception as error:
            raise _Lost from error
        self._commit(database, outcomes)
        return outcomes

    def _commit(self, database: Database, outcomes: list[Callable[[Future[Any]], None]]) -> None:
        try:
            database.commit()
        except Exception as error:
            if not database.is_doubtful(error):
                self.wait_seconds = BURY_SECONDS
                raise
            lost = _Doubtful(outcomes)
            raise lost from (database.told(error) or error)
        self.wait_seconds = None

    def _one(
        self, database: Database, job: Job, counted: Counter[str], savepoint: str
    ) -> Callable[[Future[Any]], None]:
        """Do one job below its savepoint; without one, an error of it is the end of the transaction."""
        own = counted.copy()
        if savepoint:
            database.execute(f"SAVEPOINT {savepoint}")
        try:
            result = job.function(SqlTransaction(database, own))
        except Exception as error:
            if not savepoint or not database.has_transaction() or database.is_worth_repeating(error):
                raise _Lost from error
            database.execute(f"ROLLBACK TO SAVEPOINT {savepoint}")
            told = database.told(error) or error
            return lambda future: future.set_exception(told)
        if savepoint:
            database.execute(f"RELEASE SAVEPOINT {savepoint}")
        counted.clear()
        counted.update(own)
        return lambda future: future.set_result(result)


def _cause(error: Exception) -> Exception:
    """What is behind an error of ours."""
    cause = error.__cause__ if isinstance(error, _Lost | _Doubtful) else None
    return cause if isinstance(cause, Exception) else error
