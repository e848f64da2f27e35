"""Looks into the store and steers the queue, for the control API and the pages: jobs of the store, no web in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gateway.console.message_document import story_document, summary_document, totals_document
from gateway.console.query import Action
from gateway.console.relations import Relations, relations_of
from gateway.store.interface import Store, Transaction
from gateway.store.records import WAITING, Attempt, Bounce, Selection, State, StoredEvent, StoredMessage, Totals

T = TypeVar("T")
Recorded = tuple[StoredMessage, list[Attempt], list[StoredEvent], list[Bounce], Relations]
AddEvents = Callable[[Transaction, StoredMessage, Sequence[StoredEvent]], object]
"""Appends events of a message to the feed, with what webhooks are told of them."""

STATES = {
    "retry": State.QUEUED,
    "release": State.QUEUED,
    "move": State.QUEUED,
    "hold": State.HELD,
    "cancel": State.CANCELLED,
}
EVENTS = {
    "retry": "retried",
    "release": "released",
    "move": "moved",
    "hold": "held",
    "cancel": "cancelled",
}
STORY_EVENTS = 1000  # of one message; five days of attempts have a tenth of it


def append_events(transaction: Transaction, message: StoredMessage, events: Sequence[StoredEvent]) -> None:
    """Append to the feed, where no webhook listens."""
    transaction.add_events(events)


class Steering:
    """What an operator can see and do. wake is called when there may be something to attempt at once."""

    def __init__(
        self,
        store: Store,
        wall_seconds: Callable[[], float],
        wake: Callable[[], None],
        add_events: AddEvents = append_events,
    ) -> None:
        self._store = store
        self._wall_seconds = wall_seconds
        self._wake = wake
        self._add_events = add_events

    async def listing(self, selection: Selection, limit: int) -> dict[str, Any]:
        """A page of messages, newest first; next is the id to page on from, None at the end."""
        found = await self.messages(selection, limit + 1)
        more = len(found) > limit
        return {
            "messages": [summary_document(one) for one in found[:limit]],
            "next": found[limit - 1].message_id if more else None,
        }

    async def messages(self, selection: Selection, limit: int) -> list[StoredMessage]:
        """The newest messages that fit."""
        return await self._store.read(lambda transaction: transaction.select(selection, limit))

    async def story(self, message_id: str) -> dict[str, Any]:
        """All that is known of a message. LookupError when there is none."""

        def job(transaction: Transaction) -> dict[str, Any]:
            message = transaction.message(message_id)
            if message is None:
                raise LookupError(message_id)
            events = _story_events(transaction, message_id)
            relations = relations_of(transaction, message, events)
            return story_document(message, transaction.attempts(message_id), events, relations.document())

        return await self._store.read(job)

    async def records(self, message_id: str) -> Recorded:
        """The same as the store has it, with the bounce records. LookupError when there is no such message."""

        def job(transaction: Transaction) -> Recorded:
            message = transaction.message(message_id)
            if message is None:
                raise LookupError(message_id)
            events = _story_events(transaction, message_id)
            _, bounces = transaction.bounces(Selection(message_ids=(message_id,)), STORY_EVENTS)
            relations = relations_of(transaction, message, events)
            return message, transaction.attempts(message_id), events, bounces, relations

        return await self._store.read(job)

    async def content_piece(self, message_id: str, number: int) -> bytes | None:
        """One piece of the mail data, from 0; None behind the last."""
        return await self._store.read(lambda transaction: transaction.content_piece(message_id, number))

    async def act(self, action: Action) -> dict[str, Any]:
        """Do it to the newest waiting messages that fit. unchanged are those that no longer wait, or are attempted at
        this moment; next is where a further call goes on, None at the end."""
        now = self._wall_seconds()
        selection = action.selection if action.selection.states else replace(action.selection, states=WAITING)

        def job(transaction: Transaction) -> dict[str, Any]:
            found = transaction.select(selection, action.limit + 1)
            done: list[str] = []
            left: list[str] = []
            for one in found[: action.limit]:
                changed = transaction.steer(one.message_id, STATES[action.name], now, action.vendors)
                (done if changed else left).append(one.message_id)
                if changed:
                    self._add_events(transaction, one, [_event(one, action, now)])
            more = len(found) > action.limit
            return {"changed": done, "unchanged": left, "next": found[action.limit - 1].message_id if more else None}

        result = await self._store.write(job)
        self._wake()
        return result

    async def totals(self) -> dict[str, Any]:
        """The sum over everything, and what waits by lane."""

        def job(transaction: Transaction) -> dict[str, Any]:
            depth = transaction.queue_depth()
            lanes = [{"lane": name, "messages": count, "oldest_at": at} for name, (count, at) in sorted(depth.items())]
            return totals_document(transaction.totals()) | {"lanes": lanes}

        return await self._store.read(job)

    async def depth(self) -> tuple[Totals, Mapping[str, tuple[int, float]]]:
        """The sum, and by lane how many messages wait and when the oldest of them was received."""
        return await self._store.read(lambda transaction: (transaction.totals(), transaction.queue_depth()))

    async def events(self, after_number: int, limit: int, message_id: str = "") -> list[StoredEvent]:
        """Events in order, those after this number."""
        return await self._store.read(lambda transaction: transaction.events(after_number, limit, message_id))

    async def last_event_number(self) -> int:
        """Where the feed stands."""
        return await self._store.read(lambda transaction: transaction.last_event_number())

    def run(self, job: Callable[[Transaction], T]) -> Awaitable[T]:
        """Any other job that changes something."""
        return self._store.write(job)


def _story_events(transaction: Transaction, message_id: str) -> list[StoredEvent]:
    """The events of a message in order; of one that a program retries every minute, the first ones and the newest."""
    page = transaction.events(0, STORY_EVENTS, message_id)
    first, newest = page[: STORY_EVENTS // 2], deque(page[STORY_EVENTS // 2 :], STORY_EVENTS // 2)
    while len(page) == STORY_EVENTS:
        page = transaction.events(page[-1].number, STORY_EVENTS, message_id)
        newest.extend(page)
    return [*first, *newest]


def _event(message: StoredMessage, action: Action, now: float) -> StoredEvent:
    """What was done, and to which recipients."""
    detail: dict[str, Any] = {"recipients": [{"path": one.path} for one in message.recipients if one.state in WAITING]}
    if action.vendors:
        detail["vendors"] = list(action.vendors)
    return StoredEvent(now, EVENTS[action.name], message.message_id, detail)
