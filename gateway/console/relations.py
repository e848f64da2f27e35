"""Which messages belong together: a message and the DSNs about it, in both directions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.console.message_document import overall_state
from gateway.notices.verdicts import DSN_KIND, NOTIFIED
from gateway.store.interface import Transaction
from gateway.store.records import Selection, State, StoredEvent, StoredMessage


@dataclass(frozen=True, slots=True)
class Related:
    """Another message. state is the one to show for all its recipients; None: it is not kept any more."""

    message_id: str
    state: State | None

    def document(self) -> dict[str, Any]:
        """As the control API gives it."""
        return {"id": self.message_id, "state": self.state.value if self.state is not None else None}


@dataclass(frozen=True, slots=True)
class Relations:
    """notice_of is the message that a DSN is about, None for mail; notices are the DSNs about a message, oldest
    first."""

    notice_of: Related | None = None
    notices: tuple[Related, ...] = ()

    def of(self, message_id: object) -> Related | None:
        """The related message of this id."""
        return next((one for one in self.notices if one.message_id == message_id), None)

    def document(self) -> dict[str, Any]:
        """As the control API gives it, within a message's story."""
        about = self.notice_of.document() if self.notice_of is not None else None
        return {"notice_of": about, "notices": [one.document() for one in self.notices]}


def relations_of(transaction: Transaction, message: StoredMessage, events: Iterable[StoredEvent]) -> Relations:
    """What the message's own record and events name, and whether the store has it still.

    A client has no say in it: what a mail claims to be about is not looked at.
    """
    about = message.origin.get("notice_of") if message.kind == DSN_KIND else None
    told = [one.detail.get("dsn") for one in events if one.name == NOTIFIED]
    ids = dict.fromkeys(one for one in (about, *told) if isinstance(one, str) and one)
    if not ids:
        return Relations()
    found = {one.message_id: overall_state(one) for one in transaction.select(Selection(tuple(ids)), len(ids))}
    related = {one: Related(one, found.get(one)) for one in ids}
    return Relations(related.get(str(about)), tuple(one for name, one in related.items() if name != about))
