"""The mail data scanner against a plain reading of the RFC, line by line, however the octets are cut."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.outcome import Reply
from gateway.smtp import replies
from gateway.smtp.maildata import MailData, TextRules

MAXIMUM_OCTETS = 60
LONG_OCTETS = 24 * 1024
LINE_OCTETS = 20

tokens = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.\r\n", b"\r\n..", b"\0", b"x", b"y" * 17, b"\xff", b"\n.\n"]),
    max_size=25,
)


def reference(octets: bytes) -> tuple[bytes, Reply | None, bytes] | None:
    """The text, its fault and the octets behind the end; None while there is no end."""
    end = (b"\r\n" + octets).find(b"\r\n.\r\n")
    if end < 0:
        return None
    stuffed, rest = octets[:end], octets[end + 3 :]
    lines = re.findall(rb".*?\r\n", stuffed, re.DOTALL)
    text = b"".join(line.removeprefix(b".") for line in lines)
    return text, reference_fault(stuffed, text), rest


def reference_fault(stuffed: bytes, text: bytes) -> Reply | None:
    bare = stuffed.replace(b"\r\n", b"")
    if b"\r" in bare or b"\n" in bare:
        return replies.BARE_LINE_END_IN_DATA
    if b"\0" in stuffed:
        return replies.NUL_IN_DATA
    if any(len(line) > LINE_OCTETS for line in stuffed.splitlines(keepends=True) if b"\n" in line):
        return replies.text_line_too_long(LINE_OCTETS)
    return replies.TOO_LARGE if len(text) > MAXIMUM_OCTETS else None


def scan(pieces: list[bytes]) -> tuple[bytes, Reply | None, bytes] | None:
    data = MailData(TextRules(MAXIMUM_OCTETS, LINE_OCTETS))
    text = b""
    for number, piece in enumerate(pieces):
        text += data.feed(piece)
        if data.rest is not None:
            return text, data.rules.fault, data.rest + b"".join(pieces[number + 1 :])
    return None


def compare(octets: bytes, pieces: list[bytes]) -> None:
    wanted, got = reference(octets), scan(pieces)
    if wanted is None or got is None:
        assert wanted is got
        return
    assert got[1:] == wanted[1:]
    if wanted[1] is None:
        assert got[0] == wanted[0]


@settings(max_examples=400)
@given(tokens.map(b"".join), st.lists(st.integers(0, 300), max_size=6))
def test_any_octets_in_any_pieces_are_read_as_the_rfc_says(octets, places):
    octets += b"\r\n.\r\nNOOP\r\n"
    marks = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    compare(octets, [octets[start:stop] for start, stop in pairwise(marks)])


@settings(max_examples=200)
@given(tokens.map(b"".join))
def test_octet_by_octet_is_the_same_as_whole(octets):
    compare(octets, [octets])
    compare(octets, [octets[place : place + 1] for place in range(len(octets))])


@given(st.lists(st.binary(max_size=8), max_size=20))
def test_no_more_than_the_beginning_of_an_end_mark_is_held_back(pieces):
    data, fed, given_out = MailData(TextRules(10**9, 10**9)), 0, 0
    for piece in pieces:
        fed += len(piece)
        given_out += len(data.feed(piece))
        if data.rest is not None or data.rules.fault is not None:
            return
        stuffed_dots = fed // 3 + 1
        assert fed - given_out <= 4 + stuffed_dots


@given(st.binary(max_size=200))
def test_clean_text_never_holds_a_bare_line_end_or_nul(octets):
    got = scan([octets + b"\r\n.\r\n"])
    assert got is not None
    if got[1] is None:
        assert got[0].count(b"\r") == got[0].count(b"\n") == got[0].count(b"\r\n")
        assert b"\0" not in got[0]


@settings(max_examples=400)
@given(
    st.integers(1, 9),
    st.integers(2, 6),
    st.integers(0, 9),
    st.integers(0, 60),
    st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"x", b"\0"]),
    st.booleans(),
)
def test_even_lines_with_one_flaw_anywhere_are_read_as_the_rfc_says(octets, lines, begun, place, flaw, in_place):
    """Lines of one length, as those of base64, are looked at in a way of their own; a piece may begin inside one."""
    even = ((b"a" * octets + b"\r\n") * lines)[begun:]
    piece = even[:place] + flaw + even[place + in_place :] + b"z\r\n.\r\n"
    compare(b"x" + piece, [b"x", piece])


@settings(max_examples=200)
@given(
    st.integers(0, LONG_OCTETS),
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"x"]),
    st.booleans(),
    st.sampled_from([76, 998]),
)
def test_long_text_with_one_flaw_anywhere_is_read_as_the_rfc_says(place, flaw, in_place, line_octets):
    begun = b"Subject: Hello\r\n\r\n--boundary of uneven lines\r\n"
    text = begun + (b"A" * line_octets + b"\r\n") * (LONG_OCTETS // line_octets) + b"--boundary--"
    octets = text[:place] + flaw + text[place + in_place * len(flaw) :] + b"\r\n.\r\nQUIT\r\n"
    compare(octets, [octets])
