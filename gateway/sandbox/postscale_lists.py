"""The lists that the Postscale sandbox answers: domains and emails, shaped as the contract says (section 2).

Their content is plausible, not real: the sandbox has two fixed domains, and the emails are the inbox's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_DNS, NAMESPACE_URL, uuid5

from gateway.sandbox.inbox import Entry
from gateway.sandbox.magic import MAGIC_DOMAIN, UNVERIFIED_DOMAIN

# Paging by the contract (section 2, Endpoints).
_DEFAULT_LIMIT = 50
_MAXIMUM_LIMIT = 100

# A fixed day: the sandbox's domains were always there.
_DOMAINS_SINCE = "2026-01-01T00:00:00Z"

Arguments = Mapping[bytes, Sequence[bytes]]


def paging(arguments: Arguments) -> tuple[int, int]:
    """limit and offset of a list request; ValueError, fit for the client, for a bad or an unknown parameter."""
    for name in arguments:
        if name not in (b"limit", b"offset"):
            raise ValueError(f"the sandbox does not know the parameter '{name.decode('ascii', 'replace')}'")
    limit = _number(arguments, "limit", _DEFAULT_LIMIT)
    offset = _number(arguments, "offset", 0)
    if not 1 <= limit <= _MAXIMUM_LIMIT:
        raise ValueError(f"the 'limit' parameter must be from 1 to {_MAXIMUM_LIMIT}")
    return limit, offset


def _number(arguments: Arguments, name: str, default: int) -> int:
    text = arguments.get(name.encode(), [str(default).encode()])[-1]
    # No list of the sandbox is longer than nine digits can say, and int() is not asked to read megabytes.
    if not text.isdigit() or len(text) > 9:
        raise ValueError(f"the '{name}' parameter must be a number")
    return int(text)


def domains(limit: int, offset: int) -> dict[str, object]:
    """`{domains, limit, offset}`: one domain with every flag set, and one that nobody has verified."""
    everything = [_domain(MAGIC_DOMAIN, True), _domain(UNVERIFIED_DOMAIN, False)]
    return {"domains": everything[offset : offset + limit], "limit": limit, "offset": offset}


def _domain(name: str, verified: bool) -> dict[str, object]:
    flags = ("verified", "ownership_verified", "mx_verified", "spf_verified", "dkim_verified", "dmarc_verified")
    return {
        "id": str(uuid5(NAMESPACE_DNS, name)),
        "domain": name,
        "type": "outbound",
        **dict.fromkeys(flags, verified),
        "catch_all_enabled": False,
        "active": verified,
        "last_dns_check": _DOMAINS_SINCE,
        "verified_at": _DOMAINS_SINCE if verified else None,
        "created_at": _DOMAINS_SINCE,
        "updated_at": _DOMAINS_SINCE,
    }


def emails(entries: Sequence[Entry], limit: int, offset: int) -> dict[str, object]:
    """`{emails, total}` of the accepted messages, newest first."""
    return {"emails": [_email(one) for one in entries[offset : offset + limit]], "total": len(entries)}


def _email(entry: Entry) -> dict[str, object]:
    summary = entry.arrival.summary
    return {
        "id": str(uuid5(NAMESPACE_URL, entry.id)),
        "message_id": entry.arrival.vendor_message_id,
        "from": summary.sender,
        "to": summary.recipients,
        "subject": summary.subject,
        "status": "simulated",
        "created_at": entry.received_at,
    }
