"""Stored messages for the tests of notices, and a transaction that keeps what is written into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.message import Envelope
from gateway.store.records import Bounce, Recipient, State, StoredEvent, StoredMessage, WebhookPost

NOW = 1_795_000_000.0
HEADER = (
    b"From: Shop <orders@shop.example>\r\nTo: ann@mail.example\r\nSubject: Order 77\r\n"
    b"Message-ID: <77@shop.example>\r\n"
)
ORIGINAL = HEADER + b"\r\nThanks.\r\n"


def refused(path: str = "ann@mail.example", **more: Any) -> Recipient:
    """A recipient that the vendor refused."""
    about = {"vendor": "postscale", "cause": "SUPPRESSED", "reason": "On the suppression list"} | more
    return Recipient(path, State.REFUSED, **about)


def stored(*recipients: Recipient, reverse_path: str = "orders@shop.example", **more: Any) -> StoredMessage:
    """A message that was accepted an hour ago; what belongs to the envelope may be named too."""
    recipients = recipients or (refused(),)
    asked = {name: more.pop(name) for name in ("ret", "envid", "notify", "orcpt") if name in more}
    message = StoredMessage(
        message_id="01k9message0000000aa",
        session_id="01k9session0000000aa",
        received_at=NOW - 3600,
        account_name="postscale/key-12345678",
        account={"name": "postscale/key-12345678", "dialect": "postscale", "vendor": "postscale"},
        envelope=Envelope(reverse_path, tuple(one.path for one in recipients), **asked),
        recipients=recipients,
        size_octets=len(ORIGINAL),
        mode="queued",
        header_message_id="<77@shop.example>",
        author="orders@shop.example",
        subject="Order 77",
        expires_at=NOW + 5 * 86400,
        attempts=2,
        has_content=True,
    )
    return replace(message, **more)


class Kept:
    """A transaction, as far as notices use one."""

    def __init__(self, content: bytes = ORIGINAL) -> None:
        self._content = content
        self.messages: list[tuple[StoredMessage, bytes]] = []
        self.events: list[StoredEvent] = []
        self.bounces: list[Bounce] = []
        self.posts: list[WebhookPost] = []

    def content(self, message_id: str) -> Any:
        return iter([self._content[start : start + 100] for start in range(0, len(self._content), 100)])

    def add_message(self, message: StoredMessage, content: Any, attempts: Sequence[Any]) -> None:
        self.messages.append((message, b"".join(content)))

    def add_events(self, events: Sequence[StoredEvent]) -> None:
        self.events += events

    def add_bounce(self, bounce: Bounce) -> int:
        self.bounces.append(bounce)
        return len(self.bounces)

    def add_webhook_posts(self, posts: Sequence[WebhookPost]) -> None:
        self.posts += posts
