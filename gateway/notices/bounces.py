"""Bounce records in the shape of Postmark's bounce API and bounce webhook (contract: postmark.md, 2.7 and 3). Pure.

Of its types there is one here: SMTPApiError, a message that was accepted over SMTP and then refused by the API.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.message import SendOptions
from gateway.notices.verdicts import DSN_KIND, reason
from gateway.outcome import Cause
from gateway.store.records import Bounce, Recipient, State, StoredMessage

TYPE, TYPE_CODE, TYPE_NAME = "SMTPApiError", 100007, "SMTP API error"
DEFAULT_STREAM = "outbound"
NOT_FOUND, BAD_PARAMETER, NOT_ACTIVATED = 1001, 1002, 1003  # error codes of the bounce API
BAD_TOKEN, MAINTENANCE = 10, 100
EXPIRED_CODE = 100  # no API code says it: the vendor was out of reach to the end, as in its maintenance

CODES = {
    Cause.UNREADABLE: 300,
    Cause.INVALID: 300,
    Cause.TOO_LARGE: 300,
    Cause.FORBIDDEN: 413,
    Cause.NOT_OWN_ADDRESS: 400,
    Cause.SENDER_UNVERIFIED: 400,
    Cause.SUPPRESSED: 406,
    Cause.KEY_REFUSED: 10,
}
"""The error code nearest to a cause; a vendor's own code is in its words."""
DESCRIPTIONS = {
    Cause.UNREADABLE: "The message cannot be read.",
    Cause.INVALID: "The message was refused as invalid.",
    Cause.TOO_LARGE: "The message is too large.",
    Cause.FORBIDDEN: "Sending is not allowed.",
    Cause.NOT_OWN_ADDRESS: "The From address is not the account's own.",
    Cause.SENDER_UNVERIFIED: "The From address is not verified.",
    Cause.SUPPRESSED: "The recipient is inactive.",
    Cause.KEY_REFUSED: "The API token is not valid any more.",
}
OTHER_CODE, OTHER_DESCRIPTION = 300, "The message was refused."
EXPIRED_DESCRIPTION = "The message could not be handed over in time."


def bounces_of(
    message: StoredMessage, recipients: Sequence[Recipient], options: SendOptions, now: float
) -> Iterator[Bounce]:
    """A bounce for each recipient that failed; not for our own notices. Its number is the store's to give."""
    if message.kind == DSN_KIND:
        return
    for one in recipients:
        if one.state in (State.REFUSED, State.EXPIRED):
            code, description = _told(one)
            yield Bounce(
                number=0,
                message_id=message.message_id,
                account_name=message.account_name,
                path=one.path,
                at=now,
                error_code=code,
                description=description,
                details=reason(one),
                stream=options.stream or DEFAULT_STREAM,
                tag=options.tags[0] if options.tags else "",
                metadata=dict(options.metadata),
            )


def _told(recipient: Recipient) -> tuple[int, str]:
    if recipient.state is State.EXPIRED:
        return EXPIRED_CODE, EXPIRED_DESCRIPTION
    cause = Cause.__members__.get(recipient.cause)
    if cause is None:
        return OTHER_CODE, OTHER_DESCRIPTION
    return CODES.get(cause, OTHER_CODE), DESCRIPTIONS.get(cause, OTHER_DESCRIPTION)


# -- the API's documents


def bounce_document(bounce: Bounce, message: StoredMessage | None) -> dict[str, Any]:
    """One bounce as GET /bounces and GET /bounces/{id} give it; message is None when the log has forgotten it.

    The address is not inactive by it, so there is nothing to activate. MessageID is the gateway's id of the message.
    """
    return {
        "RecordType": "Bounce",
        "ID": bounce.number,
        "Type": TYPE,
        "TypeCode": TYPE_CODE,
        "Name": TYPE_NAME,
        **({"Tag": bounce.tag} if bounce.tag else {}),
        "MessageID": bounce.message_id,
        "ServerID": 0,  # a number of the vendor's, which has no meaning here
        "MessageStream": bounce.stream,
        "Description": bounce.description,
        "Details": bounce.details,
        "Email": bounce.path,
        "From": message.author if message is not None else "",
        "BouncedAt": bounced_at(bounce.at),
        "DumpAvailable": message is not None and message.has_content,
        "Inactive": False,
        "CanActivate": False,
        "Subject": message.subject if message is not None else "",
    }


def webhook_document(bounce: Bounce, message: StoredMessage) -> dict[str, Any]:
    """One bounce as the bounce webhook's body: as the API has it, and the message's metadata."""
    return bounce_document(bounce, message) | {"Metadata": dict(bounce.metadata)}


def list_document(total: int, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The answer of GET /bounces."""
    return {"TotalCount": total, "Bounces": list(documents)}


def statistics_document(total: int) -> dict[str, Any]:
    """The answer of GET /deliverystats: all bounces, and those of each type that there are any of."""
    counts: list[dict[str, Any]] = [{"Name": "All", "Count": total}]
    if total:
        counts.append({"Type": TYPE, "Name": TYPE_NAME, "Count": total})
    return {"InactiveMails": 0, "Bounces": counts}


def dump_head(bounce: Bounce) -> str:
    """What stands before the message in a dump: the long error and its code (contract: postmark.md, 4.2)."""
    return f"{bounce.description}\r\n{bounce.details}\r\nError code: {bounce.error_code}\r\n\r\n"


def error_document(code: int, text: str) -> dict[str, Any]:
    """An error as every call of this API gives it."""
    return {"ErrorCode": code, "Message": text}


def bounced_at(at: float) -> str:
    """A time as the API writes it: ISO 8601 with seven digits of a second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
