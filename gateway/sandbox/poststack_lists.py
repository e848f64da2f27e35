"""What the PostStack sandbox answers about messages: a page of them, or one, in the contract's shape (section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.sandbox.addresses import address_of
from gateway.sandbox.inbox import Entry

# The contract names neither; a client asks for one message, or for pages.
_DEFAULT_PER_PAGE = 20
_MAXIMUM_PER_PAGE = 100

Arguments = Mapping[bytes, Sequence[bytes]]


def paging(arguments: Arguments) -> tuple[int, int]:
    """page and per_page of a list request; ValueError, fit for the client, for a bad parameter or a filter."""
    for name in arguments:
        if name not in (b"page", b"per_page"):
            raise ValueError(f"the sandbox does not know the parameter '{name.decode('ascii', 'replace')}'")
    per_page = _number(arguments, "per_page", _DEFAULT_PER_PAGE)
    page = _number(arguments, "page", 1)
    if page < 1 or not 1 <= per_page <= _MAXIMUM_PER_PAGE:
        raise ValueError(f"'page' must be at least 1, and 'per_page' from 1 to {_MAXIMUM_PER_PAGE}")
    return page, per_page


def _number(arguments: Arguments, name: str, default: int) -> int:
    text = arguments.get(name.encode(), [str(default).encode()])[-1]
    # No list of the sandbox is longer than nine digits can say, and int() is not asked to read megabytes.
    if not text.isdigit() or len(text) > 9:
        raise ValueError(f"the '{name}' parameter must be a number")
    return int(text)


def emails(entries: Sequence[Entry], page: int, per_page: int) -> dict[str, object]:
    """`{data, meta}` of the accepted messages, newest first."""
    start = (page - 1) * per_page
    pages = -(-len(entries) // per_page)
    return {
        "data": [email(entries, number) for number in range(start, min(start + per_page, len(entries)))],
        "meta": {"page": page, "perPage": per_page, "total": len(entries), "totalPages": pages},
    }


def email(entries: Sequence[Entry], number: int) -> dict[str, object]:
    """One stored row, in camelCase; its numeric id counts from the oldest message."""
    entry = entries[number]
    summary = entry.arrival.summary
    address = address_of(summary.sender)
    return {
        "id": len(entries) - number,
        "publicId": entry.arrival.vendor_message_id,
        "fromAddress": address,
        "fromName": summary.sender.rpartition("<")[0].strip(' "') or None,
        "toAddresses": summary.recipients,
        "subject": summary.subject,
        "status": "delivered",
        "testMode": True,
        "createdAt": entry.received_at,
        "sentAt": entry.received_at,
    }
