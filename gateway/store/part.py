"""What every part of a transaction has: its database and the count of what it moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gateway.store.database import Database, Row


class Part:
    """A part of a transaction. counted: by name in totals, how many recipients came and left so far."""

    def __init__(self, database: Database, counted: Counter[str]) -> None:
        self._database = database
        self._counted = counted

    def _one(self, sql: str, *parameters: object) -> Row | None:
        row: Row | None = self._database.execute(sql, parameters).fetchone()
        return row

    def _all(self, sql: str, *parameters: object) -> list[Row]:
        return self._database.execute(sql, parameters).fetchall()

    def _number(self, sql: str, *parameters: object) -> int:
        """The single number that a statement gives, 0 for NULL."""
        row = self._one(sql, *parameters)
        return int(row[0] or 0) if row else 0

    def _changed(self, sql: str, *parameters: object) -> int:
        """How many rows a statement changed."""
        return self._database.execute(sql, parameters).rowcount


def marks(values: Iterable[object]) -> str:
    """A ? for each value, for an IN list or a row."""
    return ", ".join("?" for _ in values)
