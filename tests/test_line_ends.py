"""Line ends, found and taken out by columns, against a plain reading."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.line_ends import BLANKS, has_bare_line_end, without_blanks

FLAWS = [b"", b"\r", b"\n", b"\r\n", b" ", b"\t", b"x"]

uneven = st.lists(st.sampled_from([*FLAWS, b"\xff", b"\0", b"y" * 5]), max_size=30).map(b"".join)


@st.composite
def nearly_even(draw: st.DrawFn) -> bytes:
    """Lines of one length, cut off at both ends, with a flaw put in or put in the place of other octets."""
    line = draw(st.binary(max_size=9)) + b"\r\n"
    text = line * draw(st.integers(0, 8))
    text = text[draw(st.integers(0, len(line))) : len(text) - draw(st.integers(0, len(line)))]
    place, flaw = draw(st.integers(0, len(text))), draw(st.sampled_from(FLAWS))
    return text[:place] + flaw + text[place + draw(st.booleans()) * len(flaw) :]


texts = st.one_of(uneven, nearly_even(), st.binary(max_size=40))


@settings(max_examples=500)
@given(texts)
@example(b"\r\n")
@example(b"\n")
@example(b"a\r\nb\r\nc\r")
@example(b"ab\r\nab\r\nab\rx")
def test_a_bare_line_end_is_found_wherever_it_is(text):
    rest = text.replace(b"\r\n", b"")
    assert has_bare_line_end(text) == (b"\r" in rest or b"\n" in rest)


@settings(max_examples=500)
@given(texts)
@example(b"")
@example(b"a\r\n\r\n\r\n")
@example(b"QUJD\r\nQUJD\r\nQU")
@example(b"QUJD\r\nQUJD\r\nQUJD\r")
def test_without_blanks_all_else_is_there_in_order(text):
    assert without_blanks(text) == text.translate(None, BLANKS)
