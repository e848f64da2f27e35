"""The part of a DSN for people: what happened, to whom, why, and what to do (RFC 3464 §2.1 leaves it to us)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from gateway.notices.fields import LINE_CHARACTERS, one_line
from gateway.notices.verdicts import Action, Verdict
from gateway.outcome import Cause
from gateway.store.records import State, StoredMessage

SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.RELAYED: "Your message was passed on",
}
HEADINGS = {
    Action.FAILED: "It was not delivered to these recipients, and no further attempt will be made:",
    Action.DELAYED: "It has not been delivered to these recipients yet:",
    Action.RELAYED: (
        "It was passed on for these recipients, as you asked to be told. Whether it reaches their mailboxes cannot be "
        "seen from here:"
    ),
}
TO_DO = {
    Cause.UNREADABLE: "Correct the message and send it again.",
    Cause.INVALID: "Correct the message as the reason says and send it again.",
    Cause.FORBIDDEN: "Ask the operator of this service whether you may send such mail.",
    Cause.SENDER_UNVERIFIED: "Send from an address that was verified for this account.",
    Cause.NOT_OWN_ADDRESS: "Send from your own address.",
    Cause.SUPPRESSED: "Take this address off your list: it bounced, complained or unsubscribed before.",
    Cause.TOO_LARGE: "Send a smaller message, or a link in place of the attachment.",
    Cause.KEY_REFUSED: "The API key of this account is not valid any more: use the new one and send the message again.",
}
SHOWN_RECIPIENTS = 100  # as many as a message may have; the machine's part has them all in any case


def subject(verdicts: Sequence[Verdict]) -> str:
    """The subject: the worst of what is told."""
    actions = {one.action for one in verdicts}
    return next(text for action, text in SUBJECTS.items() if action in actions)


def human_part(message: StoredMessage, verdicts: Sequence[Verdict], hostname: str, sent: str, until: str) -> str:
    """The whole text, its lines ended by CRLF. sent and until are dates as people read them; until may be empty."""
    lines = list(_wrapped(f"This is the mail gateway {hostname}. It tells of the message that you sent on {sent}:"))
    lines += ["", *_quoted("Subject", message.subject), *_quoted("Message-ID", message.header_message_id)]
    lines += _quoted("Gateway id", message.message_id)
    for action in Action:
        told = [one for one in verdicts if one.action is action]
        if told:
            lines += ["", *_wrapped(HEADINGS[action]), ""]
            lines += [line for one in told[:SHOWN_RECIPIENTS] for line in _about(one)]
            if action is Action.DELAYED and until:
                lines += ["", *_wrapped(f"Attempts go on until {until}. You need not send it again.")]
    return "\r\n".join(lines) + "\r\n"


def _about(verdict: Verdict) -> Iterator[str]:
    yield f"  {one_line(verdict.recipient.path)}"
    if verdict.reason:
        yield from _wrapped(f"Reason: {verdict.reason}", indent="    ")
    advice = to_do(verdict)
    if advice:
        yield from _wrapped(f"What to do: {advice}", indent="    ")


def to_do(verdict: Verdict) -> str:
    """What the sender can do about a failure; empty where there is nothing to do."""
    if verdict.action is not Action.FAILED:
        return ""
    if verdict.recipient.state is State.EXPIRED:
        return "Send the message again, or ask the operator of this service why the vendor could not be reached."
    cause = Cause.__members__.get(verdict.recipient.cause)
    return TO_DO.get(cause, "") if cause is not None else ""


def _quoted(name: str, text: str) -> list[str]:
    return list(_wrapped(f"{name}: {one_line(text)}", indent="  ")) if text else []


def _wrapped(text: str, indent: str = "") -> Iterator[str]:
    """Lines of a paragraph; words are never broken, so that addresses and links stay whole."""
    yield from textwrap.wrap(
        text,
        LINE_CHARACTERS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
