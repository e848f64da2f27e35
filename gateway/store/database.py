"""What a database has to offer so that the store's SQL, written once, runs on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from gateway.store.interface import StoreError

Row = tuple[Any, ...]
FIT = frozenset({int, float, bytes, type(None)})
"""The types of parameters that are stored as they are; bool is none of them."""


class Taken(ValueError):
    """A row with that key is there already, or one that it points to is not."""


class Cursor(Protocol):
    """What a statement gave. sqlite3's and psycopg's cursors both are of this shape."""

    @property
    def rowcount(self) -> int:
        """How many rows a statement changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""


class Database(Protocol):
    """One connection, and what differs between the databases. Statements have ? for each parameter."""

    skip_locked: str
    """Ends a SELECT of queue rows that are claimed next, so that two who claim at once get different rows."""
    for_update: str
    """Ends a SELECT of one row that is changed next."""
    user_name_is: str
    """Compares a credential's user name with a parameter, without case."""
    clock: str
    """Names the clock that times leases: a claim that was timed by another one is over."""

    def begin(self) -> None:
        """Begin a transaction: one that writes takes its lock at once where the database has one writer."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor:
        """Run a statement. Taken when a constraint forbids it; else the errors of this database."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row of parameters."""

    def commit(self) -> None:
        """Commit to stable storage. After an error nobody knows whether it is there."""

    def lease_clock_seconds(self) -> float:
        """The time of the clock that leases are timed by, from an origin of its own."""

    def lock_event_order(self, *, reading: bool) -> None:
        """See to it that nobody reads an event before one with a smaller number that is still to be committed."""

    def give_back_space(self) -> None:
        """Return a little of what deleted rows have left to the system, where the database does not do so itself."""

    def has_transaction(self) -> bool:
        """Whether the transaction that was begun is still there."""

    def told(self, error: Exception) -> StoreError | None:
        """An error of this database in our words; None for any other."""

    def is_doubtful(self, error: Exception) -> bool:
        """Whether a commit that ended with this error may be there all the same, or may yet come."""

    def bury(self) -> None:
        """See to it that a commit that failed is not there after a crash either; in a transaction of its own."""

    def is_worth_repeating(self, error: Exception) -> bool:
        """Whether the same job may succeed in a new transaction at once: a connection that had been cut, a deadlock."""

    def close(self) -> None:
        """Close the connection; whatever was not committed is undone."""


def storable_rows(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """Rows of parameters as every database takes them; ASCII without NUL is fit as it is, and asks for no call each.

    Python knows of each text whether it is ASCII; whether it is printable it would have to look up for each character.
    """
    return [
        [
            one if (type(one) is str and one.isascii() and "\0" not in one) or type(one) in FIT else storable(one)
            for one in row
        ]
        for row in rows
    ]


def storable(value: object) -> object:
    """A parameter as every database takes it: PostgreSQL has no NUL in text, and neither has lone surrogates."""
    if isinstance(value, str):
        text = str(value)  # of an enum its value
        return text if text.isprintable() else text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return int(value) if isinstance(value, bool) else value
