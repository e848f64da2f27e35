"""Events, bounce records and webhook deliveries, as rows of a store."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from gateway.store.interface import LONGEST_WAIT_SECONDS
from gateway.store.part import marks
from gateway.store.queue_rows import TOKEN_OCTETS, QueueRows
from gateway.store.records import Bounce, Selection, StoredEvent, WebhookPost
from gateway.store.rows import BOUNCE_COLUMNS, EVENT_COLUMNS, POST_COLUMNS, bounce_of, event_of, post_of, to_json
from gateway.store.searching import Condition, joined, part_of


class FeedRows(QueueRows):
    """What interface.Transaction says of events and notices."""

    def add_events(self, events: Sequence[StoredEvent]) -> None:
        """Append to the event feed."""
        if events:
            self._database.lock_event_order(reading=False)
        sql = "INSERT INTO events (at, name, message_id, detail) VALUES (?, ?, ?, ?)"
        rows = [(one.at, one.name, one.message_id, to_json(one.detail)) for one in events]
        self._database.execute_many(sql, rows)

    def events(self, after_number: int, limit: int, message_id: str = "") -> list[StoredEvent]:
        """Events in order, those after this number, of one message when named."""
        found = self._events(after_number, limit, message_id)
        if message_id or all(one.number == number for number, one in enumerate(found, after_number + 1)):
            return found
        self._database.lock_event_order(reading=True)  # where a number is missing, an event may still be committed
        return self._events(after_number, limit, message_id)

    def _events(self, after_number: int, limit: int, message_id: str) -> list[StoredEvent]:
        of_it = "message_id = ? AND " if message_id else ""
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE {of_it}number > ? ORDER BY number LIMIT ?"
        parameters = (message_id, after_number, limit) if message_id else (after_number, limit)
        return [event_of(row) for row in self._all(sql, *parameters)]

    def last_event_number(self) -> int:
        """The number of the newest event, 0 when there is none."""
        return self._number("SELECT MAX(number) FROM events")

    def add_bounce(self, bounce: Bounce) -> int:
        """Keep a bounce record; gives its number."""
        one = bounce
        columns = BOUNCE_COLUMNS.replace("number", "path_key", 1)
        known = (one.path.lower(), one.message_id, one.account_name, one.path, one.at, one.error_code, one.description)
        row = (*known, one.details, one.stream, one.tag, to_json(one.metadata))
        return self._number(f"INSERT INTO bounces ({columns}) VALUES ({marks(row)}) RETURNING number", *row)

    def bounces(
        self, selection: Selection, limit: int, offset: int = 0, tag: str = "", stream: str = ""
    ) -> tuple[int, list[Bounce]]:
        """How many bounce records fit, and those of this page, newest first."""
        where, parameters = _bounce_conditions(selection, tag, stream)
        count = self._number(f"SELECT COUNT(*) FROM bounces WHERE {where}", *parameters)
        sql = f"SELECT {BOUNCE_COLUMNS} FROM bounces WHERE {where} ORDER BY number DESC LIMIT ? OFFSET ?"
        return count, [bounce_of(row) for row in self._all(sql, *parameters, limit, offset)]

    def bounce(self, number: int) -> Bounce | None:
        """One bounce record."""
        row = self._one(f"SELECT {BOUNCE_COLUMNS} FROM bounces WHERE number = ?", number)
        return bounce_of(row) if row else None

    def add_webhook_posts(self, posts: Sequence[WebhookPost]) -> None:
        """Keep deliveries to make."""
        rows = [
            (one.post_id, one.webhook, one.created_at, one.next_attempt_at, one.body, one.attempts) for one in posts
        ]
        self._database.execute_many(f"INSERT INTO webhook_posts ({POST_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", rows)

    def claim_webhook_posts(self, now: float, limit: int, lease_seconds: float) -> list[WebhookPost]:
        """Take up to so many due deliveries."""
        free, timed_by = self._free()
        rows = self._all(
            f"SELECT {POST_COLUMNS} FROM webhook_posts q WHERE (q.next_attempt_at <= ?"
            f" OR q.next_attempt_at > ? AND q.created_at > ?) AND {free}"
            f" ORDER BY q.next_attempt_at LIMIT ?{self._database.skip_locked}",
            *(now, now + LONGEST_WAIT_SECONDS, now, *timed_by, limit),
        )
        until = self._database.lease_clock_seconds() + lease_seconds
        posts = [post_of(row, secrets.token_hex(TOKEN_OCTETS)) for row in rows]
        self._database.execute_many(
            "UPDATE webhook_posts SET claim_token = ?, claim_clock = ?, claimed_until = ? WHERE post_id = ?",
            [(one.token, self._database.clock, until, one.post_id) for one in posts],
        )
        return posts

    def finish_webhook_post(self, post: WebhookPost, next_attempt_at: float | None) -> None:
        """Taken or given up (None), or to be tried again at that time, with its attempts as the post counts them.

        Nothing happens when the claim was lost.
        """
        if next_attempt_at is None:
            self._changed("DELETE FROM webhook_posts WHERE post_id = ? AND claim_token = ?", post.post_id, post.token)
            return
        sql = (
            "UPDATE webhook_posts SET next_attempt_at = ?, attempts = ?, claim_token = NULL,"
            " claim_clock = NULL, claimed_until = NULL WHERE post_id = ? AND claim_token = ?"
        )
        self._changed(sql, next_attempt_at, post.attempts, post.post_id, post.token)


def _bounce_conditions(selection: Selection, tag: str, stream: str) -> Condition:
    found: list[Condition] = []
    if selection.message_ids:
        found.append((f"message_id IN ({marks(selection.message_ids)})", selection.message_ids))
    if selection.account_name:
        found.append(("lower(account_name) = ?", (selection.account_name.lower(),)))
    if selection.recipient:
        found.append(("path_key LIKE ? ESCAPE '!'", (part_of(selection.recipient),)))
    if selection.received_from is not None:
        found.append(("at >= ?", (selection.received_from,)))
    if selection.received_until is not None:
        found.append(("at < ?", (selection.received_until,)))
    found += [(f"{name} = ?", (value,)) for name, value in (("tag", tag), ("stream", stream)) if value]
    return joined(found)
