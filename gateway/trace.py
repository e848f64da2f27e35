"""The header fields that a submission server adds: Received (RFC 5321 §4.4), Date and Message-ID (RFC 6409 §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from gateway.message import HeaderField
from gateway.quickly import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Hop:
    """How a message came in: what the client called itself, its address, how it spoke (RFC 3848), and the session's
    TLS as gateway.tls.session_tls() gives it. Of a notice of ours all are empty."""

    hello_name: str
    peer: str
    transmission_type: str
    tls: str = ""


def received_field(hop: Hop, hostname: str, message_id: str, at: float) -> HeaderField:
    """The Received field of a message. at is the wall clock in seconds.

    There is no "for" clause: it would show one recipient to the others (RFC 5321 §7.6). The cipher suite is in a "tls"
    clause (RFC 8314 §4.3).
    """
    if not hop.transmission_type:
        return HeaderField("Received", f"by {hostname} id {message_id}; {field_date(int(at))}")
    address = f"[IPv6:{hop.peer}]" if ":" in hop.peer else f"[{hop.peer}]"
    way = f"from {hop.hello_name or 'unknown'} ({address}) by {hostname} with {hop.transmission_type}"
    tls = f" tls {hop.tls.rpartition(' ')[2]}" if hop.tls else ""
    return HeaderField("Received", f"{way} id {message_id}{tls}; {field_date(int(at))}")


def missing_fields(fields: Sequence[HeaderField], hostname: str, message_id: str, at: float) -> tuple[HeaderField, ...]:
    """Date and Message-ID, those of them that the message lacks."""
    there = {field.name.lower() for field in fields}
    made = []
    if "date" not in there:
        made.append(HeaderField("Date", field_date(int(at))))
    if "message-id" not in there:
        made.append(HeaderField("Message-ID", f"<{message_id}@{hostname}>"))
    return tuple(made)


@lru_cache(maxsize=1)
def field_date(at_second: int) -> str:
    """The date of a field from whole seconds since 1970, in universal time, which we know: so +0000 and not -0000
    (RFC 5322 §3.3)."""
    return formatdate(at_second).replace("-0000", "+0000")
