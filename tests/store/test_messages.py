"""The message log: what is kept of a message, and how it is found again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.message import Envelope
from gateway.store.interface import PIECE_OCTETS
from gateway.store.records import Recipient, Selection, State
from tests.store.mail import ATTEMPT, NOW, add, claim, finish, found, message, totals


def select(store, limit=100, **conditions):
    """The numbers of the messages found, in order."""
    kept = store.look(lambda one: one.select(Selection(**conditions), limit))
    return [int(one.message_id[4:]) for one in kept]


def content(store, one):
    return store.look(lambda transaction: list(transaction.content(one.message_id)))


def test_a_message_comes_back_as_it_was(store):
    kept = message(
        1,
        "ann@cust.example",
        '"odd one"@cust.example',
        "jürgen@cust.example",
        envelope=Envelope(
            "shop@shop.example",
            ("ann@cust.example", '"odd one"@cust.example', "jürgen@cust.example"),
            "HDRS",
            "QQ314159",
            {"ann@cust.example": "NEVER"},
            {"ann@cust.example": "rfc822;ann@old.example"},
        ),
        sealed_key=bytes(range(256)),
        origin={"listener": "tcp:587", "peer": "192.0.2.1", "tls": True},
        header_message_id="<1@shop.example>",
        author="Shop <shop@shop.example>",
        subject="Grüße \U0001f4e8",
        moved_to=("backup",),
        idempotency_key="k-1",
        attempts=2,
        warned=True,
        kind="dsn",
    )
    store.run(lambda one: one.add_message(kept, [b"content"], (ATTEMPT, ATTEMPT)))
    assert found(store, kept) == kept
    assert store.look(lambda one: one.attempts(kept.message_id)) == [ATTEMPT, ATTEMPT]
    assert content(store, kept) == [b"content"]


def test_what_is_not_there_is_not_found(store):
    assert found(store, message(1)) is None
    assert store.look(lambda one: one.attempts("x")) == content(store, message(1)) == []
    assert store.look(lambda one: one.content_piece("x", 0)) is None


@pytest.mark.parametrize("hostile", ["a\0b", "a\ud800b", "'; DROP TABLE messages; --", "%_!?%s\\", "\x1b[31m\r\n"])
def test_hostile_text_is_kept_as_far_as_it_is_text_and_breaks_nothing(store, hostile):
    kept = message(1, subject=hostile, author=hostile, origin={"hello": hostile}, account={"name": hostile})
    add(store, kept)
    now = found(store, kept)
    assert now.origin == kept.origin
    assert now.subject == hostile.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    assert select(store, text=hostile) == [1]
    assert select(store, recipient=hostile) == []


def test_content_is_kept_in_pieces_of_one_size(store):
    octets = bytes(range(256)) * (PIECE_OCTETS // 100)
    cut = [octets[start : start + 70_001] for start in range(0, len(octets), 70_001)]
    store.run(lambda one: one.add_message(message(1), cut, ()))
    pieces = content(store, message(1))
    assert b"".join(pieces) == octets
    assert [len(piece) for piece in pieces[:-1]] == [PIECE_OCTETS] * (len(octets) // PIECE_OCTETS)
    assert store.look(lambda one: one.content_piece(message(1).message_id, 1)) == pieces[1]
    assert store.look(lambda one: one.content_piece(message(1).message_id, len(pieces))) is None


def test_empty_content_is_content(store):
    add(store, message(1), content=b"")
    assert content(store, message(1)) == [b""]


def test_a_message_is_kept_once(store):
    add(store, message(1))
    with pytest.raises(ValueError, match=r"(?i)unique"):
        add(store, message(1, subject="other"))
    assert found(store, message(1)) == message(1)
    assert totals(store).accepted == 1


def test_a_message_that_would_wait_for_ever_is_refused(store):
    for wrong, octets in (
        (message(1), None),
        (message(2, next_attempt_at=None), b"x"),
        (message(3, state=State.HELD, next_attempt_at=NOW), b"x"),
    ):
        with pytest.raises(ValueError, match=wrong.message_id):
            add(store, wrong, content=octets)
    assert select(store) == []


def test_what_a_client_was_refused_is_in_the_log_and_not_in_the_sum(store):
    mixed = message(1, "ann@cust.example", "bob@cust.example", has_content=False, state=State.REJECTED)
    mixed = replace(mixed, recipients=(Recipient("ann@cust.example", State.RELAYED), mixed.recipients[1]))
    add(store, mixed, content=None)
    assert found(store, mixed) == mixed
    assert (totals(store).accepted, totals(store).relayed) == (1, 1)


def test_the_same_path_twice_is_two_recipients(store):
    add(store, message(1, "ann@cust.example", "ann@cust.example"))
    (mine,) = claim(store)
    finish(store, mine, State.RELAYED)
    assert totals(store).relayed == 2


# -- finding


@pytest.fixture
def log(store):
    """Six messages: some of each kind."""
    made = [
        message(1, "ann@cust.example", at=NOW, account_name="Shop", header_message_id="<One@shop.example>"),
        message(2, "Ann@Cust.example", "bob@cust.example", at=NOW + 1, subject="Your INVOICE", lane="backup/own"),
        message(3, "b_b@cust.example", at=NOW + 2, state=State.HELD, author="Billing <bill@shop.example>"),
        message(4, state=State.RELAYED, at=NOW + 3),
        message(5, state=State.REFUSED, at=NOW + 4, envelope=Envelope("bounce+5@shop.example", ())),
        message(6, at=NOW + 5, account_name="shop", subject="100% sure"),
    ]
    relayed = Recipient("rcpt-4@cust.example", State.RELAYED, False, "Main", "V-4")
    made[3] = replace(made[3], recipients=(relayed,))
    add(store, *made)
    return store


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"message_ids": (message(2).message_id, message(5).message_id, "nosuch")}, [5, 2]),
        ({"account_name": "SHOP"}, [6, 1]),
        ({"vendor": "MAIN"}, [6, 5, 4, 3, 1]),
        ({"vendor": "backup"}, [2]),
        ({"vendor": "back"}, []),
        ({"recipient": "ANN@"}, [2, 1]),
        ({"recipient": "b_b"}, [3]),
        ({"recipient": "%"}, []),
        ({"header_message_id": "one@SHOP.example"}, [1]),
        ({"header_message_id": "<one@shop.example>"}, [1]),
        ({"header_message_id": "one"}, []),
        ({"vendor_message_id": "v-4"}, [4]),
        ({"vendor_message_id": "v"}, []),
        ({"states": (State.HELD, State.REFUSED)}, [5, 3]),
        ({"states": (State.RELAYED, State.HELD)}, [4, 3]),
        ({"received_from": NOW + 2, "received_until": NOW + 4}, [4, 3]),
        ({"text": "invoice"}, [2]),
        ({"text": "BILL"}, [3]),
        ({"text": "bounce+5@"}, [5]),
        ({"text": "0%"}, [6]),
        ({"before_id": message(3).message_id}, [2, 1]),
        ({"account_name": "shop", "states": (State.QUEUED,), "received_from": NOW + 1}, [6]),
    ],
)
def test_messages_are_found_newest_first(log, conditions, numbers):
    assert select(log, **conditions) == numbers
    assert select(log, 1, **conditions) == numbers[:1]
