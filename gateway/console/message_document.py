"""A message of the store as JSON, as the control API gives it and gateway/console/openapi.json describes it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.accounts.credentials import mechanisms_of
from gateway.store.credential import Credential
from gateway.store.records import Attempt, Recipient, State, StoredEvent, StoredMessage, Totals

ORDER = (
    State.QUEUED,
    State.HELD,
    State.REFUSED,
    State.EXPIRED,
    State.REJECTED,
    State.CANCELLED,
    State.RELAYED,
)
"""Of a message whose recipients stand differently, the first of these is shown: what still waits, then what failed."""


def iso(seconds: float | None) -> str | None:
    """A time as ISO 8601 in UTC, with milliseconds (RFC 3339)."""
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def overall_state(message: StoredMessage) -> State:
    """The one state to show for all recipients."""
    states = {one.state for one in message.recipients}
    return next(one for one in ORDER if one in states)


def summary_document(message: StoredMessage) -> dict[str, Any]:
    """What a listing shows of a message."""
    return {
        "id": message.message_id,
        "received_at": iso(message.received_at),
        "state": overall_state(message).value,
        "kind": message.kind,
        "mode": message.mode,
        "account": message.account_name,
        "reverse_path": message.envelope.reverse_path,
        "author": message.author,
        "subject": message.subject,
        "header_message_id": message.header_message_id,
        "size_octets": message.size_octets,
        "recipients": [recipient_document(one) for one in message.recipients],
        "lane": message.lane,
        "attempts": message.attempts,
        "next_attempt_at": iso(message.next_attempt_at),
        "expires_at": iso(message.expires_at or None),
        "has_content": message.has_content,
    }


def recipient_document(one: Recipient) -> dict[str, Any]:
    """One forward-path and where it stands."""
    return {
        "path": one.path,
        "state": one.state.value,
        "unknown": one.is_unknown,
        "vendor": one.vendor,
        "vendor_message_id": one.vendor_message_id,
        "cause": one.cause.lower(),
        "reason": one.reason,
    }


def story_document(
    message: StoredMessage, attempts: Sequence[Attempt], events: Sequence[StoredEvent], relations: Mapping[str, Any]
) -> dict[str, Any]:
    """All that is known of one message; relations as relations.py gives them."""
    envelope = message.envelope
    return summary_document(message) | {
        "session_id": message.session_id,
        "origin": dict(message.origin),
        "dsn": {"ret": envelope.ret, "envid": envelope.envid, "notify": dict(envelope.notify)},
        "idempotency_key": message.idempotency_key,
        "moved_to": list(message.moved_to),
        **relations,
        "story": {
            "attempts": [attempt_document(one) for one in attempts],
            "events": [event_document(one) for one in events],
        },
    }


def attempt_document(attempt: Attempt) -> dict[str, Any]:
    """One attempt, with what was called and answered."""
    return {
        "vendor": attempt.vendor,
        "began_at": iso(attempt.began_at),
        "seconds": round(attempt.seconds, 3),
        "outcomes": dict(attempt.outcomes),
        "reason": attempt.reason,
        "retry_after_seconds": attempt.retry_after_seconds,
        "report": list(attempt.report),
        "calls": [
            {
                "method": one.method,
                "url": one.url,
                "status": one.status,
                "seconds": round(one.seconds, 3),
                "answer": one.answer,
            }
            for one in attempt.calls
        ],
    }


def event_document(event: StoredEvent) -> dict[str, Any]:
    """One entry of the event feed."""
    return {
        "number": event.number,
        "at": iso(event.at),
        "name": event.name,
        "message_id": event.message_id,
        "detail": dict(event.detail),
    }


def totals_document(totals: Totals) -> dict[str, Any]:
    """The sum, and whether it is whole."""
    return {
        "accepted": totals.accepted,
        "relayed": totals.relayed,
        "refused": totals.refused,
        "expired": totals.expired,
        "cancelled": totals.cancelled,
        "queued": totals.queued,
        "held": totals.held,
        "whole": totals.is_whole,
    }


def credential_document(one: Credential) -> dict[str, Any]:
    """A credential, without anything of its secret."""
    return {
        "user_name": one.user_name,
        "vendor": one.vendor,
        "active": one.active,
        "stream": one.stream,
        "created_at": one.created_at,
        "last_used_at": one.last_used_at or None,
        "mechanisms": mechanisms_of(one),
    }
