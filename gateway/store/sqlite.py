"""The SQLite store: opens the file, brings the schema up to date, and keeps the credentials.

Calls block on the disk, so whoever runs a reactor makes them in a thread; a connection is opened for each.
"""

from __future__ import annotations

import importlib.resources
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.scram import ScramVerifier

SCHEMA = ("credentials.sql", "mechanisms.sql", "streams.sql")
"""The steps from nothing to the present schema; PRAGMA user_version counts how many have been taken."""

SELECT = (
    "SELECT user_name, secret_hash, vendor, active, created_at, stream, last_used_at,"
    " scram_salt, scram_iterations, scram_stored_key, scram_server_key, sealed_secret FROM credentials"
)
INSERT = (
    "INSERT INTO credentials (user_name, secret_hash, vendor, active, created_at, stream, last_used_at,"
    " scram_salt, scram_iterations, scram_stored_key, scram_server_key, sealed_secret)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
RENEW = (
    "UPDATE credentials SET secret_hash = ?, scram_salt = ?, scram_iterations = ?, scram_stored_key = ?,"
    " scram_server_key = ?, sealed_secret = ? WHERE user_name = ? AND active = 1"
)

BUSY_SECONDS = 5.0  # the command line and the gateway write at the same time, but never for long


class StoreError(OSError):
    """The store cannot be used; the text names the file and says why."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential as it is stored; secret_hash is Argon2id's encoded form, sealed_secret the secret encrypted.

    stream is the only message stream that it sends to, empty for any; last_used_at is ISO 8601, empty for never.
    """

    user_name: str
    secret_hash: str
    vendor: str
    active: bool
    created_at: str
    scram: ScramVerifier | None = field(default=None, repr=False)
    sealed_secret: bytes | None = field(default=None, repr=False)
    stream: str = ""
    last_used_at: str = ""


class SqliteStore:
    """The store in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> None:
        """Make the file if there is none, and take the schema steps that it lacks."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path.parent}: {error.strerror}") from None
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            self._upgrade(connection)
        self.path.chmod(0o600)

    def add_credential(self, credential: Credential) -> None:
        """Keep a new credential; ValueError when the user name is taken."""
        one = credential
        row = (one.user_name, one.secret_hash, one.vendor, int(one.active), one.created_at, one.stream)
        try:
            with self._connection() as connection:
                connection.execute(INSERT, (*row, one.last_used_at, *_proofs(one)))
        except sqlite3.IntegrityError:
            raise ValueError(f"there is a credential with the user name {credential.user_name} already") from None

    def credential(self, user_name: str) -> Credential | None:
        """The credential of that user name, active or not."""
        with self._connection() as connection:
            rows = connection.execute(f"{SELECT} WHERE user_name = ?", (user_name,))
            return next((_credential(row) for row in rows), None)

    def credentials(self) -> list[Credential]:
        """All credentials, by user name."""
        with self._connection() as connection:
            return [_credential(row) for row in connection.execute(f"{SELECT} ORDER BY user_name")]

    def deactivate_credential(self, user_name: str) -> bool:
        """Let nobody log in with it any more; False when there is none of that name."""
        with self._connection() as connection:
            found = connection.execute("UPDATE credentials SET active = 0 WHERE user_name = ?", (user_name,))
            return found.rowcount > 0

    def replace_secret(self, credential: Credential) -> bool:
        """Take over the secret's forms of this credential; False when there is none of that name that is active."""
        row = (credential.secret_hash, *_proofs(credential), credential.user_name)
        with self._connection() as connection:
            return connection.execute(RENEW, row).rowcount > 0

    def note_use(self, user_name: str, used_at: str) -> None:
        """Keep when a credential was last used; one that is not there is no matter."""
        with self._connection() as connection:
            connection.execute("UPDATE credentials SET last_used_at = ? WHERE user_name = ?", (used_at, user_name))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection with one transaction: committed at the end, rolled back when anything is raised."""
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection, connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from None

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if version > len(SCHEMA):
            raise StoreError(
                f"{self.path}: made by a newer mailgateway (schema {version}, this one knows {len(SCHEMA)})"
            )
        for number, name in enumerate(SCHEMA[version:], version + 1):
            script = importlib.resources.files("gateway.store").joinpath(name).read_text("utf-8")
            try:
                connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
            except sqlite3.OperationalError:
                connection.rollback()
                if _version(connection) < number:  # else another process has taken this step meanwhile
                    raise


def _version(connection: sqlite3.Connection) -> int:
    """How many steps the schema in the file has taken."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _proofs(credential: Credential) -> tuple[Any, ...]:
    """The columns of the SCRAM verifier and of the sealed secret."""
    one = credential.scram
    scram = (one.salt, one.iterations, one.stored_key, one.server_key) if one else (None,) * 4
    return (*scram, credential.sealed_secret)


def _credential(row: tuple[Any, ...]) -> Credential:
    user_name, secret_hash, vendor, active, created_at, stream, last_used_at, *scram, sealed_secret = row
    verifier = ScramVerifier(*scram) if scram[0] is not None else None
    told = (user_name, secret_hash, vendor, bool(active), created_at)
    return Credential(*told, verifier, sealed_secret, stream, last_used_at)
