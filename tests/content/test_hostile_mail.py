"""Damaged and hostile mail data: always a content or a reason, never another exception, never more than linear cost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.content import base64_source, decoding, sources
from gateway.content import spool as spool_module
from gateway.content.reading import UnreadableError, read_content
from gateway.message import Content

from .contents import OUTLOOK, html_of, multipart, octets_of, read, text_of
from .spooled import CountingSpool, crlf, spooled

SNIPPETS = st.sampled_from(
    [b"\r\n", b"\n", b"--x", b"--", b"Content-Type: multipart/mixed; boundary=x", b"Content-Type: ", b"=E9", b" ", b'"',
     b"text/html; charset=", b"utf-8", b"iso-2022-jp", b"utf-16", b"Content-Transfer-Encoding: ", b"base64", b"\x1b$B",
     b"quoted-printable", b"Content-ID: <a>", b"Content-Disposition: attachment; filename=", b"message/rfc822", b";",
     b"multipart/digest; boundary=x", b"Subject: =?utf-8?b?", b"?=", b"From: ", b"To: ", b"a@b", b"=", b"AAAA"]
)  # fmt: skip
NONSENSE = st.lists(SNIPPETS | st.binary(max_size=6), max_size=40).map(b"".join)


def whole(content: Content) -> tuple[object, ...]:
    """Everything that can be read from a content."""
    attachments = [
        (one.filename, one.content_type, one.content_id, one.inline, octets_of(one)) for one in content.attachments
    ]
    people = (content.author, content.to, content.cc, content.subject, content.size_octets)
    return (content.fields, people, text_of(content), html_of(content), attachments, content.report)


def outcome(spool) -> tuple[object, ...]:
    try:
        return whole(read_content(spool))
    except UnreadableError as error:
        return (str(error),)


@given(NONSENSE)
@settings(max_examples=400, deadline=None)
def test_any_octets_give_content_or_unreadable_the_same_from_memory_and_from_a_file(octets):
    from_memory = outcome(spooled(octets))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "FIRST_WINDOW_OCTETS", 3)
        patch.setattr(spool_module, "LAST_WINDOW_OCTETS", 7)
        patch.setattr(decoding, "PIECE_OCTETS", 12)
        patch.setattr(base64_source, "PIECE_OCTETS", 12)
        patch.setattr(sources, "KEPT_TEXT_OCTETS", 0)
        file = spooled(octets, memory_octets=0)
        assert outcome(file) == from_memory
        file.close()


def mutated(octets: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    for start, length, snippet in cuts:
        octets = octets[:start] + snippet + octets[start + length :]
    return octets


CUTS = st.lists(
    st.tuples(st.integers(0, len(OUTLOOK)), st.integers(0, 40), SNIPPETS | st.binary(max_size=3)), max_size=8
)


@given(CUTS)
@settings(max_examples=200, deadline=None)
def test_a_damaged_message_gives_content_or_unreadable(cuts):
    assert outcome(spooled(mutated(crlf(OUTLOOK), cuts)))


@given(
    st.binary(max_size=60), st.sampled_from(["utf-16", "utf-32", "iso-2022-jp", "iso-2022-kr", "hz", "big5", "cp932"])
)
@pytest.mark.parametrize("kept_octets", [0, 1000])
def test_any_octets_in_any_charset_are_a_text(kept_octets, octets, charset):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "KEPT_TEXT_OCTETS", kept_octets)
        assert text_of(read(f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + octets)) is not None


FILLERS = ["A=\n" * 10, "AAAA\n" * 6, "=20" * 10, " " * 30, "=?a?b?" * 5, "--x" * 10, "\x1b$B" * 10]


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_eight_times_the_octets_cost_eight_times_the_reading(filler, encoding, monkeypatch):
    monkeypatch.setattr(base64_source, "KEPT_BASE64_OCTETS", -1)  # what is kept is read once, what is larger twice
    costs = []
    for size in (2_000, 16_000):
        encoded = f"Content-Transfer-Encoding: {encoding}\n\n" + filler * size
        spool = CountingSpool(crlf(multipart(encoded, "Content-Type: application/x\n" + encoded)))
        outcome(spool)
        costs.append(spool.octets)
    assert costs[1] <= costs[0] * 10
