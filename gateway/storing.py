"""Storing: a message becomes a record of the store, and the account that it came from is made again out of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Protocol

from gateway.accounts.account import Account
from gateway.content.spool import Spool
from gateway.departures import Plan
from gateway.incoming import Incoming
from gateway.message import Submission
from gateway.queue.schedule import Schedule
from gateway.quickly import quickly_made
from gateway.store.interface import PIECE_OCTETS, StoreError
from gateway.store.records import WAITING, Recipient, State, StoredEvent, StoredMessage
from gateway.trace import Hop

ACCOUNT_FIELDS = tuple(field.name for field in dataclasses.fields(Account) if field.name != "own_key")
ACCOUNT_VALUES = attrgetter(*ACCOUNT_FIELDS)
HOP_FIELDS = tuple(field.name for field in dataclasses.fields(Hop))
HOP_VALUES = attrgetter(*HOP_FIELDS)


class SealError(Exception):
    """The key that a client brought cannot be had again; the text says why, without it."""


class KeySeal(Protocol):
    """Seals the keys that clients bring, each to its message."""

    def seal(self, user_name: str, secret: str) -> bytes:
        """The secret, encrypted for that name alone."""

    def open(self, user_name: str, sealed: bytes) -> str:
        """The secret. StoreError when it was sealed otherwise."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Arrival:
    """A message on its way into the store: as it came, as it was read, when, and by which plan it is to leave."""

    incoming: Incoming
    submission: Submission
    received_at: float
    plan: Plan
    mode: str


class Records:
    """Makes records of messages."""

    def __init__(self, seal: KeySeal, schedule: Schedule) -> None:
        self._seal = seal
        self._schedule = schedule

    def message(
        self,
        arrival: Arrival,
        recipients: Sequence[Recipient],
        attempts: int = 0,
        next_attempt_at: float | None = None,
    ) -> StoredMessage:
        """The record of a message. A key that the client brought is in it, sealed, only while it is needed."""
        incoming, submission = arrival.incoming, arrival.submission
        account, content = incoming.account, submission.content
        waits = any(one.state in WAITING for one in recipients)
        ids = content.bodies("message-id")
        key = account.own_key if waits else None
        sealed_key = self._seal.seal(incoming.message_id, key) if key is not None else None
        origin = {"listener": account.listener, **dict(zip(HOP_FIELDS, HOP_VALUES(incoming.hop), strict=True))}
        header_message_id = ids[0].strip() if ids else ""
        author = content.author[0].address if content.author else ""
        expires_at = self._schedule.expires_at(arrival.received_at)
        # In their order: by name, Python would search for each of the twenty among those before it
        return StoredMessage(
            incoming.message_id, incoming.session_id, arrival.received_at, account.name, account_record(account),
            incoming.envelope, tuple(recipients), content.size_octets, arrival.mode, arrival.plan.departures[0].lane,
            "mail", sealed_key, origin, header_message_id, author, content.subject, (), submission.idempotency_key,
            expires_at, next_attempt_at, attempts, False, waits,
        )  # fmt: skip

    def account(self, message: StoredMessage) -> Account:
        """The account that sent a stored message. SealError when its key cannot be had."""
        account = Account(**message.account)
        if message.sealed_key is None:
            return account
        try:
            return replace(account, own_key=self._seal.open(message.message_id, message.sealed_key))
        except StoreError as error:
            raise SealError(str(error)) from None

    def incoming(self, message: StoredMessage, spool: Spool) -> Incoming:
        """A stored message as it came in. SealError when its key cannot be had."""
        origin = message.origin
        hop = Hop(*(str(origin.get(name, "")) for name in HOP_FIELDS))
        account = self.account(message)
        return Incoming(message.session_id, message.message_id, account, message.envelope, hop, spool)


def account_record(account: Account) -> Mapping[str, Any]:
    """What makes the account again, without its key."""
    return dict(zip(ACCOUNT_FIELDS, ACCOUNT_VALUES(account), strict=True))


def pieces(spool: Spool) -> Iterator[bytes]:
    """The mail data for the store, whole: StoreError when the spool has given less than it held at first."""
    size_octets = spool.size_octets
    for start in range(0, size_octets, PIECE_OCTETS):
        piece = spool.read(start, min(start + PIECE_OCTETS, size_octets))
        if len(piece) < min(PIECE_OCTETS, size_octets - start):
            raise StoreError("the mail data was given back before it was stored")
        yield piece


def event(at: float, name: str, message_id: str, recipients: Sequence[Recipient] = (), **detail: Any) -> StoredEvent:
    """One thing that happened to a message, with the recipients that it happened to."""
    if recipients:
        detail = {"recipients": [recipient_record(one) for one in recipients], **detail}
    return StoredEvent(at, name, message_id, detail)


def recipient_record(recipient: Recipient) -> Mapping[str, Any]:
    """A recipient in an event's detail; what is empty is left out."""
    record = {
        "path": recipient.path,
        "vendor": recipient.vendor,
        "vendor_message_id": recipient.vendor_message_id,
        "cause": recipient.cause,
        "reason": recipient.reason,
    }
    return {name: value for name, value in record.items() if value}


def received(message: StoredMessage, at: float) -> StoredEvent:
    """The first event of a message that was accepted."""
    detail = {
        "account": message.account_name,
        "mode": message.mode,
        "from": message.author,
        "subject": message.subject,
        "to": [one.path for one in message.recipients if one.state is not State.REJECTED],
    }
    return StoredEvent(at, "received", message.message_id, detail)
