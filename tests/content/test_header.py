"""Header sections as they are sent: folded, 8-bit, broken, huge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.header import find_body, first_line_without_field, is_field_name, parse_fields


def fields(block: bytes) -> list[tuple[str, str]]:
    return [(one.name, one.body) for one in parse_fields(block)[0]]


def test_fields_keep_their_order_their_spelling_and_their_repetitions():
    block = b"Received: a\r\nReceived: b\r\nSUBJECT: x\r\nsubject: y\r\n"
    assert fields(block) == [("Received", "a"), ("Received", "b"), ("SUBJECT", "x"), ("subject", "y")]


@pytest.mark.parametrize(
    ("block", "body"),
    [
        (b"A: one\r\n two\r\n\tthree\r\n", "one two\tthree"),
        (b"A:\r\n one\r\n", "one"),
        (b"A: one\n two\n", "one two"),
        (b"A: one\r\n \r\n two\r\n", "one  two"),
        (b"A : one\r\n", "one"),
        (b"A:one", "one"),
        (b"A: b:c\r\n", "b:c"),
        (b"A:\r\n", ""),
        (b"A: =?utf-8?q?x?=\r\n", "=?utf-8?q?x?="),
    ],
)
def test_a_field_is_unfolded_and_its_words_are_left(block, body):
    assert fields(block) == [("A", body)]


def test_eight_bit_is_read_field_by_field():
    block = "A: é\r\n".encode() + b"B: caf\xe9 \x80\r\nC: \x81\r\n"
    assert fields(block) == [("A", "é"), ("B", "café €"), ("C", "\x81")]


def test_lines_that_are_no_fields_are_counted_and_skipped():
    found, report = parse_fields(b" folded\r\nno colon\r\nbad name: x\r\n: empty\r\nGood: 1\r\nUml\xe4ut: x\r\n")
    assert [(one.name, one.body) for one in found] == [("Good", "1")]
    assert report == ["5 lines of a header section are no header fields and were skipped"]


def test_control_characters_never_reach_a_field():
    found, report = parse_fields(b"A: x\rBcc: y\x00z\x7f\r\n")
    assert [(one.name, one.body) for one in found] == [("A", "x Bcc: y z")]
    assert report == ["control characters in the header section were read as blanks"]


@pytest.mark.parametrize(
    ("octets", "body_start"),
    [
        (b"A: b\r\n\r\nbody", 8),
        (b"A: b\n\nbody", 6),
        (b"A: b\n\r\nbody", 7),
        (b"A: b\n\nbody\r\n\r\nx", 6),
        (b"\r\nbody", 2),
        (b"\nbody", 1),
        (b"A: b\r\n", -1),
        (b"", -1),
    ],
)
def test_the_first_empty_line_ends_the_header_section(octets, body_start):
    assert find_body(octets) == body_start


def test_without_an_empty_line_the_body_begins_where_no_field_can_be():
    assert first_line_without_field(b"A: b\r\n c\r\nHello you\r\n") == 10
    assert first_line_without_field(b"A: b\r\nC: d\r\n") == 12
    assert first_line_without_field(b" x\r\n") == 0


def test_a_hundred_thousand_fields_are_read():
    assert len(fields(b"A: b\r\n" * 100_000)) == 100_000
    assert fields(b"A: b\r\n" + b" c\r\n" * 100_000) == [("A", "b" + " c" * 100_000)]


@given(st.binary(max_size=300))
def test_any_octets_give_clean_fields(octets):
    for one in parse_fields(octets)[0]:
        assert is_field_name(one.name)
        assert not any(c < " " and c != "\t" for c in one.body)


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1)
BODIES = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"])).map(str.strip)


@given(st.lists(st.tuples(NAMES, BODIES)))
def test_what_was_written_is_read(written):
    block = "".join(f"{name}: {body}\r\n" for name, body in written).encode()
    assert fields(block) == [(name, body.strip(" \t")) for name, body in written]
