"""The store in one SQLite file: one thread writes, others read; further processes may have it open too."""

from __future__ import annotations

import importlib.resources
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from twisted.internet.interfaces import IReactorFromThreads

from gateway.store.checkpoints import Checkpoints
from gateway.store.database import Cursor, Taken, storable, storable_rows
from gateway.store.interface import StoreError, StoreFullError
from gateway.store.threaded import ThreadedStore
from gateway.store.turn import Turn
from gateway.store.wal import unreadable_commits

SCHEMA = ("credentials.sql", "mechanisms.sql", "tokens.sql", "mail.sql", "seal.sql")
"""The steps from nothing to the present schema; PRAGMA user_version counts how many have been taken."""

MAIL_VERSION = 4  # the step before which a file is small, so that it can be copied as a whole
BUSY_SECONDS = 5.0  # other processes write at the same time, but never for long
READERS = 3  # the console, the queue's content, logins; each is short
WAL_OCTETS = 64 * 1024 * 1024  # what a large message leaves behind is cut to this
RESERVE = 4  # a quarter of the pages may be free, for the mail that comes next; more are given back
STEP_PAGES = 256  # 1 MiB at a time, so that nobody waits for it
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first is Linux's: it counts while suspended


class SqliteStore(ThreadedStore):
    """The store in one SQLite file."""

    def __init__(self, path: Path, reactor: IReactorFromThreads | None = None) -> None:
        super().__init__(reactor, 1, READERS, str(path))
        self.path = path
        self._clock = _boot_id()
        self._checkpoints: Checkpoints | None = None

    def open(self) -> None:
        """Make the file or bring its schema up to date; blocks."""
        super().open()
        if self._checkpoints is None:
            self._checkpoints = Checkpoints(lambda: self._connect(reading=False))

    def close(self) -> None:
        """End the threads after the jobs that were given; blocks."""
        super().close()
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints = None

    def _prepare(self) -> None:
        """Make the file if there is none, and take the schema steps that it lacks."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._upgrade()
            self.path.chmod(0o600)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from None
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(f"{error.filename or self.path}: {error.strerror}") from None

    def _upgrade(self) -> None:
        """Wait for others who are at it: SQLite does not wait by itself where it changes the kind of journal."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            with closing(self._connect(reading=False)) as database:
                try:
                    self.damage = self.damage or database.damage()  # before anything is written over it
                    database.upgrade()
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                        raise
            time.sleep(BUSY_SECONDS / 100)

    def _connect(self, *, reading: bool) -> SqliteDatabase:
        try:
            # closing is another thread's where a store is opened, used and closed
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from None
        return SqliteDatabase(connection, self.path, self._clock, self._committed, reading=reading)

    def _committed(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.note_commit()


class SqliteDatabase:
    """One connection to the file."""

    skip_locked = ""  # whoever writes is alone
    for_update = ""
    user_name_is = "user_name = ?"  # the column compares without case by itself

    def __init__(
        self, connection: sqlite3.Connection, path: Path, clock: str, committed: Callable[[], None], *, reading: bool
    ) -> None:
        self.clock = clock
        self._connection = connection
        self._path = path
        self._is_set_up = False
        self._reading = reading
        self._turn = Turn(path, BUSY_SECONDS)
        self._committed = committed
        self._index: BinaryIO | None = None  # of the log, while it is looked at

    def begin(self) -> None:
        """Begin a transaction; one that writes when it is its turn."""
        if not self._reading:
            self._turn.take()
        self.execute("BEGIN" if self._reading else "BEGIN IMMEDIATE")

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor:
        """Run a statement."""
        if not self._is_set_up:
            self._set_up()
        try:
            return self._connection.execute(sql, [storable(one) for one in parameters])
        except sqlite3.IntegrityError as error:
            raise Taken(str(error)) from None

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row of parameters."""
        if not self._is_set_up:
            self._set_up()
        try:
            self._connection.executemany(sql, storable_rows(rows))
        except sqlite3.IntegrityError as error:
            raise Taken(str(error)) from None

    def commit(self) -> None:
        """Commit. Of an error nothing is given back but by closing the connection, the turn too."""
        self._connection.execute("COMMIT")
        self._turn.give()
        self._committed()

    def checkpoint(self) -> int:
        """See Checkpoints."""
        if not self._is_set_up:
            self._set_up()
        _, frames, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(frames)

    def checkpoint_alone(self) -> None:
        """See Checkpoints."""
        self._turn.take()
        try:
            self.checkpoint()
        finally:
            self._turn.give()

    def lease_clock_seconds(self) -> float:
        """Seconds since this machine started: setting the time does not move it, and all its processes share it."""
        return time.clock_gettime(BOOT_CLOCK)

    def lock_event_order(self, *, reading: bool) -> None:
        """Nothing to do: whoever writes is alone, so that events are committed in order."""

    def give_back_space(self) -> None:
        """Shorten the file by a step while much of it is free."""
        free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
        if free > self._connection.execute("PRAGMA page_count").fetchone()[0] // RESERVE:
            for _ in range(STEP_PAGES):  # one page each: the sqlite3 module stops a pragma without columns at its first
                self._connection.execute("PRAGMA incremental_vacuum(1)")

    def has_transaction(self) -> bool:
        """SQLite ends a transaction by itself when the disk is full or fails."""
        return self._connection.in_transaction

    def told(self, error: Exception) -> StoreError | None:
        """SQLite's words, with the name of the file."""
        if not isinstance(error, sqlite3.Error):
            return None
        kind = StoreFullError if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL else StoreError
        return kind(f"{self._path}: {error}")

    def is_doubtful(self, error: Exception) -> bool:
        """Never: the log's index does not have it, so that nobody sees it. After a crash see bury()."""
        return False

    def bury(self) -> None:
        """Write over it: where fsync failed it is in the log, whole, and a crash would have it recovered."""
        version = self._version()
        self.begin()
        self._connection.execute(f"PRAGMA user_version = {version}")  # the same; page 1 is written all the same
        self.commit()

    def is_worth_repeating(self, error: Exception) -> bool:
        """Never: SQLite has waited already, and has no connection that may break."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._turn.close()
        if self._index is not None:
            self._index.close()

    def upgrade(self) -> None:
        """Take the schema steps that the file lacks, each whole or not at all."""
        self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # good for a file that is still empty
        self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
        version = self._version()
        if version > len(SCHEMA):
            newer = f"made by a newer mailgateway (schema {version}, this one knows {len(SCHEMA)}): start that one"
            raise StoreError(f"{self._path}: {newer}, or use a backup from before its first start")
        if version < MAIL_VERSION and self._connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            self._connection.execute("VACUUM")  # the way for a file that has tables already
        for number, name in enumerate(SCHEMA[version:], version + 1):
            self._take_step(number, importlib.resources.files("gateway.store").joinpath(name).read_text("utf-8"))

    def damage(self) -> str:
        """What of the write-ahead log cannot be recovered, in words; the log is kept, which goes with its last user."""
        self._connection.execute("BEGIN IMMEDIATE")  # nobody writes meanwhile
        try:
            self._version()  # the log's index is there once something was read
            index = self._path.with_name(f"{self._path.name}-shm")
            if not index.exists():  # a file without log yet
                return ""
            self._index = index.open("rb")
            commits = unreadable_commits(self._path, self._index)
            if not commits:
                return ""
            log = self._path.with_name(f"{self._path.name}-wal")
            kept = log.with_name(f"{log.name}-damaged")
            shutil.copy(log, kept)
        finally:
            self._connection.execute("ROLLBACK")
        lost = f"at least {commits} commits at the end of the write-ahead log cannot be read"
        return f"{self._path}: {lost}: what was accepted last may be missing; the log as it was found is {kept}"

    def _take_step(self, number: int, script: str) -> None:
        try:
            self._connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if self._version() < number:  # else another process has taken this step meanwhile
                raise

    def _version(self) -> int:
        """How many steps the schema in the file has taken."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _set_up(self) -> None:
        """What holds for one connection. Not when it is made, so that an error is told as that of a statement."""
        self._connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it ends
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute(f"PRAGMA journal_size_limit = {WAL_OCTETS}")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")  # Checkpoints makes them
        if self._reading:
            self._connection.execute("PRAGMA query_only = ON")
        else:
            self._turn.open()
        self._is_set_up = True


def _boot_id() -> str:
    """Names the boot that the lease clock counts from; "" where the system does not tell."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
