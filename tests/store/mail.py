"""Messages for the store's tests, and short ways to put them in and take them out."""

from __future__ import annotations

from dataclasses import replace

from gateway.message import Envelope
from gateway.store.records import Attempt, Call, Recipient, State, Step, StoredMessage

NOW = 1_800_000_000.0
LANE = "main/own"
LEASE_SECONDS = 120.0
OVER = -1.0  # a lease that has ended when it begins
ATTEMPT = Attempt(
    "main",
    NOW,
    0.5,
    {"ann@cust.example": "deferred"},
    "try later",
    30.0,
    (Call("POST", "https://api.example/mail", 503, 0.4, "busy"),),
    ("tags: left out",),
    "gateway-1",
)


def message(number=1, *paths, state=State.QUEUED, at=NOW, **changes):
    """A message to these paths (default: one), all in one state, due at that time when queued."""
    paths = paths or (f"rcpt-{number}@cust.example",)
    made = StoredMessage(
        message_id=f"01jd{number:016}",
        session_id="01jdsession000000000",
        received_at=at,
        account_name="main/key-1",
        account={"name": "main/key-1", "vendor": "main"},
        envelope=Envelope("shop@shop.example", paths),
        recipients=tuple(Recipient(path, state) for path in paths),
        size_octets=1234,
        mode="queued",
        lane=LANE,
        expires_at=at + 5 * 86400,
        next_attempt_at=at if state is State.QUEUED else None,
        has_content=True,
    )
    return replace(made, **changes)


def add(store, *messages, content=b"content"):
    """Keep them, in one job."""

    def job(transaction):
        for one in messages:
            transaction.add_message(one, None if content is None else [content], ())

    store.run(job)


def claim(store, *, gateway="gateway-1", lane=LANE, account="main/key-1", now=NOW, limit=10, lease=LEASE_SECONDS):
    return store.run(lambda one: one.claim(gateway, lane, account, now, limit, lease))


def begin(store, *claims):
    return store.run(lambda one: one.begin(claims))


def ended(claim, state, **changes):
    """The step that brings all recipients of a claimed message into one state."""
    recipients = tuple(replace(one, state=state) for one in claim.message.recipients)
    due = NOW + 60 if state is State.QUEUED else None
    return replace(Step(claim.message.message_id, recipients, due, ATTEMPT), **changes)


def finish(store, claim, state, **changes):
    return store.run(lambda one: one.finish(claim, ended(claim, state, **changes)))


def found(store, message):
    return store.look(lambda one: one.message(message.message_id))


def states(store, message):
    return [one.state for one in found(store, message).recipients]


def totals(store):
    """The totals, after a look whether they are whole and the rows say the same."""
    kept, counted = store.look(lambda one: (one.totals(), one.recount()))
    assert kept == counted
    assert kept.is_whole
    return kept


def end_leases(store):
    """As if the time of all claims had passed."""
    store.run(lambda one: one._database.execute("UPDATE queue SET claimed_until = 0"))
