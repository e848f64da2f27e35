"""Bodies read again and again, as text and as base64, small and large, honest and lying."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import base64_source, decoding, sources
from gateway.content.base64_source import Base64, checked_size_octets, clean_base64, decoded_octets
from gateway.content.sources import Text

from .spooled import spooled


def text_of(octets: bytes, charset: str = "", encoding: str = "") -> tuple[str, list[str]]:
    text = Text(spooled(octets), 0, len(octets), encoding, charset)
    first = "".join(text.pieces())
    assert "".join(text.pieces()) == first
    return first, text.report


@pytest.fixture(params=["kept", "pieces", "kept pieces"], autouse=True)
def size(request, monkeypatch):
    """Every test runs for bodies that are kept and for bodies read anew, in tiny pieces too."""
    if request.param == "pieces":
        monkeypatch.setattr(sources, "KEPT_TEXT_OCTETS", -1)
        monkeypatch.setattr(base64_source, "KEPT_BASE64_OCTETS", -1)
    if request.param != "kept":
        monkeypatch.setattr(base64_source, "PIECE_OCTETS", 3)
        monkeypatch.setattr(decoding, "PIECE_OCTETS", 3)


@pytest.mark.parametrize(
    ("octets", "charset", "text", "report"),
    [
        (b"a\r\nb\r\n", "", "a\nb\n", []),
        (b"a\rb\r", "us-ascii", "a\nb\n", []),
        (b"a\r\r\nb\r\r\r\n", "us-ascii", "a\nb\n", []),
        (
            "Größe, Straße, Übermut: ".encode() * 2 + b"\xc3",
            "utf-8",
            "Größe, Straße, Übermut: " * 2 + "\ufffd",
            ["text declared as 'utf-8' has octets that are none of it; they were replaced"],
        ),
        (b"", "utf-8", "", []),
        ("é€😀".encode(), "utf-8", "é€😀", []),
        (b"caf\xe9 \x80", "iso-8859-1", "café €", []),
        (b"caf\xe9", "Windows-1252", "café", []),
        ("Привет".encode("koi8_r"), "KOI8-R", "Привет", []),
        ("日本語\r\n".encode("iso2022_jp"), "iso-2022-jp", "日本語\n", []),
        ("日本".encode("shift_jis"), "Shift_JIS", "日本", []),
        ("你好".encode("gb18030"), "gb2312", "你好", []),
        ("é".encode(), "", "é", ["text without a charset was read as utf-8"]),
        (b"caf\xe9", "", "café", ["text without a charset was read as cp1252"]),
        (b"caf\xe9\x81", "", "café\x81", ["text without a charset was read as latin_1"]),
        ("é".encode(), "us-ascii", "é", ["text declared as 'us-ascii' was read as utf-8"]),
        (b"caf\xe9", "utf-8", "café", ["text declared as 'utf-8' was read as cp1252"]),
        (b"+AGE-", "utf-7", "+AGE-", ["text declared as 'utf-7' was read as utf-8"]),
        (b"abc", "base64", "abc", ["text declared as 'base64' was read as utf-8"]),
        (b"abc", "x\r\ny", "abc", ["text declared as 'x\\r\\ny' was read as utf-8"]),
        ("€".encode(), "euc-jp", "€", ["text declared as 'euc-jp' was read as utf-8"]),
    ],
)
def test_a_text_is_read_in_its_charset_or_the_most_likely_one(octets, charset, text, report):
    assert text_of(octets, charset) == (text, report)


def test_one_broken_character_does_not_spoil_a_japanese_text():
    octets = "日本語".encode("iso2022_jp")[:-3] + b"\x1b$Bzzz"
    text, report = text_of(octets, "iso-2022-jp")
    assert text.startswith("日本語")
    assert "\ufffd" in text
    assert report == ["text declared as 'iso-2022-jp' has octets that are none of it; they were replaced"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=80))
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_any_text_comes_back_from_any_transfer_encoding(encoding, text):
    octets = text.replace("\n", "\r\n").encode()
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")
    assert text_of(octets, "utf-8", encoding) == (text, [])


def base64_of(octets: bytes, encoding: str) -> Base64:
    source = Base64(spooled(octets), 0, len(octets), encoding)
    pieces = b"".join(source.pieces())
    assert b"".join(source.pieces()) == pieces
    assert source.base64_octets == len(pieces)
    assert source.size_octets == len(base64.b64decode(pieces, validate=True))
    return source


@given(st.binary(max_size=200))
@pytest.mark.parametrize("encoding", ["", "binary", "base64", "quoted-printable", "x-unknown"])
def test_any_octets_come_back_and_the_sizes_are_exact(encoding, octets):
    written = octets
    if encoding == "base64":
        written = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        written = b"".join(b"=%02X" % octet for octet in octets)
    source = base64_of(written, encoding)
    assert b"".join(source.pieces()) == base64.b64encode(octets)


@given(st.text(st.sampled_from("AZaz09+/==\r\n \t*-"), max_size=24))
def test_whatever_calls_itself_base64_gives_valid_base64_of_the_promised_size(text):
    base64_of(text.encode(), "base64")


@pytest.mark.parametrize(
    ("written", "size_octets"),
    [
        (b"", 0),
        (b"aGk=", 2),
        (b"aGk=\r\n\r\n", 2),
        (b"aA=\r\n=", 1),
        (b"aGVs bG8h\t\r\n", 6),
        (b"aGk", None),
        (b"aGk==", None),
        (b"aGl=", None),
        (b"aGk=aGk=", None),
        (b"aG*k", None),
        (b"*aGk=", None),
        (b"aGk\x00=", None),
        (b"====", None),
        (b"aGVs" + b" " * 3000, 3),
    ],
)
def test_only_flawless_base64_passes_through(written, size_octets):
    assert checked_size_octets(spooled(written), 0, len(written)) == size_octets
    pieces = clean_base64(spooled(written), 0, len(written))
    if pieces is not None:
        assert decoded_octets(pieces) == size_octets
    assert pieces is not None or size_octets in (None, 1, 2), "only padding may be cut in two"
    base64_of(written, "base64")


def test_repairs_are_reported_once():
    source = base64_of(b"aGk", "base64")
    assert source.report == ["base64 with wrong padding was repaired"]
    assert b"".join(source.pieces()) == b"aGk="


def test_pieces_stay_small_for_a_large_body():
    octets = base64.encodebytes(bytes(1_000_000)).replace(b"\n", b"\r\n")
    for encoding in ("base64", "8bit"):
        source = Base64(spooled(octets), 0, len(octets), encoding)
        assert max(map(len, source.pieces())) <= 64 * 1024 + 4
