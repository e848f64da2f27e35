"""What the store keeps of a message: plain frozen records, without any database.

Times are seconds since 1970 by the wall clock. Keys of clients are kept sealed only; no other secret is in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.message import Envelope
from gateway.quickly import quickly_made


class State(StrEnum):
    """Where a recipient's copy of a message stands."""

    QUEUED = "queued"
    """On stable storage, an attempt is to come."""
    HELD = "held"
    """On stable storage, and no attempt until somebody releases it."""
    RELAYED = "relayed"
    """A vendor has it."""
    REFUSED = "refused"
    """A vendor refused it after the gateway had accepted it; a notice tells the sender."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    """Somebody who steers the queue took it out."""
    REJECTED = "rejected"
    """The client itself got a 4xx or 5xx: it was never accepted, and is kept for the log alone."""


WAITING = (State.QUEUED, State.HELD)
"""The states in which the content is still needed."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path and what became of it.

    is_unknown: an attempt may have handed it over without an answer. cause is the name of a Cause, empty when
    relayed or untried; reason the vendor's own words.
    """

    path: str
    state: State
    is_unknown: bool = False
    vendor: str = ""
    vendor_message_id: str = ""
    cause: str = ""
    reason: str = ""


@quickly_made
@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request of an attempt and its answer. answer is the body's beginning, without keys; status 0: none."""

    method: str
    url: str
    status: int
    seconds: float
    answer: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Attempt:
    """One exchange with one vendor entry, as the message log shows it. outcomes by forward-path: accepted, refused,
    deferred or unknown; report is what could not be carried or had to be repaired."""

    vendor: str
    began_at: float
    seconds: float
    outcomes: Mapping[str, str]
    reason: str = ""
    retry_after_seconds: float | None = None
    calls: tuple[Call, ...] = ()
    report: tuple[str, ...] = ()
    gateway: str = ""


@quickly_made
@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of the log, and of the queue while a recipient waits.

    account is what makes the account again (no key in it), sealed_key the client's own key as Seal gives it; origin
    tells how the message came (listener, peer, hello name, transmission type, TLS). moved_to are the vendor entries
    that somebody moved it to, in place of the settings' route. lane is the vendor entry and the key by which it was to
    leave when last looked at: messages of one lane share limits. mode is direct, queued or spill; kind is mail, or dsn
    for a notice of our own. next_attempt_at is None when nothing waits, or all is held.
    """

    message_id: str
    session_id: str
    received_at: float
    account_name: str
    account: Mapping[str, Any]
    envelope: Envelope
    recipients: tuple[Recipient, ...]
    size_octets: int
    mode: str
    lane: str = ""
    kind: str = "mail"
    sealed_key: bytes | None = field(default=None, repr=False)
    origin: Mapping[str, Any] = field(default_factory=dict)
    header_message_id: str = ""
    author: str = ""
    subject: str = ""
    moved_to: tuple[str, ...] = ()
    idempotency_key: str = ""
    expires_at: float = 0.0
    next_attempt_at: float | None = None
    attempts: int = 0
    warned: bool = False
    has_content: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that one gateway may attempt until its lease ends. token tells this claim from any other of it.

    was_in_flight: the gateway before began an attempt and never told its end, so that it is unknown.
    """

    message: StoredMessage
    token: str
    was_in_flight: bool = False


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane and an account that have mail to attempt now, and since when."""

    lane: str
    account_name: str
    oldest_due_at: float


@dataclass(frozen=True, slots=True)
class Step:
    """What an attempt, an expiry or an operator changed of a message; written in one transaction.

    recipients are those that changed; attempt is None when none was made. next_attempt_at is None when no recipient
    is queued any more. lane is written when not empty. at is when it happened; 0: when the attempt ended.
    """

    message_id: str
    recipients: tuple[Recipient, ...]
    next_attempt_at: float | None
    attempt: Attempt | None = None
    lane: str = ""
    warned: bool = False
    at: float = 0.0
    attempts_before: tuple[Attempt, ...] = ()
    """Those at other vendors of the route, right before the attempt."""


@quickly_made
@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One thing that happened to a message: received, relayed, deferred, refused, expired, held, released, cancelled,
    unknown, rejected, retried, moved, notified. number counts up and is 0 before it is stored; detail is JSON for
    webhooks and pages."""

    at: float
    name: str
    message_id: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages are meant; an empty condition fits all. Texts compare without case; recipient and text fit
    parts. before_id pages: only messages older than that id, newest first."""

    message_ids: tuple[str, ...] = ()
    account_name: str = ""
    vendor: str = ""
    recipient: str = ""
    header_message_id: str = ""
    vendor_message_id: str = ""
    states: tuple[State, ...] = ()
    received_from: float | None = None
    received_until: float | None = None
    text: str = ""
    before_id: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many recipients were accepted, ever, and where they stand; the log's retention takes nothing from it."""

    accepted: int
    relayed: int
    refused: int
    expired: int
    cancelled: int
    queued: int
    held: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        ended = self.relayed + self.refused + self.expired + self.cancelled
        return self.accepted == ended + self.queued + self.held


@dataclass(frozen=True, slots=True)
class Bounce:
    """A failure found after acceptance, as a dialect's own bounce record tells it (contract: postmark.md, 2.7)."""

    number: int
    message_id: str
    account_name: str
    path: str
    at: float
    error_code: int
    description: str
    details: str
    stream: str = ""
    tag: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebhookPost:
    """One delivery to one webhook URL: stored like mail, tried until it is taken or too old. body is what is signed."""

    post_id: str
    webhook: str
    created_at: float
    next_attempt_at: float
    body: bytes
    attempts: int = 0
    token: str = ""
