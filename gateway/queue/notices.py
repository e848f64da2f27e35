"""Notices as the queue sees them: what is told of mail after it was accepted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from gateway.message import SendOptions
from gateway.routing import Route
from gateway.store.interface import Transaction
from gateway.store.records import Recipient, StoredEvent, StoredMessage
from gateway.vendor import load


class Notices(Protocol):
    """Makes notices, in the transaction of what they tell: both are written, or nothing.

    kinds are those of the route (notice_kinds), now is the wall clock.
    """

    def of(
        self,
        transaction: Transaction,
        message: StoredMessage,
        ended: Sequence[Recipient],
        kinds: Collection[str],
        now: float,
        options: SendOptions,
    ) -> str:
        """Tell of recipients in the states in which they ended just now: the id of the DSN in the queue, or ""."""

    def warn(
        self,
        transaction: Transaction,
        message: StoredMessage,
        waiting: Sequence[Recipient],
        kinds: Collection[str],
        now: float,
    ) -> str:
        """Tell that these recipients wait for long: the id of the DSN in the queue, or ""."""

    def add_events(self, transaction: Transaction, message: StoredMessage, events: Sequence[StoredEvent]) -> bool:
        """Append events of this message to the feed. True when there are webhook posts to deliver now."""

    def add_events_of_all(
        self, transaction: Transaction, told: Sequence[tuple[StoredMessage, Sequence[StoredEvent]]]
    ) -> bool:
        """The same for several messages at once."""


def notice_kinds(route: Route, dialect: str) -> tuple[str, ...]:
    """What the route wants told; without a word of it, what the dialect does."""
    if route.notices is not None:
        return route.notices
    try:
        return load(dialect).dialect.default_notices
    except LookupError:
        return ()
