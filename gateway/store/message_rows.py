"""Messages, their recipients, attempts and content, as rows of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.store.interface import PIECE_OCTETS
from gateway.store.part import Part, marks
from gateway.store.records import WAITING, Attempt, Recipient, Selection, State, StoredMessage
from gateway.store.rows import (
    ATTEMPT_COLUMNS,
    MESSAGE_COLUMNS,
    RECIPIENT_COLUMNS,
    attempt_of,
    attempt_row,
    message_of,
    message_row,
    recipient_of,
    recipient_row,
)
from gateway.store.searching import conditions

JOINED = f"SELECT {MESSAGE_COLUMNS} FROM messages m LEFT JOIN queue q ON q.message_id = m.message_id"
ADD_MESSAGE = f"INSERT INTO messages VALUES ({marks(range(25))})"
ADD_RECIPIENT = (
    f"INSERT INTO recipients (message_id, position, path_key, {RECIPIENT_COLUMNS}) VALUES ({marks(range(10))})"
)
ADD_ATTEMPT = f"INSERT INTO attempts (message_id, number, {ATTEMPT_COLUMNS}) VALUES ({marks(range(11))})"
KEY_CHARACTERS = 500  # of a path are searched: any real one has fewer (RFC 5321 §4.5.3.1.3), and an index takes no more
IDS_AT_ONCE = 500  # parameters of one statement; SQLite before 3.32 takes 999


class MessageRows(Part):
    """What interface.Transaction says of messages, outside the queue."""

    def add_message(self, message: StoredMessage, content: Iterable[bytes] | None, attempts: Sequence[Attempt]) -> None:
        """Keep a message, its content and attempts that were made already; see interface."""
        _check(message, content)
        self._add_rows([(message, attempts)], has_content=content is not None)
        if content is not None:
            self._add_content(message.message_id, content)
        if _waits(message):
            self._enqueue(message)

    def add_ended(self, ended: Sequence[tuple[StoredMessage, Sequence[Attempt]]]) -> None:
        """Keep messages of which nothing waits, and the attempts that were made; see interface."""
        for message, _ in ended:
            _check(message, None)
        self._add_rows(ended, has_content=False)

    def _is_new(self, message: StoredMessage) -> bool:
        """Whether nobody has brought this message or is about to: whoever is at it is waited for, and comes no more."""
        row = (*message_row(message, 0), 0, False, 0, message.received_at)
        if not self._changed(f"{ADD_MESSAGE} ON CONFLICT DO NOTHING", *row):
            return False
        self._changed("DELETE FROM messages WHERE message_id = ?", message.message_id)
        return True

    def content(self, message_id: str) -> Iterator[bytes]:
        """The content's pieces, from the beginning; none when it is gone."""
        number = 0
        while (piece := self.content_piece(message_id, number)) is not None:
            yield piece
            number += 1

    def content_piece(self, message_id: str, number: int) -> bytes | None:
        """One piece, counted from 0; None behind the last."""
        row = self._one(
            "SELECT c.octets FROM content c JOIN messages m ON m.message_id = c.message_id"
            " WHERE c.message_id = ? AND c.number = ? AND m.has_content = 1",
            message_id,
            number,
        )
        return bytes(row[0]) if row else None

    def select(self, selection: Selection, limit: int) -> list[StoredMessage]:
        """The newest messages that fit, newest first."""
        where, parameters = conditions(selection)
        rows = self._all(f"{JOINED} WHERE {where} ORDER BY m.message_id DESC LIMIT ?", *parameters, limit)
        recipients = self._recipients([row[0] for row in rows])
        return [message_of(row, tuple(recipients.get(row[0], ()))) for row in rows]

    def message(self, message_id: str) -> StoredMessage | None:
        """One message."""
        found = self.select(Selection(message_ids=(message_id,)), 1)
        return found[0] if found else None

    def attempts(self, message_id: str) -> list[Attempt]:
        """Its attempts, oldest first."""
        sql = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE message_id = ? ORDER BY number"
        return [attempt_of(row) for row in self._all(sql, message_id)]

    def _add_rows(self, added: Sequence[tuple[StoredMessage, Sequence[Attempt]]], *, has_content: bool) -> None:
        """All but content and queue. Each table is filled by one statement for all rows: that each has one of its own
        is what costs most."""
        messages, recipients, logged = [], [], []
        for message, attempts in added:
            accepted = self._count_accepted(message)
            ended_at = None if has_content and _waits(message) else message.received_at  # who waits has content
            messages.append((*message_row(message, len(attempts)), accepted, has_content, 0, ended_at))
            for position, one in enumerate(message.recipients):
                key = one.path.lower()[:KEY_CHARACTERS]
                recipients.append((message.message_id, position, key, *recipient_row(one)))
            for number, attempt in enumerate(attempts, 1):
                logged.append((message.message_id, number, *attempt_row(attempt)))
        self._database.execute_many(ADD_MESSAGE, messages)
        self._database.execute_many(ADD_RECIPIENT, recipients)
        if logged:
            self._database.execute_many(ADD_ATTEMPT, logged)

    def _count_accepted(self, message: StoredMessage) -> int:
        """Count recipients by their states in the totals; gives how many were accepted."""
        accepted = 0
        for one in message.recipients:
            if one.state is not State.REJECTED:
                self._counted[one.state] += 1
                accepted += 1
        self._counted["accepted"] += accepted
        return accepted

    def _add_content(self, message_id: str, content: Iterable[bytes]) -> None:
        pieces = 0
        for piece in _pieces(content):
            self._changed(
                "INSERT INTO content (message_id, number, octets) VALUES (?, ?, ?)", message_id, pieces, piece
            )
            pieces += 1
        self._changed("UPDATE messages SET pieces = ? WHERE message_id = ?", pieces, message_id)

    def _enqueue(self, message: StoredMessage) -> None:
        one = message
        row = (one.message_id, one.lane, one.account_name, one.received_at, one.next_attempt_at, one.received_at)
        columns = "message_id, lane, account_name, received_at, next_attempt_at, scheduled_at"
        self._changed(f"INSERT INTO queue ({columns}) VALUES ({marks(row)})", *row)

    def _log_attempt(self, message_id: str, attempt: Attempt) -> None:
        number = self._number("SELECT MAX(number) FROM attempts WHERE message_id = ?", message_id) + 1
        self._changed(ADD_ATTEMPT, message_id, number, *attempt_row(attempt))

    def _recipients(self, message_ids: Sequence[str]) -> dict[str, list[Recipient]]:
        found: dict[str, list[Recipient]] = {}
        for start in range(0, len(message_ids), IDS_AT_ONCE):
            some = message_ids[start : start + IDS_AT_ONCE]
            sql = f"SELECT message_id, {RECIPIENT_COLUMNS} FROM recipients WHERE message_id IN ({marks(some)})"
            for message_id, *row in self._all(f"{sql} ORDER BY message_id, position", *some):
                found.setdefault(message_id, []).append(recipient_of(tuple(row)))
        return found


def _waits(message: StoredMessage) -> bool:
    return any(one.state in WAITING for one in message.recipients)


def _check(message: StoredMessage, content: object) -> None:
    """A message that waits without content or time would wait for ever: say so to whoever made it."""
    states = {one.state for one in message.recipients}
    if states.intersection(WAITING) and content is None:
        raise ValueError(f"{message.message_id}: a message that waits needs its content")
    if (State.QUEUED in states) is (message.next_attempt_at is None):
        raise ValueError(f"{message.message_id}: a time of the next attempt goes with a queued recipient, and only so")


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets in pieces of PIECE_OCTETS, the last one shorter; at least one, for empty content."""
    waiting, is_empty = bytearray(), True
    for octets in content:
        waiting += octets
        whole = len(waiting) - len(waiting) % PIECE_OCTETS
        for start in range(0, whole, PIECE_OCTETS):
            yield bytes(waiting[start : start + PIECE_OCTETS])
            is_empty = False
        del waiting[:whole]
    if waiting or is_empty:
        yield bytes(waiting)
