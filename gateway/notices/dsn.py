"""A delivery status notification: multipart/report (RFC 6522) with message/delivery-status (RFC 3464) in it.

Pure: what is told is in verdicts.py, its wording in wording.py; sending it is the queue's affair. With an address
beyond US-ASCII in it, it is the internationalized form (RFC 6533).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.content.header import find_body
from gateway.message import HeaderField
from gateway.notices.fields import decode_original_recipient, decode_xtext, encoded, field, text_field
from gateway.notices.verdicts import Action, Verdict
from gateway.notices.wording import human_part, subject
from gateway.store.records import StoredMessage
from gateway.trace import field_date

FULL_OCTETS = 1024 * 1024  # RET=FULL up to here: a notice must not cost more than mail, and its sender has the original
HEADER_OCTETS = 64 * 1024  # the original's header up to here: long ones with DKIM, ARC and all have half of that
TEXT_FIELDS = frozenset({"Original-Envelope-Id", "Remote-MTA", "Diagnostic-Code"})  # "*text" in RFC 3464
_MESSAGE_ID = re.compile(r"<[^<>\s@]{1,400}@[^<>\s@]{1,400}>")
_LONE_LF = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes the notices: our name in SMTP, and the address in their From field."""

    hostname: str
    address: str


@dataclass(frozen=True, slots=True)
class Dsn:
    """A DSN ready to be stored. content is the whole message."""

    message_id: str
    author: str
    recipient: str
    subject: str
    content: bytes


def make_dsn(
    message_id: str,
    sender: Sender,
    message: StoredMessage,
    verdicts: Sequence[Verdict],
    original: bytes,
    now: float,
) -> Dsn:
    """The DSN with this id about these recipients of a message.

    original is what returned_original() chose, empty when it is gone. now is when the last attempt was made.
    """
    utf8 = _needs_utf8(sender, message, verdicts)
    title = subject(verdicts)
    until = field_date(message.expires_at) if message.expires_at else ""
    text = human_part(message, verdicts, sender.hostname, field_date(message.received_at), until)
    parts = [
        _part("text/plain; charset=utf-8", "", *encoded(text.encode())),
        _status_part(_delivery_status(sender, message, verdicts, now, utf8=utf8), utf8=utf8),
    ]
    if original:
        parts.append(_original_part(original, utf8=utf8))
    # Nothing that came in can hold the boundary: the id is made by us, just now, with fifty random bits
    boundary = f"=_{message_id}"
    head = _header(message_id, sender, message, title, boundary, now, utf8=utf8)
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts)
    content = head + b"\r\n" + body + b"--%b--\r\n" % boundary.encode()
    return Dsn(message_id, sender.address, message.envelope.reverse_path, title, content)


def returned_original(message: StoredMessage, verdicts: Sequence[Verdict], pieces: Iterable[bytes]) -> bytes:
    """What of the original goes back: its header, or all of it where RET=FULL asks so for a failure (RFC 3461 §4.3).

    Only as much as is needed is read of the pieces.
    """
    failed = any(one.action is Action.FAILED for one in verdicts)
    if failed and message.envelope.ret.upper() == "FULL" and message.size_octets <= FULL_OCTETS:
        return b"".join(pieces)
    read = b""
    for piece in pieces:
        read += piece
        if find_body(read) >= 0 or len(read) > HEADER_OCTETS:
            break
    end = find_body(read)
    header = read[:end] if end >= 0 else read
    if len(header) > HEADER_OCTETS:
        header = header[: header.rfind(b"\n", 0, HEADER_OCTETS) + 1]
    return header.rstrip(b"\r\n") + b"\r\n" if header.strip() else b""


# -- the header


def _header(
    message_id: str, sender: Sender, message: StoredMessage, title: str, boundary: str, now: float, *, utf8: bool
) -> bytes:
    fields = [
        HeaderField("From", f"Mail Delivery System <{sender.address}>"),
        HeaderField("To", f"<{message.envelope.reverse_path}>"),
        HeaderField("Subject", title),
        HeaderField("Date", field_date(now)),
        HeaderField("Message-ID", f"<{message_id}@{sender.hostname}>"),
        *_threading(message),
        HeaderField("Auto-Submitted", "auto-replied"),  # RFC 3834 §5: so that no responder answers it
        HeaderField("MIME-Version", "1.0"),
        HeaderField("Content-Type", f'multipart/report; report-type=delivery-status; boundary="{boundary}"'),
    ]
    return "".join(field(one.name, one.body, utf8=utf8) for one in fields).encode()


