"""What changes a message that waits: the end of an attempt, and somebody who steers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.store.queue_rows import UNCLAIMED, QueueRows
from gateway.store.records import Attempt, Claim, Recipient, State, Step, StoredMessage
from gateway.store.rows import to_json

IS_WAITING = "state IN ('queued', 'held')"


class StepRows(QueueRows):
    """What interface.Transaction says of ending claims and of steering."""

    def mark(self, claim: Claim, recipients: Sequence[Recipient]) -> bool:
        """Write what is known of recipients that wait, and keep the claim; see interface."""
        message_id = claim.message.message_id
        ours = self._lock(message_id) and self._is_ours(claim)
        if ours:
            self._change(message_id, recipients)
        return ours

    def finish(self, claim: Claim, step: Step) -> bool:
        """Write what came of a claim and give it back; see interface."""
        if not self._lock(step.message_id):
            return False
        ours = self._is_ours(claim)
        changed = step.recipients if ours else (one for one in step.recipients if one.state is State.RELAYED)
        self._change(step.message_id, changed)
        for attempt in (*step.attempts_before, *((step.attempt,) if step.attempt is not None else ())):
            self._log_attempt(step.message_id, attempt)
            self._changed("UPDATE messages SET attempts = attempts + 1 WHERE message_id = ?", step.message_id)
        if ours:
            self._give_back(step)
        self._settle(step.message_id, _at(step))
        return ours

    def steer(self, message_id: str, state: State, now: float, vendors: Sequence[str] = (), lane: str = "") -> bool:
        """Make waiting recipients QUEUED, HELD or CANCELLED; see interface."""
        if state not in (State.QUEUED, State.HELD, State.CANCELLED):
            raise ValueError(f"nobody can make a message {state}")
        if not self._lock(message_id) or not self._is_at_rest(message_id):
            return False
        was_in_flight = self._number("SELECT in_flight FROM queue WHERE message_id = ?", message_id)
        waiting = self._waiting(message_id)
        for position, one in waiting.items():
            unknown = one.is_unknown or (state is State.CANCELLED and bool(was_in_flight))
            sql = "UPDATE recipients SET state = ?, is_unknown = ? WHERE message_id = ? AND position = ?"
            self._changed(sql, state, unknown, message_id, position)
            self._move(one.state, state)
        self._reroute(message_id, vendors, lane)
        next_attempt_at = now if state is State.QUEUED else None
        sql = f"UPDATE queue SET next_attempt_at = ?, scheduled_at = ?, {UNCLAIMED} WHERE message_id = ?"
        self._changed(sql, next_attempt_at, now, message_id)
        self._settle(message_id, now)
        return True

    def reject(self, message: StoredMessage, attempts: Sequence[Attempt], now: float) -> bool:
        """The client was told 4xx: nobody attempts the message; see interface."""
        message_id = message.message_id
        if self._is_new(message):
            self.add_ended([(message, attempts)])
            return True
        untried = f"SELECT 1 FROM queue WHERE message_id = ? AND in_flight = 0{self._database.for_update}"
        if not self._lock(message_id) or not self._one(untried, message_id):
            return False
        if self._number("SELECT attempts FROM messages WHERE message_id = ?", message_id) > len(attempts):
            return False
        for position, one in self._waiting(message_id).items():
            sql = "UPDATE recipients SET state = ?, reason = ? WHERE message_id = ? AND position = ?"
            self._changed(sql, State.REJECTED, message.recipients[position].reason, message_id, position)
            self._changed("UPDATE messages SET accepted = accepted - 1 WHERE message_id = ?", message_id)
            self._counted[one.state] -= 1
            self._counted["accepted"] -= 1
        self._settle(message_id, now)
        return True

    def _lock(self, message_id: str) -> bool:
        """Whoever changes a message locks its row first, so that two who do come one after the other."""
        sql = f"SELECT 1 FROM messages WHERE message_id = ?{self._database.for_update}"
        return self._one(sql, message_id) is not None

    def _is_ours(self, claim: Claim) -> bool:
        """Whether nobody has taken the claim over."""
        sql = f"SELECT claim_token FROM queue WHERE message_id = ?{self._database.for_update}"
        row = self._one(sql, claim.message.message_id)
        return row is not None and row[0] == claim.token

    def _is_at_rest(self, message_id: str) -> bool:
        """Whether the message waits, and no attempt of it runs under a lease."""
        free, timed_by = self._free()
        sql = f"SELECT 1 FROM queue q WHERE q.message_id = ? AND (q.in_flight = 0 OR {free}){self._database.for_update}"
        return self._one(sql, message_id, *timed_by) is not None

    def _waiting(self, message_id: str) -> dict[int, Recipient]:
        """The recipients that wait, by position."""
        columns = "position, path, state, is_unknown"
        rows = self._all(f"SELECT {columns} FROM recipients WHERE message_id = ? AND {IS_WAITING}", message_id)
        return {position: Recipient(path, State(state), bool(unknown)) for position, path, state, unknown in rows}

    def _change(self, message_id: str, recipients: Iterable[Recipient]) -> None:
        """Write new states of recipients that wait; what has ended stays as it is."""
        changes = {one.path: one for one in recipients}
        sql = (
            "UPDATE recipients SET state = ?, is_unknown = ?, vendor = ?, vendor_message_id = ?, cause = ?, reason = ?"
            " WHERE message_id = ? AND position = ?"
        )
        rows = []
        for position, old in self._waiting(message_id).items():
            if new := changes.get(old.path):
                told = (new.vendor, new.vendor_message_id, new.cause, new.reason)
                rows.append((new.state, new.is_unknown, *told, message_id, position))
                self._move(old.state, new.state)
        self._database.execute_many(sql, rows)

    def _move(self, old: State, new: State) -> None:
        if new is State.REJECTED:
            raise ValueError("who was accepted cannot be rejected any more")
        self._counted[old] -= 1
        self._counted[new] += 1

    def _give_back(self, step: Step) -> None:
        """End the claim; the next attempt, lane and warning are as the step says."""
        sql = f"UPDATE queue SET next_attempt_at = ?, scheduled_at = ?, in_flight = 0, {UNCLAIMED} WHERE message_id = ?"
        self._changed(sql, step.next_attempt_at, _at(step), step.message_id)
        self._reroute(step.message_id, (), step.lane)
        if step.warned:
            self._changed("UPDATE messages SET warned = 1 WHERE message_id = ?", step.message_id)

    def _reroute(self, message_id: str, vendors: Sequence[str], lane: str) -> None:
        if vendors:
            sql = "UPDATE messages SET moved_to = ? WHERE message_id = ?"
            self._changed(sql, to_json(tuple(vendors)), message_id)
        if lane:
            self._changed("UPDATE messages SET lane = ? WHERE message_id = ?", lane, message_id)
            self._changed("UPDATE queue SET lane = ? WHERE message_id = ?", lane, message_id)

    def _settle(self, message_id: str, at: float) -> None:
        """Take a message out of the queue when nobody waits any more; ValueError when one would wait for ever."""
        states = {one.state for one in self._waiting(message_id).values()}
        if not states:
            self._changed("DELETE FROM queue WHERE message_id = ?", message_id)
            sql = "UPDATE messages SET ended_at = COALESCE(?, received_at) WHERE message_id = ? AND ended_at IS NULL"
            self._changed(sql, at or None, message_id)
        elif State.QUEUED not in states:
            self._changed("UPDATE queue SET next_attempt_at = NULL WHERE message_id = ?", message_id)
        elif self._one("SELECT 1 FROM queue WHERE message_id = ? AND next_attempt_at IS NULL", message_id):
            raise ValueError(f"{message_id}: a queued recipient needs a time of the next attempt")


def _at(step: Step) -> float:
    """When the step happened."""
    return step.at or (step.attempt.began_at + step.attempt.seconds if step.attempt is not None else 0.0)
