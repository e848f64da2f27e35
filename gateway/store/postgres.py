"""The store in a PostgreSQL database, which several gateways may share."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from twisted.internet.interfaces import IReactorFromThreads

from gateway.store.database import Cursor, Row, Taken, storable, storable_rows
from gateway.store.interface import StoreError
from gateway.store.threaded import ThreadedStore

SCHEMA = ("postgres.sql", "postgres_seal.sql")
"""The steps from nothing to the present schema; the table mailgateway_schema counts how many have been taken."""

WRITERS = 4  # each waits for the server's disk and the way there; jobs that wait meanwhile share the next commit
READERS = 3  # the console, the queue's content, logins; each is short
CONNECTION = {
    "connect_timeout": "5",  # clients wait for the reply: better 451 than silence
    "tcp_user_timeout": "20000",  # milliseconds until a server that has vanished is taken for gone
    "keepalives_idle": "20",
    "application_name": "mailgateway",
    "target_session_attrs": "read-write",  # of several hosts, the one that is no standby
}
"""What holds unless the URL says otherwise."""

SESSION = (
    "SET client_encoding = 'UTF8'",
    "SET lock_timeout = '20s'",  # whoever else holds a row holds it for one commit
    "SET idle_in_transaction_session_timeout = '30s'",  # a gateway that stands still keeps no row from the others
    # a commit is on the server's disk when it ends; what is stricter stays
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)
EVENT_ORDER, UPGRADE = 0x6D61696C01, 0x6D61696C02  # keys of advisory locks: "mail" and a number
REPEATED = ("40001", "40P01")  # serialization failure, deadlock: the same may succeed in a moment


class PostgresStore(ThreadedStore):
    """The store in one PostgreSQL database. url is libpq's; a password beside it counts more than one in it."""

    def __init__(self, url: str, password: str | None = None, reactor: IReactorFromThreads | None = None) -> None:
        try:
            given = conninfo_to_dict(url)
            self._conninfo = make_conninfo("", **{**CONNECTION, **given})
        except psycopg.Error as error:
            raise StoreError(f"the URL of the store cannot be used: {_line(error, password)}") from None
        self._password = password or str(given.get("password", "")) or None
        super().__init__(reactor, WRITERS, READERS, _masked(_name(given), self._password))

    def _prepare(self) -> None:
        """Take the schema steps that the database lacks, all or none."""
        with closing(self._connect(reading=False)) as database:
            try:
                database.upgrade()
            except psycopg.Error as error:
                raise database.told(error) or error from None

    def _connect(self, *, reading: bool) -> PostgresDatabase:
        try:
            connection = psycopg.connect(self._conninfo, password=self._password, autocommit=True)
            for statement in SESSION:
                connection.execute(statement)
        except psycopg.Error as error:
            raise StoreError(f"{self.name}: {_line(error, self._password)}") from None
        return PostgresDatabase(connection, self.name, self._password, reading=reading)


