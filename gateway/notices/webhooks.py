"""Webhooks: what is posted where, how it is signed, and when it is tried again. No I/O; sending is sender.py's.

Format standard is that of Standard Webhooks (standardwebhooks.com); postmark that of the vendor's bounce webhook.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

import msgspec

from gateway.exchange import ApiAnswer, NoAnswer, retry_after_seconds
from gateway.store.records import StoredEvent, StoredMessage, WebhookPost

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
KEY_OCTETS = range(24, 65)  # what Standard Webhooks asks of a secret
STANDARD_WAITS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds before each further attempt, as Standard Webhooks recommends; the last is repeated."""
POSTMARK_WAITS = (60.0, 300.0, 600.0, 600.0, 600.0, 900.0)
"""Those of Postmark's outbound webhooks (contract: postmark.md, 3)."""
JITTER = 0.2  # what failed together need not come back together


class Verdict(Enum):
    """What an answer means."""

    TAKEN = auto()
    AGAIN = auto()
    """This post failed; others may do better."""
    UNWELL = auto()
    """The receiver has a trouble of its own, so that the other posts for it had better wait too."""
    DROPPED = auto()
    """It will never be taken."""
    GONE = auto()
    """The receiver wants nothing any more (410)."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook ready for use: as in the settings, its secrets revealed. keys: the newest first."""

    name: str
    url: str
    format: str = "standard"
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    login: str = field(default="", repr=False)
    events: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    timeout_seconds: float = 15.0
    give_up_after_seconds: float = 3 * 24 * 3600.0

    def wants(self, event_name: str, account_name: str) -> bool:
        """Whether it is to be told of such an event of such an account."""
        return self.format == "standard" and event_name in (self.events or {event_name}) and self._knows(account_name)

    def wants_bounces(self, account_name: str) -> bool:
        """Whether it is to be told of this account's bounces."""
        return self.format == "postmark" and self._knows(account_name)

    def _knows(self, account_name: str) -> bool:
        return not self.accounts or account_name in self.accounts


def read_key(secret: str) -> bytes:
    """The octets of a secret as it is written ("whsec_" and base64). ValueError says what is wrong, without it."""
    wanted = f'expected "{SECRET_PREFIX}" and the base64 of {KEY_OCTETS[0]} to {KEY_OCTETS[-1]} octets'
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(wanted) from None
    if not secret.startswith(SECRET_PREFIX) or len(key) not in KEY_OCTETS:
        raise ValueError(wanted)
    return key


def event_posts(
    webhooks: Iterable[Webhook],
    message: StoredMessage,
    events: Sequence[StoredEvent],
    now: float,
    new_id: Callable[[], str],
) -> list[WebhookPost]:
    """A post for each event of this message and each webhook that wants it."""
    return [
        WebhookPost(f"msg_{new_id()}", one.name, now, now, event_body(message, event))
        for event in events
        for one in webhooks
        if one.wants(event.name, message.account_name)
    ]


def bounce_posts(
    webhooks: Iterable[Webhook],
    account_name: str,
    document: Mapping[str, Any],
    now: float,
    new_id: Callable[[], str],
) -> list[WebhookPost]:
    """A post of this bounce, as bounces.webhook_document() says it, for each webhook that wants it."""
    wanting = (one for one in webhooks if one.wants_bounces(account_name))
    return [WebhookPost(new_id(), one.name, now, now, _encoded(document)) for one in wanting]


def event_body(message: StoredMessage, event: StoredEvent) -> bytes:
    """The JSON of an event: its type, its time, and what is known of the message and of what happened to it."""
    about = {
        "message_id": message.message_id,
        "kind": message.kind,
        "account": message.account_name,
        "header_message_id": message.header_message_id,
        "reverse_path": message.envelope.reverse_path,
    }
    document = {
        "type": f"message.{event.name}",
        "timestamp": timestamp(event.at),
        "data": {**event.detail, **about},
    }
    return _encoded(document)


def _encoded(document: Mapping[str, Any]) -> bytes:
    """The document as JSON; what UTF-8 cannot carry of foreign words travels escaped."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return json.dumps(document).encode()


def timestamp(at: float) -> str:
    """A time in the form of RFC 3339, in universal time, with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- a request


def request_headers(webhook: Webhook, post: WebhookPost, now: float) -> dict[str, str]:
    """The header fields of an attempt made now; post.attempts counts those made before."""
    common = {"Content-Type": "application/json"}
    if webhook.format == "postmark":
        return common | dict(_postmark_headers(webhook, post))
    seconds = str(int(now))
    return common | {
        "webhook-id": post.post_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(signature(key, post.post_id, seconds, post.body) for key in webhook.keys),
    }


def signature(key: bytes, post_id: str, seconds: str, body: bytes) -> str:
    """The signature of Standard Webhooks: "v1," and the base64 of an HMAC-SHA256 over id, time and body."""
    signed = b".".join((post_id.encode(), seconds.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _postmark_headers(webhook: Webhook, post: WebhookPost) -> Iterator[tuple[str, str]]:
    yield "X-PM-Webhook-Trace-Id", post.post_id
    yield "X-PM-Retries-Remaining", str(max(0, len(POSTMARK_WAITS) - post.attempts))
    if webhook.login:
        yield "Authorization", "Basic " + base64.b64encode(webhook.login.encode()).decode()


# -- an answer


def read_answer(webhook: Webhook, answer: ApiAnswer | NoAnswer) -> Verdict:
    """What the receiver's answer means. A redirection is not followed: the operator names where events go."""
    if isinstance(answer, NoAnswer):
        return Verdict.UNWELL
    if 200 <= answer.status < 300:
        return Verdict.TAKEN
    if answer.status == 410:
        return Verdict.GONE
    if answer.status >= 500 or answer.status in (408, 429):
        return Verdict.UNWELL
    return Verdict.DROPPED if webhook.format == "postmark" and answer.status >= 400 else Verdict.AGAIN


def next_wait_seconds(webhook: Webhook, post: WebhookPost, answer: ApiAnswer | NoAnswer, chance: float) -> float | None:
    """How long to wait after a failed attempt, None when it was the last; Retry-After is obeyed.

    post.attempts counts the attempts before this one; chance is a random number from 0 to 1.
    """
    waits = POSTMARK_WAITS if webhook.format == "postmark" else STANDARD_WAITS
    if webhook.format == "postmark" and post.attempts >= len(waits):
        return None
    seconds = waits[min(post.attempts, len(waits) - 1)] * (1 + JITTER * (2 * chance - 1))
    asked = retry_after_seconds(answer) if isinstance(answer, ApiAnswer) else None
    return max(seconds, asked or 0.0)


def is_too_old(webhook: Webhook, post: WebhookPost, at: float) -> bool:
    """Whether a post is not tried again at that time."""
    return webhook.format == "standard" and at - post.created_at > webhook.give_up_after_seconds
