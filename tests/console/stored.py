"""Mail for the pages to show, put into a store as the queue would: an ordinary hour with some trouble in it."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace

from gateway.ids import new_id
from gateway.message import Envelope
from gateway.store.records import Attempt, Call, Recipient, State, StoredEvent, StoredMessage

URL = "https://api.postscale.example/v1/send"
SUBJECTS = (
    "Your invoice 20{:04}", "Order {:05} is on its way", "Reset your password", "Alert: disk of db-{:02} is 91 % full",
    "Booking {:05} confirmed", "Minutes of the meeting", "Your receipt {:05}", "Please confirm your address",
)  # fmt: skip
SENDERS = ("billing@shop.example", "orders@shop.example", "accounts@shop.example", "monitoring@ops.example")
RECIPIENTS = ("ann", "bob", "carla", "dmitri", "eun-ji", "farid", "grace", "hugo")
MAIL = b"From: shop@shop.example\r\nTo: ann@cust.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
UNAVAILABLE = Call("POST", URL, 503, 0.41, '{"error": "service_unavailable", "message": "Try again later."}')
TAKEN = Call("POST", URL, 202, 0.12, '{"message_id": "msg_7c1f", "status": "queued"}')
SUPPRESSED = '{"error": "recipient_suppressed", "message": "The recipient complained about earlier mail."}'
REFUSED = Call("POST", URL, 422, 0.09, SUPPRESSED)


def message(at: float, state: State, subject: str = "Your invoice 77", **changes) -> StoredMessage:
    """One message to one recipient, received at that time."""
    waits = state in (State.QUEUED, State.HELD)
    reasons = {
        State.REFUSED: ("RECIPIENT_REFUSED", "The recipient complained about earlier mail."),
        State.QUEUED: ("UNAVAILABLE", "503: Try again later."),
        State.HELD: ("NEVER_ANSWERED", "the request was written and never answered"),
        State.REJECTED: ("SENDER_REFUSED", "The domain unverified.example is not verified."),
    }
    cause, reason = reasons.get(state, ("", ""))
    vendor_message_id = "msg_7c1f0b52" if state is State.RELAYED else ""
    one = Recipient("ann@cust.example", state, state is State.HELD, "main", vendor_message_id, cause, reason)
    made = StoredMessage(
        message_id=new_id(lambda: at),
        session_id=new_id(lambda: at - 1),
        received_at=at,
        account_name="main/key-d597fc8a",
        account={"name": "main/key-d597fc8a", "dialect": "postscale", "vendor": "main"},
        envelope=Envelope("bounces@shop.example", ("ann@cust.example",)),
        recipients=(one,),
        size_octets=len(MAIL),
        mode="queued",
        lane="main/key-d597fc8a",
        origin={
            "listener": "tcp:587", "hello_name": "app-3.shop.example", "peer": "10.2.0.17",
            "transmission_type": "ESMTPSA", "tls": "TLSv1.3, TLS_AES_256_GCM_SHA384",
        },
        header_message_id=f"<{int(at * 1000)}@shop.example>",
        author="billing@shop.example",
        subject=subject,
        idempotency_key="3f0c7a",
        expires_at=at + 5 * 86400,
        next_attempt_at=at + 1200 if state is State.QUEUED else None,
    )  # fmt: skip
    return replace(made, has_content=waits, **changes)


def attempts(one: StoredMessage, seconds: float = 0.2) -> tuple[Attempt, ...]:
    """The attempts that led to where a message stands."""
    path, state = one.recipients[0].path, one.recipients[0].state
    call, outcome = {
        State.RELAYED: (TAKEN, "accepted"),
        State.REFUSED: (REFUSED, "refused"),
        State.REJECTED: (REFUSED, "refused"),
    }.get(state, (UNAVAILABLE, "deferred"))
    report = ("header X-Campaign-Budget: left out, the API has no place for it",)
    reason = one.recipients[0].reason
    return (
        Attempt("main", one.received_at + 0.05, seconds, {path: outcome}, reason, None, (call,), report, "gateway-1"),
    )


def events(one: StoredMessage, seconds: float = 0.25) -> list[StoredEvent]:
    """What the feed tells of it."""
    recipient = one.recipients[0]
    names = {State.QUEUED: "deferred", State.HELD: "held"}
    detail = {"recipients": [{"path": recipient.path, "vendor": recipient.vendor, "reason": recipient.reason}]}
    received = StoredEvent(one.received_at, "received", one.message_id, {"to": [recipient.path], "mode": one.mode})
    ended = names.get(recipient.state, recipient.state.value)
    told = [] if recipient.state is State.REJECTED else [received]
    return [*told, StoredEvent(one.received_at + seconds, ended, one.message_id, detail)]


def keep(store, *messages: StoredMessage, content: bytes = MAIL) -> None:
    """Put them into the store, with content where it is kept. Attempts take longer while the vendor fails."""

    def job(transaction) -> None:
        for one in messages:
            seconds = 0.15 + int(one.received_at * 7) % 40 / 200 + (one.recipients[0].state is State.QUEUED) * 1.4
            transaction.add_message(one, [content] if one.has_content else None, attempts(one, seconds))
            transaction.add_events(events(one, seconds + 0.1))

    store.run(job)


def an_hour(store, now: float | None = None, seed: int = 7) -> None:
    """An ordinary hour: a few mails a minute, a vendor that failed for some minutes, and what waits because of it."""
    now = now or time.time()
    chance = random.Random(seed)
    found = []
    for minute in range(60):
        begin = now - 3600 + minute * 60
        fails = 34 <= minute < 41
        for number in range(int(9 + 5 * math.sin(minute / 7) + chance.random() * 5)):
            state = State.RELAYED
            if chance.random() < (0.35 if fails else 0.0):
                state = State.QUEUED
            elif chance.random() < 0.04:
                state = chance.choice((State.REFUSED, State.REFUSED, State.REJECTED, State.CANCELLED))
            at = min(begin + chance.random() * 59, now - 2)
            subject = chance.choice(SUBJECTS).format(chance.randrange(1, 99))
            path = f"{chance.choice(RECIPIENTS)}@{chance.choice(('cust.example', 'mail.example', 'firm.example'))}"
            one = message(at, state, subject, author=chance.choice(SENDERS))
            recipients = (replace(one.recipients[0], path=path),)
            found.append(replace(one, recipients=recipients, envelope=Envelope("bounces@shop.example", (path,))))
            if number == 3 and fails:
                found.append(message(at + 0.5, State.HELD, "Contract for signature", author="legal@shop.example"))
    keep(store, *sorted(found, key=lambda one: one.received_at))
