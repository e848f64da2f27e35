"""Who is to be told what: the actions of a DSN (RFC 3464 §2.3.3) by what was asked (RFC 3461 §4.1), and its codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gateway.notices.fields import REASON_CHARACTERS, one_line
from gateway.outcome import REPLIES, Cause
from gateway.store.records import Recipient, State, StoredMessage

DSN_KIND = "dsn"
"""StoredMessage.kind of our own notices."""

NOTIFIED = "notified"
"""The event of a message about which a DSN was made; its detail names that as "dsn"."""

EXPIRED_STATUS = "4.4.7"  # RFC 3463 §3.5: delivery time expired; 4, because each single failure was temporary
RELAYED_STATUS = "2.0.0"


class Action(StrEnum):
    """What a DSN says of a recipient."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    """A vendor has it. What is delivered beyond it, nobody tells us: so never "delivered"."""


ASKED_BY = {Action.FAILED: "FAILURE", Action.DELAYED: "DELAY", Action.RELAYED: "SUCCESS"}
ACTIONS = {
    State.REFUSED: Action.FAILED,
    State.EXPIRED: Action.FAILED,
    State.QUEUED: Action.DELAYED,
    State.HELD: Action.DELAYED,
    State.RELAYED: Action.RELAYED,
}
"""Cancelled recipients are not told of: whoever cancelled knows. Rejected ones got their reply."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a DSN tells of one recipient. reason is one line, in the vendor's words where it has any."""

    recipient: Recipient
    action: Action
    status: str
    reason: str


def verdicts(message: StoredMessage, recipients: Iterable[Recipient]) -> list[Verdict]:
    """Those of the recipients that a DSN is to tell of, by their states; none when nobody may get one.

    A message with the null reverse-path, or a DSN of ours, never causes one (RFC 3464 §2, RFC 5321 §6.1): no loop.
    """
    if not message.envelope.reverse_path or message.kind == DSN_KIND:
        return []
    actions = ((one, ACTIONS.get(one.state)) for one in recipients)
    return [
        Verdict(one, action, status(one), reason(one))
        for one, action in actions
        if action is not None and is_asked_for(message.envelope.notify.get(one.path, ""), action)
    ]


def is_asked_for(notify: str, action: Action) -> bool:
    """Whether NOTIFY asks for it. Who asks for nothing is told of failures alone (RFC 3461 §4.1 leaves it to us)."""
    return ASKED_BY[action] in (notify or "FAILURE").upper().split(",")


def status(recipient: Recipient) -> str:
    """The status code (RFC 3463) of where a recipient stands."""
    if recipient.state is State.RELAYED:
        return RELAYED_STATUS
    if recipient.state is State.EXPIRED:
        return EXPIRED_STATUS
    kind = "5" if recipient.state is State.REFUSED else "4"
    known = REPLIES[Cause[recipient.cause]].enhanced if recipient.cause in Cause.__members__ else ""
    return known if known.startswith(kind) else f"{kind}.0.0"


def reason(recipient: Recipient) -> str:
    """The vendor's words, bounded; else ours. They may hold anything."""
    text = one_line(recipient.reason)
    if len(text) > REASON_CHARACTERS:
        text = f"{text[: REASON_CHARACTERS - 1]}…"
    return text or WITHOUT_REASON.get(recipient.state, "")


WITHOUT_REASON = {
    State.REFUSED: "no reason was given",
    State.EXPIRED: "no attempt succeeded in time",
    State.QUEUED: "no attempt has succeeded yet",
    State.HELD: "the operator keeps it back",
}