class PostgresDatabase:
    """One connection to the server."""

    skip_locked = " FOR NO KEY UPDATE SKIP LOCKED"
    for_update = " FOR NO KEY UPDATE"
    user_name_is = "lower(user_name) = lower(?)"
    clock = "server"

    def __init__(self, connection: psycopg.Connection[Any], name: str, password: str | None, *, reading: bool) -> None:
        self._reading = reading
        self._connection = connection
        self._name = name
        self._password = password

    def begin(self) -> None:
        """Begin a transaction."""
        self._connection.execute(f"BEGIN ISOLATION LEVEL READ COMMITTED{' READ ONLY' if self._reading else ''}")

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor:
        """Run a statement."""
        try:
            return self._connection.execute(_with_marks(sql), [storable(one) for one in parameters] or None)
        except psycopg.IntegrityError as error:
            raise Taken(_line(error, self._password)) from None

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row of parameters; all are under way together."""
        prepared = storable_rows(rows)
        try:
            if len(prepared) == 1:  # a pipeline of one is slower than none
                self._connection.execute(_with_marks(sql), prepared[0])
                return
            with self._connection.cursor() as cursor:
                cursor.executemany(_with_marks(sql), prepared)
        except psycopg.IntegrityError as error:
            raise Taken(_line(error, self._password)) from None

    def commit(self) -> None:
        """Commit. Of a transaction in which a statement failed, the server makes a rollback, and no error."""
        told = self._connection.execute("COMMIT").statusmessage
        if told != "COMMIT":
            raise psycopg.OperationalError(f"the server answered COMMIT with {told}")

    def lease_clock_seconds(self) -> float:
        """The server's clock, which all gateways share whatever their own say."""
        row = self._connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        return float(row[0]) if row else 0.0

    def lock_event_order(self, *, reading: bool) -> None:
        """Numbers are given before the commit: a reader waits for those who have taken some and are not done."""
        lock = "pg_advisory_xact_lock" if reading else "pg_advisory_xact_lock_shared"
        self._connection.execute(f"SELECT {lock}({EVENT_ORDER})")

    def give_back_space(self) -> None:
        """Nothing to do: autovacuum does it."""

    def has_transaction(self) -> bool:
        """Whether a savepoint can still be gone back to."""
        status = self._connection.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def told(self, error: Exception) -> StoreError | None:
        """PostgreSQL's words, with the name of the database and without the password."""
        if not isinstance(error, psycopg.Error):
            return None
        return StoreError(f"{self._name}: {_line(error, self._password)}")

    def is_doubtful(self, error: Exception) -> bool:
        """Without a connection nobody has told what became of it; an answer of the server is a certain no."""
        return self._connection.closed

    def bury(self) -> None:
        """Nothing to do: what the server has not committed is gone."""

    def is_worth_repeating(self, error: Exception) -> bool:
        """A connection that broke before the commit, and a deadlock."""
        if not isinstance(error, psycopg.Error):
            return False
        return self._connection.closed or error.sqlstate in REPEATED

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def upgrade(self) -> None:
        """Take the schema steps that the database lacks; gateways that start together do it one after the other."""
        if self._number("SELECT count(*) FROM pg_settings WHERE name = 'fsync' AND setting = 'off'"):
            raise StoreError(
                f"{self._name}: the server has fsync = off, so that a commit is not on its disk: turn it on"
            )
        if self._version() == len(SCHEMA):
            return
        with self._connection.transaction():
            self._connection.execute("SET LOCAL lock_timeout = 0")  # another gateway may have large tables to change
            self._connection.execute(f"SELECT pg_advisory_xact_lock({UPGRADE})")
            version = self._version()
            if version > len(SCHEMA):
                newer = f"made by a newer mailgateway (schema {version}, this one knows {len(SCHEMA)}): start that one"
                raise StoreError(f"{self._name}: {newer}, or use a backup from before its first start")
            for name in SCHEMA[version:]:
                script = importlib.resources.files("gateway.store").joinpath(name).read_text("utf-8")
                self._connection.execute(script.encode())
            self._connection.execute("UPDATE mailgateway_schema SET version = %s", [len(SCHEMA)])

    def _version(self) -> int:
        """How many steps the schema has taken."""
        is_there = self._number(
            "SELECT count(*) FROM pg_tables WHERE tablename = 'mailgateway_schema'"
            " AND schemaname = ANY (current_schemas(false))"
        )
        return self._number("SELECT version FROM mailgateway_schema") if is_there else 0

    def _number(self, sql: str) -> int:
        row: Row | None = self._connection.execute(sql.encode()).fetchone()
        return int(row[0]) if row else 0


def _with_marks(sql: str) -> bytes:
    """The statement with psycopg's marks. Bytes, because it takes only literals as text."""
    return sql.replace("?", "%s").encode()


def _line(error: Exception, password: str | None) -> str:
    """The words of an error in one line. No password belongs there, and none gets through."""
    return _masked(" ".join(str(error).split()), password)


def _masked(text: str, password: str | None) -> str:
    return text.replace(password, "***") if password else text


def _name(given: dict[str, Any]) -> str:
    """What errors call the database: as much of the URL as tells it from others, and no secret."""
    user = f"{given['user']}@" if given.get("user") else ""
    port = f":{given['port']}" if given.get("port") else ""
    return f"postgresql://{user}{given.get('host', '')}{port}/{given.get('dbname', '')}"
