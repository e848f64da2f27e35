"""What became of a message, per forward-path, and how that folds into the one reply the client gets.

An outcome names its cause in neutral words; which code and text say so is the dialect's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class Reply(NamedTuple):
    """An SMTP reply: code (RFC 5321 §4.2), text, and enhanced status code (RFC 3463; empty for none)."""

    code: int
    text: str
    enhanced: str = ""


class Cause(Enum):
    """Why a login or a message was not accepted."""

    USER_NAME_INVALID = auto()
    AUTHENTICATION_FAILED = auto()
    AUTHENTICATION_UNAVAILABLE = auto()
    AUTHENTICATION_REQUIRED = auto()
    UNREADABLE = auto()
    """The mail data is not a message that can be read."""
    INVALID = auto()
    """The vendor, or the dialect, refuses something the client wrote."""
    FORBIDDEN = auto()
    SENDER_UNVERIFIED = auto()
    NOT_OWN_ADDRESS = auto()
    """A mailbox may send only as itself."""
    SUPPRESSED = auto()
    """No forward-path is left that the vendor would mail."""
    TOO_LARGE = auto()
    KEY_REFUSED = auto()
    """The vendor no longer takes the key that the client itself gave."""
    OPERATOR_KEY_REFUSED = auto()
    """The vendor does not take the key from the settings: the operator's fault, so the message waits."""
    RATE_LIMITED = auto()
    UNAVAILABLE = auto()
    """No connection, or the vendor says that the fault is its own."""
    NEVER_ANSWERED = auto()
    """The request was wholly written and no answer came: the vendor may have the message."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The vendor has the message. vendor_message_id may be empty when the vendor gave none."""

    vendor_message_id: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Permanent: the same message would be refused again."""

    cause: Cause
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Temporary, and certainly not taken by the vendor."""

    cause: Cause
    reason: str = ""
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The vendor may or may not have the message."""

    reason: str = ""
    cause: Cause = Cause.NEVER_ANSWERED


Outcome = Accepted | Refused | Deferred | Unknown
OUTCOME_WORDS: Mapping[type[Outcome], str] = {
    Accepted: "accepted",
    Refused: "refused",
    Deferred: "deferred",
    Unknown: "unknown",
}
"""What logs, metrics and records call them."""


def fold(outcomes: Mapping[str, Outcome]) -> Outcome:
    """The outcome to tell the client, who gets one reply for all forward-paths (RFC 5321 §4.2.5).

    Whoever may still get the message decides: unknown before deferred, so that a retry is asked for; then accepted,
    because a vendor that skips some of several addresses has taken the message; refused only when all are.
    """
    if len(outcomes) == 1:
        return next(iter(outcomes.values()))
    for kind in (Unknown, Deferred, Accepted, Refused):
        for outcome in outcomes.values():
            if isinstance(outcome, kind):
                return outcome
    raise ValueError("no outcomes to fold")


REPLIES: Mapping[Cause, Reply] = {
    Cause.USER_NAME_INVALID: Reply(535, "Authentication failed", "5.7.8"),
    Cause.AUTHENTICATION_FAILED: Reply(535, "Authentication failed", "5.7.8"),
    Cause.AUTHENTICATION_UNAVAILABLE: Reply(454, "Temporary authentication failure", "4.7.0"),
    Cause.AUTHENTICATION_REQUIRED: Reply(530, "Authentication required", "5.7.0"),
    Cause.UNREADABLE: Reply(554, "Message cannot be read", "5.6.0"),
    Cause.INVALID: Reply(554, "Message refused: {reason}", "5.6.0"),
    Cause.FORBIDDEN: Reply(550, "Message refused: {reason}", "5.7.1"),
    Cause.SENDER_UNVERIFIED: Reply(550, "From domain refused: {reason}", "5.7.1"),
    Cause.NOT_OWN_ADDRESS: Reply(553, "A mailbox may send only from its own address, {reason}", "5.7.1"),
    Cause.SUPPRESSED: Reply(550, "All recipients suppressed", "5.1.1"),
    Cause.TOO_LARGE: Reply(552, "Message too large: {reason}", "5.3.4"),
    Cause.KEY_REFUSED: Reply(535, "Authentication failed", "5.7.8"),
    Cause.OPERATOR_KEY_REFUSED: Reply(451, "Message cannot be relayed now", "4.3.5"),
    Cause.RATE_LIMITED: Reply(452, "Rate limit exceeded, try again later", "4.3.2"),
    Cause.UNAVAILABLE: Reply(451, "Message cannot be relayed now", "4.3.0"),
    Cause.NEVER_ANSWERED: Reply(451, "Message cannot be relayed now", "4.3.0"),
}
"""The field's own replies, for what a dialect does not word itself. {reason} is the vendor's own reason."""

# A reply line has 512 octets (RFC 5321 §4.5.3.1.5); code, enhanced code and wording share it with the reason.
REASON_OCTETS = 380


def printable(reason: str) -> str:
    """A vendor's or a client's words made fit for a reply line: one line, printable ASCII, bounded."""
    plain = " ".join(reason.split()).encode("ascii", "replace").decode()
    if not plain.isprintable():
        plain = "".join(c if c.isprintable() else "?" for c in plain)
    return plain[:REASON_OCTETS]


def reply_for(cause: Cause, reason: str, wording: Mapping[Cause, Reply]) -> Reply:
    """The reply that tells this cause, in the dialect's wording where it has one."""
    reply = wording.get(cause) or REPLIES[cause]
    told = printable(reason) or "no reason given"
    return reply._replace(text=reply.text.replace("{reason}", told))
