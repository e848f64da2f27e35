"""The lists that the RelayPost sandbox answers: emails, one email, domains, suppressions (contract 2.1, 2.2, 5).

Their content is plausible, not real: the emails are the inbox's, everything else is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_DNS, NAMESPACE_URL, uuid5

from gateway.sandbox.answer import Answer
from gateway.sandbox.inbox import Entry
from gateway.sandbox.magic import MAGIC_DOMAIN, UNVERIFIED_DOMAIN
from gateway.sandbox.relaypost_answer import ContractError, success

# How long a page is, and may be, is not documented.
_DEFAULT_LIMIT = 50
_MAXIMUM_LIMIT = 100

# A fixed day: the sandbox's domains and suppressions were always there.
_SINCE = "2026-01-01T00:00:00.000Z"

_STATUSES = ("queued", "processing", "delivered", "deferred", "bounced", "failed", "rejected")

Arguments = Mapping[bytes, Sequence[bytes]]


def timestamp(seconds: float) -> str:
    """A moment since the epoch as the API writes it (ISO 8601)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def emails(entries: Sequence[Entry], arguments: Arguments) -> Answer:
    """The accepted messages, newest first; all of them are queued for ever."""
    status = arguments.get(b"status", [b"queued"])[-1].decode("ascii", "replace")
    if status not in _STATUSES:
        raise ContractError("status", f"Must be one of: {', '.join(_STATUSES)}")
    return _page([_email(one) for one in entries] if status == "queued" else [], arguments, "status")


def email(entries: Sequence[Entry], message_id: str) -> Answer:
    """One message by its email id or its message id, with its events; LookupError when it is not there."""
    shown = next((one for one in map(_email, entries) if message_id in (one["id"], one["message_id"])), None)
    if shown is None:
        raise LookupError(message_id)
    return success(200, shown)


def _email(entry: Entry) -> dict[str, object]:
    summary = entry.arrival.summary
    queued = {
        "id": str(uuid5(NAMESPACE_URL, f"{entry.id}/queued")),
        "type": "queued",
        "recipient": summary.recipients[0] if summary.recipients else "",
        "mx_host": None,
        "smtp_code": None,
        "smtp_message": None,
        "created_at": entry.received_at,
    }
    return {
        "id": str(uuid5(NAMESPACE_URL, entry.id)),
        "message_id": entry.arrival.vendor_message_id,
        "from_address": summary.sender,
        "to_addresses": summary.recipients,
        "subject": summary.subject,
        "status": "queued",
        "events": [queued],
    }


def domains(arguments: Arguments) -> Answer:
    """One verified domain, and one that nobody has verified. The fields of a domain are not documented."""
    shown = [(MAGIC_DOMAIN, "verified"), (UNVERIFIED_DOMAIN, "pending")]
    return _page(
        [{"id": str(uuid5(NAMESPACE_DNS, name)), "domain": name, "status": it} for name, it in shown], arguments
    )


def suppressions(arguments: Arguments) -> Answer:
    """The two magic addresses that are suppressed."""
    shown = [
        {
            "id": f"sup_{uuid5(NAMESPACE_URL, name).hex[:12]}",
            "email": f"{name}@{MAGIC_DOMAIN}",
            "reason": "hard_bounce",
            "source": "automatic",
            "created_at": _SINCE,
        }
        for name in ("suppressed", "suppressed-named")
    ]
    return _page(shown, arguments)


def _page(everything: Sequence[object], arguments: Arguments, *also: str) -> Answer:
    """One page of a list, with its pagination; ContractError for a bad or an unknown parameter."""
    for name in arguments:
        if name not in (b"page", b"limit", *(one.encode() for one in also)):
            raise ContractError(name.decode("ascii", "replace"), "Unknown parameter")
    page, limit = _number(arguments, "page", 1), _number(arguments, "limit", _DEFAULT_LIMIT)
    if limit > _MAXIMUM_LIMIT:
        raise ContractError("limit", f"Must be at most {_MAXIMUM_LIMIT}")
    total = len(everything)
    pagination = {"page": page, "limit": limit, "total_count": total, "total_pages": -(-total // limit)}
    return success(200, everything[(page - 1) * limit : page * limit], pagination)


def _number(arguments: Arguments, name: str, default: int) -> int:
    text = arguments.get(name.encode(), [str(default).encode()])[-1]
    # No list of the sandbox is longer than nine digits can say, and int() is not asked to read megabytes.
    if not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise ContractError(name, "Must be a number from 1")
    return int(text)