def _threading(message: StoredMessage) -> list[HeaderField]:
    """In-Reply-To and References (RFC 3834 §3.1.6), when the original's Message-ID is one."""
    original = message.header_message_id.strip()
    if not (_MESSAGE_ID.fullmatch(original) and original.isascii() and original.isprintable()):
        return []
    return [HeaderField("In-Reply-To", original), HeaderField("References", original)]


# -- the machine's part


def _delivery_status(
    sender: Sender, message: StoredMessage, verdicts: Sequence[Verdict], now: float, *, utf8: bool
) -> str:
    """The groups of fields of RFC 3464 §2.2 and §2.3, an empty line between them."""
    about_message = [("Reporting-MTA", f"dns; {sender.hostname}")]
    if message.envelope.envid:
        about_message.append(("Original-Envelope-Id", decode_xtext(message.envelope.envid)))
    about_message.append(("Arrival-Date", field_date(message.received_at)))
    groups = [about_message, *(_about_recipient(message, one, now) for one in verdicts)]
    return "\r\n".join("".join(_status_field(name, body, utf8=utf8) for name, body in group) for group in groups)


def _status_field(name: str, body: str, *, utf8: bool) -> str:
    return (text_field if name in TEXT_FIELDS else field)(name, body, utf8=utf8)


def _about_recipient(message: StoredMessage, verdict: Verdict, now: float) -> list[tuple[str, str]]:
    recipient = verdict.recipient
    fields = []
    orcpt = message.envelope.orcpt.get(recipient.path, "")
    if orcpt:
        fields.append(("Original-Recipient", "; ".join(decode_original_recipient(orcpt))))
    kind = "rfc822" if recipient.path.isascii() else "utf-8"  # RFC 6533 §3
    fields += [
        ("Final-Recipient", f"{kind}; {recipient.path}"),
        ("Action", verdict.action),
        ("Status", verdict.status),
    ]
    if recipient.vendor:  # an HTTP API has no MTA name and no SMTP reply: types of our own, as §2.1.2 allows
        fields.append(("Remote-MTA", f"x-vendor; {recipient.vendor}"))
    if recipient.reason:
        fields.append(("Diagnostic-Code", f"x-vendor; {verdict.reason}"))
    if message.attempts:
        fields.append(("Last-Attempt-Date", field_date(now)))
    if verdict.action is Action.DELAYED and message.expires_at:
        fields.append(("Will-Retry-Until", field_date(message.expires_at)))
    return fields


def _needs_utf8(sender: Sender, message: StoredMessage, verdicts: Sequence[Verdict]) -> bool:
    """Whether an address in it cannot be written in US-ASCII."""
    originals = (message.envelope.orcpt.get(one.recipient.path, "") for one in verdicts)
    addresses = [sender.address, message.envelope.reverse_path, *(one.recipient.path for one in verdicts)]
    return not all(map(str.isascii, addresses)) or any(
        one[:6].lower() == "utf-8;" or not decode_original_recipient(one)[1].isascii() for one in originals
    )


# -- parts


def _part(content_type: str, description: str, encoding: str, octets: bytes) -> bytes:
    fields = [("Content-Type", content_type), ("Content-Description", description)]
    fields.append(("Content-Transfer-Encoding", encoding))
    return "".join(field(name, body) for name, body in fields if body).encode() + b"\r\n" + octets


def _status_part(text: str, *, utf8: bool) -> bytes:
    octets = text.encode()
    media_type = "message/global-delivery-status" if utf8 else "message/delivery-status"
    return _part(media_type, "Delivery report", "7bit" if octets.isascii() else "8bit", octets)


def _original_part(original: bytes, *, utf8: bool) -> bytes:
    """The original: whole as message/rfc822, or its header alone; with UTF-8 in its header, as message/global."""
    body_at = find_body(original)
    header = original if body_at < 0 else original[:body_at]
    is_global = utf8 and not header.isascii() and _is_utf8(header)
    if body_at < 0:
        octets = _LONE_LF.sub(b"\r\n", original)
        if is_global:
            return _part("message/global-headers", "The message's header", "8bit", octets)
        return _part("text/rfc822-headers", "The message's header", *encoded(octets))
    media_type = "message/global" if is_global else "message/rfc822"
    return _part(media_type, "The message", "7bit" if original.isascii() else "8bit", original)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
