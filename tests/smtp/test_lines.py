"""The line buffer: lines out, refusals told once, and never much in memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.grammar import GrammarError
from gateway.smtp.lines import ENDLESS_OCTETS, EndlessLineError, LineBuffer

MAXIMUM = 12


def read_all(pieces: list[bytes]) -> tuple[list[object], int]:
    """What comes out of a buffer, and the most it held after it was read."""
    buffer, out, held = LineBuffer(), [], 0
    for piece in pieces:
        buffer.append(piece)
        while True:
            try:
                line = buffer.next_line(MAXIMUM)
            except GrammarError as error:
                out.append(error.reply)
                continue
            except EndlessLineError:
                return [*out, "endless"], held
            if line is None:
                break
            out.append(line)
        held = max(held, len(buffer))
    return out, held


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:stop] for start, stop in pairwise(marks)]


tokens = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"NOOP", b"x" * 9, b"\x16\x03", b"\0", b"AUTH "]), max_size=30
)


@given(tokens.map(b"".join), st.lists(st.integers(0, 400), max_size=8))
def test_the_same_lines_however_the_octets_are_cut(octets, places):
    whole, _ = read_all([octets])
    assert read_all(cut(octets, places))[0] == whole
    assert read_all([octets[place : place + 1] for place in range(len(octets))])[0] == whole


@given(tokens.map(b"".join))
def test_no_line_holds_a_line_feed_and_none_is_longer_than_allowed(octets):
    lines = [one for one in read_all([octets])[0] if isinstance(one, bytes)]
    assert all(b"\n" not in line and len(line) + 2 <= MAXIMUM for line in lines)


@given(tokens.map(b"".join))
def test_at_most_one_answer_for_each_crlf_and_one_for_what_is_open(octets):
    answers, _ = read_all([octets])
    assert len(answers) <= octets.count(b"\r\n") + 1


@given(st.lists(st.binary(max_size=40), max_size=50))
def test_no_more_is_held_than_a_line(pieces):
    assert read_all(pieces)[1] <= MAXIMUM


@pytest.mark.parametrize("piece", [1, 100, 65537])
def test_a_line_without_end_ends_at_the_same_octet_however_it_is_cut(piece):
    for octets, ends in ((b"x" * ENDLESS_OCTETS, False), (b"x" * (ENDLESS_OCTETS + 1), True)):
        pieces = [octets[start : start + piece] for start in range(0, len(octets), piece)]
        assert (read_all(pieces)[0] == ["endless"]) is ends


def test_line_feeds_alone_are_answered_once_and_never_kept():
    out, held = read_all([b"\n" * 5000] * 20)
    assert len(out) == 1
    assert held == 0
