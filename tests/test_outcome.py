"""How outcomes fold into the one reply that a client gets, and how hostile words become a reply line."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outcome import (
    REASON_OCTETS,
    REPLIES,
    Accepted,
    Cause,
    Deferred,
    Refused,
    Reply,
    Unknown,
    fold,
    printable,
    reply_for,
)

IN_ORDER = [Unknown("u"), Deferred(Cause.UNAVAILABLE), Accepted("m"), Refused(Cause.INVALID)]
"""Whoever may still get the message decides."""


@pytest.mark.parametrize("outcomes", [chosen for n in (1, 2, 3, 4) for chosen in itertools.permutations(IN_ORDER, n)])
def test_the_most_open_outcome_decides_wherever_it_stands(outcomes):
    assert fold(dict(enumerate(outcomes))) == min(outcomes, key=IN_ORDER.index)  # type: ignore[arg-type]  # paths: any


def test_of_equal_outcomes_the_first_is_told():
    assert fold({"a": Refused(Cause.INVALID, "1"), "b": Refused(Cause.SUPPRESSED, "2")}).reason == "1"


def test_nothing_to_fold_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="no outcomes"):
        fold({})


@given(st.text())
def test_a_reason_becomes_one_bounded_line_of_printable_ascii(text):
    told = printable(text)
    assert told.isascii()
    assert told.isprintable() or told == ""
    assert len(told) <= REASON_OCTETS


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("a\r\nb\tc", "a b c"),
        ("über", "?ber"),
        ("a\x00\x1bb", "a??b"),
        ("  a  ", "a"),
        ("\ud800", "?"),
        ("x" * 999, "x" * 380),
    ],
)
def test_what_cannot_be_printed_is_replaced(reason, told):
    assert printable(reason) == told


@given(st.sampled_from(list(Cause)), st.text(), st.booleans())
def test_every_reply_is_a_line_that_smtp_can_carry(cause, reason, worded):
    wording = {cause: Reply(599, "{reason}", "5.0.0")} if worded else {}
    code, text, enhanced = reply_for(cause, reason, wording)
    line = f"{code} {enhanced} {text}\r\n"
    assert len(line) <= 512
    assert text.isprintable()


def test_a_reason_is_taken_literally_whatever_braces_it_has():
    wording = {Cause.INVALID: Reply(554, "{reason}")}
    assert reply_for(Cause.INVALID, "{0} {reason} %s {cause!r}", wording).text == "{0} {reason} %s {cause!r}"


def test_an_empty_reason_is_told_as_such():
    assert reply_for(Cause.INVALID, " \r\n", {Cause.INVALID: Reply(554, "{reason}")}).text == "no reason given"


def test_the_dialects_own_wording_comes_first_and_every_cause_has_another():
    own = {Cause.SUPPRESSED: Reply(550, "ours")}
    assert reply_for(Cause.SUPPRESSED, "", own) == Reply(550, "ours")
    assert set(REPLIES) == set(Cause)
    assert all(reply.enhanced.startswith(f"{reply.code // 100}.") for reply in REPLIES.values())
