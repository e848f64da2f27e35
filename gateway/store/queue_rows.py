"""The queue: what is due, who may attempt it, and what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from gateway.store.interface import LONGEST_LEASE_SECONDS, LONGEST_WAIT_SECONDS
from gateway.store.message_rows import MessageRows
from gateway.store.records import Claim, DueLane, Selection

TOKEN_OCTETS = 8
UNCLAIMED = "claimed_by = NULL, claim_token = NULL, claim_clock = NULL, claimed_until = NULL"

DUE = "<= ?"
FAR = "> ? AND q.scheduled_at > ?"
"""The two ways for the time of an attempt to have come; the second: far off, and decided later than now, which tells of
a clock that went back, where a vendor's Retry-After of days would not."""

PAIRS = """
WITH RECURSIVE one_lane (lane) AS (
    SELECT MIN(lane) FROM queue WHERE next_attempt_at IS NOT NULL
    UNION ALL
    SELECT (SELECT MIN(q.lane) FROM queue q WHERE q.lane > one_lane.lane AND q.next_attempt_at IS NOT NULL)
    FROM one_lane WHERE lane IS NOT NULL
), pair (lane, account_name) AS (
    SELECT lane, (SELECT MIN(q.account_name) FROM queue q
                  WHERE q.lane = one_lane.lane AND q.next_attempt_at IS NOT NULL)
    FROM one_lane WHERE lane IS NOT NULL
    UNION ALL
    SELECT lane, (SELECT MIN(q.account_name) FROM queue q
                  WHERE q.lane = pair.lane AND q.account_name > pair.account_name AND q.next_attempt_at IS NOT NULL)
    FROM pair WHERE account_name IS NOT NULL
)
"""
"""Each pair once, by jumps in the index over all rows of the one before: a loud account costs as a quiet one does."""


class QueueRows(MessageRows):
    """What interface.Transaction says of the queue."""

    def due_lanes(self, now: float, limit: int) -> list[DueLane]:
        """Lanes and accounts with unclaimed mail whose time has come; see interface."""
        free, timed_by = self._free()
        first = (
            "SELECT q.next_attempt_at FROM queue q WHERE q.lane = pair.lane AND q.account_name = pair.account_name"
            f" AND q.next_attempt_at {{}} AND {free} ORDER BY q.next_attempt_at LIMIT 1"
        )
        rows = self._all(
            f"{PAIRS} SELECT lane, account_name, ({first.format(DUE)}), ({first.format(FAR)})"
            " FROM pair WHERE account_name IS NOT NULL",
            *(now, *timed_by, now + LONGEST_WAIT_SECONDS, now, *timed_by),
        )
        due = [
            DueLane(lane, account, now if at is None else at)
            for lane, account, at, far in rows
            if at is not None or far is not None
        ]
        return sorted(due, key=lambda one: one.oldest_due_at)[:limit]

    def next_due_at(self) -> float | None:
        """When the next unclaimed message is due; None when none waits."""
        free, timed_by = self._free()
        sql = f"SELECT q.next_attempt_at FROM queue q WHERE q.next_attempt_at IS NOT NULL AND {free}"
        row = self._one(f"{sql} ORDER BY q.next_attempt_at LIMIT 1", *timed_by)
        return float(row[0]) if row else None

    def claim(
        self, gateway: str, lane: str, account_name: str, now: float, limit: int, lease_seconds: float
    ) -> list[Claim]:
        """Take up to so many due messages, oldest first; see interface."""
        if lease_seconds > LONGEST_LEASE_SECONDS:
            raise ValueError(f"expected a lease of at most {LONGEST_LEASE_SECONDS:.0f} seconds, got {lease_seconds}")
        found = self._due(lane, account_name, DUE, (now,), limit)
        if len(found) < limit:
            found |= self._due(lane, account_name, FAR, (now + LONGEST_WAIT_SECONDS, now), limit - len(found))
        until = self._database.lease_clock_seconds() + lease_seconds
        tokens = {message_id: secrets.token_hex(TOKEN_OCTETS) for message_id in found}
        self._database.execute_many(
            "UPDATE queue SET claimed_by = ?, claim_token = ?, claim_clock = ?, claimed_until = ?, lease_seconds = ?"
            " WHERE message_id = ?",
            [(gateway, token, self._database.clock, until, lease_seconds, one) for one, token in tokens.items()],
        )
        messages = (
            {one.message_id: one for one in self.select(Selection(message_ids=tuple(found)), limit)} if found else {}
        )
        return [Claim(messages[one], tokens[one], bool(in_flight)) for one, in_flight in found.items()]

    def begin(self, claims: Sequence[Claim], lane: str = "") -> frozenset[str]:
        """An attempt is about to be made; see interface."""
        now = self._database.lease_clock_seconds()
        sql = (
            "UPDATE queue SET in_flight = 1, claimed_until = ? + lease_seconds"
            " WHERE message_id = ? AND claim_token = ? AND claim_clock = ?"
        )
        held = [(one.message.message_id, one.token) for one in claims]
        ours = frozenset(one for one, token in held if self._changed(sql, now, one, token, self._database.clock))
        if lane:
            for table in ("messages", "queue"):
                changed = f"UPDATE {table} SET lane = ? WHERE message_id = ? AND lane <> ?"
                self._database.execute_many(changed, [(lane, one, lane) for one in sorted(ours)])
        return ours

    def release(self, gateway: str, claims: Sequence[Claim] | None = None) -> None:
        """Give claims back unattempted; all of this gateway's when none are named."""
        if claims is None:
            self._changed(f"UPDATE queue SET {UNCLAIMED} WHERE claimed_by = ?", gateway)
            return
        sql = f"UPDATE queue SET {UNCLAIMED} WHERE message_id = ? AND claim_token = ? AND claimed_by = ?"
        self._database.execute_many(sql, [(one.message.message_id, one.token, gateway) for one in claims])

    def queue_depth(self) -> Mapping[str, tuple[int, float]]:
        """By lane: how many messages wait, and when the oldest of them was received."""
        rows = self._all("SELECT lane, COUNT(*), MIN(received_at) FROM queue GROUP BY lane ORDER BY lane")
        return {lane: (int(messages), float(oldest)) for lane, messages, oldest in rows}

    def _due(self, lane: str, account_name: str, due: str, times: tuple[float, ...], limit: int) -> dict[str, int]:
        """Ids, oldest first, and whether an attempt of them was begun and never ended."""
        free, timed_by = self._free()
        rows = self._all(
            "SELECT q.message_id, q.in_flight FROM queue q WHERE q.lane = ? AND q.account_name = ?"
            f" AND q.next_attempt_at {due} AND {free}"
            f" ORDER BY q.next_attempt_at LIMIT ?{self._database.skip_locked}",
            *(lane, account_name, *times, *timed_by, limit),
        )
        return dict(rows)

    def _free(self) -> tuple[str, tuple[object, ...]]:
        """The condition that nobody has a claim on a queue row q whose lease still runs."""
        now = self._database.lease_clock_seconds()
        free = "(q.claimed_until IS NULL OR q.claimed_until <= ? OR q.claimed_until > ? OR q.claim_clock <> ?)"
        return free, (now, now + LONGEST_LEASE_SECONDS, self._database.clock)
