"""The sum over all that was ever accepted, and what is deleted from the log without leaving it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gateway.store.database import Database
from gateway.store.part import Part, marks
from gateway.store.records import State, Totals

PRUNED = "pruned_"
"""Before a name in totals: how many recipients of that state were deleted with their messages."""

COUNTED_ANEW = """
SELECT name, SUM(recipients) FROM totals GROUP BY name
UNION ALL SELECT 'pruned_accepted', SUM(accepted) FROM messages
UNION ALL SELECT 'pruned_' || state, COUNT(*) FROM recipients GROUP BY state
"""
"""One statement, so that all of it is of one moment. What there is counts like what was pruned."""

STANDING = frozenset({"accepted", *State})
"""The names in totals that tell of messages which are there, as they were counted with each change."""


class TotalRows(Part):
    """What interface.Transaction says of totals and of keeping house."""

    def totals(self) -> Totals:
        """The sum over all that was ever accepted, as it was kept with each change."""
        return _totals(self._kept())

    def recount(self) -> Totals:
        """The same, counted anew from the messages and what was pruned."""
        found: Counter[str] = Counter()
        for name, recipients in [*self._all(COUNTED_ANEW), *self._counted.items()]:
            if name not in STANDING:
                found[name.removeprefix(PRUNED)] += int(recipients or 0)
        return _totals(found)

    def prune(self, content_before: float, log_before: float, limit: int) -> int:
        """Delete up to so many pieces, messages, events and bounces; see interface."""
        deleted = self._prune_content(max(content_before, log_before), limit)
        deleted += self._prune_messages(log_before, limit - deleted)
        for table in ("events", "bounces"):
            oldest = f"SELECT number FROM {table} ORDER BY number LIMIT ?"
            sql = f"DELETE FROM {table} WHERE at < ? AND number IN (SELECT number FROM ({oldest}) AS oldest)"
            deleted += self._changed(sql, log_before, max(0, limit - deleted))
        if deleted:
            self._database.give_back_space()
        return deleted

    def _prune_content(self, before: float, limit: int) -> int:
        """Content is out of use at once, and then its pieces go, from the last: large mail takes several turns."""
        deleted = 0
        sql = (
            "SELECT message_id, pieces FROM messages WHERE pieces > 0 AND ended_at < ? ORDER BY ended_at LIMIT ?"
            f"{self._database.skip_locked}"
        )
        for message_id, pieces in self._all(sql, before, limit):
            if deleted >= limit:
                break
            left = max(0, int(pieces) - (limit - deleted))
            self._changed("DELETE FROM content WHERE message_id = ? AND number >= ?", message_id, left)
            self._changed("UPDATE messages SET has_content = 0, pieces = ? WHERE message_id = ?", left, message_id)
            deleted += int(pieces) - left
        return deleted

    def _prune_messages(self, before: float, limit: int) -> int:
        sql = "SELECT message_id, accepted FROM messages WHERE ended_at < ? AND pieces = 0 ORDER BY ended_at LIMIT ?"
        found = self._all(f"{sql}{self._database.skip_locked}", before, max(0, limit))
        ids = [message_id for message_id, _ in found]
        if ids:
            self._counted[f"{PRUNED}accepted"] += sum(int(accepted) for _, accepted in found)
            sql = f"SELECT state, COUNT(*) FROM recipients WHERE message_id IN ({marks(ids)}) GROUP BY state"
            for state, recipients in self._all(sql, *ids):
                if state != State.REJECTED:
                    self._counted[f"{PRUNED}{state}"] += int(recipients)
            self._changed(f"DELETE FROM messages WHERE message_id IN ({marks(ids)})", *ids)
        return len(ids)

    def _kept(self) -> Counter[str]:
        rows = self._all("SELECT name, SUM(recipients) FROM totals GROUP BY name")
        kept = Counter({name: int(recipients) for name, recipients in rows})
        kept.update(self._counted)  # of this transaction, which writes it at its end
        return kept


def write_totals(database: Database, shard: int, counted: Mapping[str, int]) -> None:
    """Add what a transaction moved. Its last statement, so that nobody waits for these rows longer than a commit."""
    database.execute_many(
        "INSERT INTO totals (shard, name, recipients) VALUES (?, ?, ?) ON CONFLICT (shard, name)"
        " DO UPDATE SET recipients = totals.recipients + excluded.recipients",
        [(shard, name, change) for name, change in sorted(counted.items()) if change],
    )


def _totals(found: Mapping[str, int]) -> Totals:
    names = ("accepted", "relayed", "refused", "expired", "cancelled", "queued", "held")
    return Totals(*(found.get(name, 0) for name in names))
