"""Records as rows and back. JSON is ASCII with escapes, so that any text survives in any database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.message import Envelope
from gateway.store.database import Row
from gateway.store.records import Attempt, Bounce, Call, Recipient, State, StoredEvent, StoredMessage, WebhookPost

MESSAGE_COLUMNS = (
    "m.message_id, m.session_id, m.received_at, m.account_name, m.account, m.sealed_key, m.envelope, m.size_octets,"
    " m.mode, m.kind, m.lane, m.origin, m.header_message_id, m.author, m.subject, m.moved_to, m.idempotency_key,"
    " m.expires_at, m.attempts, m.warned, m.has_content, q.next_attempt_at"
)
RECIPIENT_COLUMNS = "path, state, is_unknown, vendor, vendor_message_id, cause, reason"
ATTEMPT_COLUMNS = "vendor, began_at, seconds, outcomes, reason, retry_after_seconds, calls, report, gateway"
EVENT_COLUMNS = "at, name, message_id, detail, number"
BOUNCE_COLUMNS = "number, message_id, account_name, path, at, error_code, description, details, stream, tag, metadata"
ENCODER = msgspec.json.Encoder(enc_hook=dict)  # of a mapping that is none yet
PLAIN_ENCODER = json.JSONEncoder(separators=(",", ":"), default=dict)
POST_COLUMNS = "post_id, webhook, created_at, next_attempt_at, body, attempts"


def to_json(value: object) -> str:
    """Compact JSON. Text that is all ASCII, as most is, comes from the faster encoder."""
    try:
        octets = ENCODER.encode(value)
    except UnicodeEncodeError:  # lone surrogates, which only the other one escapes
        return PLAIN_ENCODER.encode(value)
    return octets.decode("ascii") if octets.isascii() else PLAIN_ENCODER.encode(value)


def message_row(message: StoredMessage, attempts: int = 0) -> tuple[object, ...]:
    """The columns of messages from message_id to warned, in the order of the schema. attempts: how many are kept with
    it, when it says fewer."""
    one = message
    found_by = "\n".join((one.author, one.subject, one.envelope.reverse_path)).lower()
    return (
        one.message_id, one.session_id, one.received_at, one.account_name, to_json(one.account), one.sealed_key,
        _envelope_json(one.envelope), one.size_octets, one.mode, one.kind, one.lane, to_json(one.origin),
        one.header_message_id, one.author, one.subject, found_by, to_json(one.moved_to), one.idempotency_key,
        one.expires_at, max(one.attempts, attempts), one.warned,
    )  # fmt: skip


def message_of(row: Row, recipients: tuple[Recipient, ...]) -> StoredMessage:
    """A message from MESSAGE_COLUMNS."""
    (
        message_id, session_id, received_at, account_name, account, sealed_key, envelope, size_octets, mode, kind, lane,
        origin, header_message_id, author, subject, moved_to, idempotency_key, expires_at, attempts, warned,
        has_content, next_attempt_at,
    ) = row  # fmt: skip
    return StoredMessage(
        message_id, session_id, received_at, account_name, json.loads(account), _envelope(envelope), recipients,
        size_octets, mode, lane, kind, sealed_key, json.loads(origin), header_message_id, author, subject,
        tuple(json.loads(moved_to)), idempotency_key, expires_at, next_attempt_at, attempts, bool(warned),
        bool(has_content),
    )  # fmt: skip


def recipient_row(one: Recipient) -> tuple[object, ...]:
    """RECIPIENT_COLUMNS."""
    return (one.path, one.state.value, one.is_unknown, one.vendor, one.vendor_message_id, one.cause, one.reason)


def recipient_of(row: Row) -> Recipient:
    """A recipient from RECIPIENT_COLUMNS."""
    path, state, is_unknown, *rest = row
    return Recipient(path, State(state), bool(is_unknown), *rest)


def attempt_row(one: Attempt) -> tuple[object, ...]:
    """ATTEMPT_COLUMNS."""
    calls = [(call.method, call.url, call.status, call.seconds, call.answer) for call in one.calls]
    return (
        one.vendor, one.began_at, one.seconds, to_json(one.outcomes), one.reason, one.retry_after_seconds,
        to_json(calls), to_json(one.report), one.gateway,
    )  # fmt: skip


def attempt_of(row: Row) -> Attempt:
    """An attempt from ATTEMPT_COLUMNS."""
    vendor, began_at, seconds, outcomes, reason, retry_after_seconds, calls, report, gateway = row
    made = tuple(Call(*call) for call in json.loads(calls))
    told = tuple(json.loads(report))
    return Attempt(vendor, began_at, seconds, json.loads(outcomes), reason, retry_after_seconds, made, told, gateway)


def event_of(row: Row) -> StoredEvent:
    """An event from EVENT_COLUMNS."""
    at, name, message_id, detail, number = row
    return StoredEvent(at, name, message_id, json.loads(detail), number)


def bounce_of(row: Row) -> Bounce:
    """A bounce record from BOUNCE_COLUMNS."""
    return Bounce(*(*row[:-1], json.loads(row[-1])))


def post_of(row: Row, token: str) -> WebhookPost:
    """A delivery from POST_COLUMNS."""
    return WebhookPost(*(*row, token))


def _envelope_json(envelope: Envelope) -> str:
    one = envelope
    return to_json([one.reverse_path, one.forward_paths, one.ret, one.envid, one.notify, one.orcpt])


def _envelope(text: str) -> Envelope:
    reverse_path, forward_paths, ret, envid, notify, orcpt = json.loads(text)
    return Envelope(reverse_path, tuple(forward_paths), ret, envid, _texts(notify), _texts(orcpt))


def _texts(mapping: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in mapping.items()}
