"""Transfer encodings undone, whole or in pieces, clean or damaged."""

from __future__ import annotations

import base64
import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import decoding
from gateway.content.decoding import Base64Decoder, QuotedPrintableDecoder, decoded_pieces
from gateway.content.structure import UnreadableError

from .spooled import spooled


def decode(octets: bytes, encoding: str, piece_octets: int = 48 * 1024) -> tuple[bytes, list[str]]:
    report: list[str] = []
    usual = decoding.PIECE_OCTETS
    decoding.PIECE_OCTETS = piece_octets
    try:
        pieces = list(decoded_pieces(spooled(octets), 0, len(octets), encoding, report))
    finally:
        decoding.PIECE_OCTETS = usual
    return b"".join(pieces), report


@given(st.binary(max_size=300), st.integers(1, 20))
def test_base64_comes_back_in_any_pieces(octets, piece_octets):
    written = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    assert decode(written, "base64", piece_octets) == (octets, [])


@pytest.mark.parametrize(
    ("written", "octets", "note"),
    [
        (b"aGk", b"hi", "base64 with wrong padding was repaired"),
        (b"aGk==", b"hi", "base64 with wrong padding was repaired"),
        (b"aGVsbG8", b"hello", "base64 with wrong padding was repaired"),
        (b"aGVsbG8gY", b"hello ", "base64 with wrong padding was repaired"),
        (b"aG*k\x00=", b"hi", "octets that are not base64 were ignored"),
        (b"aGk=\r\naG8=", b"hiho", "base64 goes on after its padding"),
        (b"aGk=aGVs", b"hihel", "base64 goes on after its padding"),
    ],
)
@pytest.mark.parametrize("piece_octets", [1, 3, 1000])
def test_damaged_base64_is_read_and_reported(written, octets, note, piece_octets):
    assert decode(written, "base64", piece_octets) == (octets, [note])


def test_base64_made_to_cost_time_is_unreadable():
    with pytest.raises(UnreadableError):
        decode(b"A=" * 20_000, "base64")


@given(st.binary(max_size=300))
def test_damaged_base64_gives_what_the_library_gives_up_to_the_first_padding(octets):
    clean = bytes(c for c in octets if c in decoding.BASE64_ALPHABET)
    decoder = Base64Decoder()
    expected = clean[: len(clean) - 1] if len(clean) % 4 == 1 else clean
    assert decoder.feed(clean) + decoder.finish() == binascii.a2b_base64(expected + b"=" * (-len(expected) % 4))


@given(st.binary(max_size=300), st.integers(1, 20))
def test_quoted_printable_of_an_independent_writer_comes_back(octets, piece_octets):
    text = octets.replace(b"\r", b"").replace(b"\n", b"\r\n")
    written = quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    assert decode(written, "quoted-printable", piece_octets)[0] == text


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        (b"a=\r\nb", b"ab"),
        (b"a=  \r\nb", b"ab"),
        (b"a \t\r\nb  ", b"a\r\nb"),
        (b"a \nb=\nc", b"a\nbc"),
        (b"=C3=a9=E9", b"\xc3\xa9\xe9"),
        (b"a=", b"a"),
        (b"100=25 =ZZ =", b"100% =ZZ "),
        (b"raw \xe9 stays", b"raw \xe9 stays"),
        (b"=00", b"\0"),
    ],
)
@pytest.mark.parametrize("piece_octets", [1, 2, 1000])
def test_quoted_printable_is_read_leniently(written, octets, piece_octets):
    assert decode(written, "quoted-printable", piece_octets)[0] == octets


@pytest.mark.parametrize("unit", [b"=", b" ", b"=20", b"a", b"= ", b"\r"])
def test_a_line_without_end_is_decoded_with_bounded_memory(unit):
    decoder = QuotedPrintableDecoder()
    for _ in range(8):
        decoder.feed(unit * (48 * 1024 // len(unit)))
        assert len(decoder._rest) <= 96 * 1024


def test_an_over_long_line_is_not_cut_inside_a_quotation():
    text = bytes(range(256)) * 2000
    written = b"".join(b"=%02X" % octet for octet in text)
    assert decode(written, "quoted-printable", 1000)[0] == text


@pytest.mark.parametrize("encoding", ["", "7bit", "8bit", "binary"])
@given(octets=st.binary(max_size=100))
def test_without_an_encoding_octets_stay_as_they_are(encoding, octets):
    assert decode(octets, encoding, 7) == (octets, [])


def test_an_unknown_encoding_is_passed_on_and_reported():
    assert decode(b"abc", "x-\x1brot\r\n13") == (
        b"abc",
        ["unknown transfer encoding 'x-\\x1brot\\r\\n13': the octets are passed on as they are"],
    )
