"""What is remembered of a message that the vendor has taken for some of its recipients only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import partial
from gateway.message import Envelope
from gateway.partial import KEPT_SECONDS, TakenPaths, message_digest
from tests.content.spooled import spooled


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def taken(clock):
    return TakenPaths(clock)


def test_nothing_is_remembered_at_first(taken):
    assert not taken
    assert taken.of(b"1") == frozenset()


def test_who_has_been_served_is_added_up(taken):
    taken.add(b"1", frozenset({"a@x"}))
    taken.add(b"1", frozenset({"b@x"}))
    taken.add(b"2", frozenset({"c@x"}))
    assert taken
    assert taken.of(b"1") == {"a@x", "b@x"}


def test_it_is_forgotten_when_everybody_is_served(taken):
    taken.add(b"1", frozenset({"a@x"}))
    taken.forget(b"1")
    taken.forget(b"never known")
    assert not taken


def test_it_is_forgotten_when_no_queue_would_try_any_longer(taken, clock):
    taken.add(b"1", frozenset({"a@x"}))
    clock.now += KEPT_SECONDS - 1
    assert taken.of(b"1") == {"a@x"}
    clock.now += 2
    assert taken.of(b"1") == frozenset()


def test_it_keeps_to_its_bound_and_drops_the_oldest(taken, monkeypatch):
    monkeypatch.setattr(partial, "MESSAGES", 3)
    for number in b"1234":
        taken.add(bytes([number]), frozenset({"a@x"}))
    assert taken.of(b"1") == frozenset()
    assert taken.of(b"4") == {"a@x"}


ENVELOPE = Envelope("from@x", ("a@x", "b@x"))


@pytest.mark.parametrize(
    ("account", "envelope", "octets"),
    [
        ("other", ENVELOPE, b"data"),
        ("account", Envelope("other@x", ("a@x", "b@x")), b"data"),
        ("account", Envelope("from@x", ("a@x",)), b"data"),
        ("account", Envelope("from@x", ("a@xb@x",)), b"data"),
        ("account", Envelope("", ("from@x", "a@x", "b@x")), b"data"),
        ("account", ENVELOPE, b"datb"),
        ("account", ENVELOPE, b""),
    ],
)
def test_another_account_envelope_or_text_is_another_message(account, envelope, octets):
    assert message_digest(account, envelope, spooled(octets)) != message_digest("account", ENVELOPE, spooled(b"data"))


@given(st.binary(max_size=2000))
def test_the_same_message_is_the_same_from_memory_and_from_a_file(octets):
    first, second = spooled(octets), spooled(octets, memory_octets=0)
    assert message_digest("a", ENVELOPE, first) == message_digest("a", ENVELOPE, second)
    second.close()
