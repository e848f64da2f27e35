"""Transfer encodings undone piece by piece (RFC 2045 §6): base64 and quoted-printable, as lenient as mail readers.

It gives octets; charsets are for sources.py.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Protocol

from gateway.content.spool import Spool
from gateway.content.structure import UnreadableError
from gateway.line_ends import BLANKS

# A multiple of 3 and of 4, so that base64 goes piece by piece; larger pieces gain nothing, smaller ones cost calls.
PIECE_OCTETS = 48 * 1024
# A line of quoted-printable has 76 characters; a longer one than this is cut, so that it is never whole in memory.
LONGEST_LINE_OCTETS = 48 * 1024
# Programs that encode line by line leave one padding a line; more than this is made to waste time.
MAXIMUM_PADDINGS = 10_000

BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
# A run of blanks is tried at its first octet only, so that the search stays linear.
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_NOT_BASE64 = bytes(set(range(256)) - set(BASE64_ALPHABET) - {ord("=")})


class _Decoder(Protocol):
    @property
    def repaired(self) -> str: ...

    def feed(self, octets: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


def is_identity(encoding: str) -> bool:
    """Whether this encoding, or an unknown one, leaves the octets as they are."""
    return encoding not in ("base64", "quoted-printable")


def decoded_pieces(spool: Spool, start: int, stop: int, encoding: str, report: list[str]) -> Iterator[bytes]:
    """The decoded octets of a region in pieces of bounded size; what was repaired is added to the report at the end.

    An encoding that nobody knows is taken as none. UnreadableError for base64 made only to cost time.
    """
    decoder: _Decoder | None = None
    if encoding == "base64":
        decoder = Base64Decoder()
    elif encoding == "quoted-printable":
        decoder = QuotedPrintableDecoder()
    elif encoding not in _IDENTITY:
        report.append(f"unknown transfer encoding {encoding[:40]!a}: the octets are passed on as they are")
    for offset in range(start, stop, PIECE_OCTETS):
        octets = spool.read(offset, min(offset + PIECE_OCTETS, stop))
        if decoded := decoder.feed(octets) if decoder else octets:
            yield decoded
    if decoder:
        if decoded := decoder.finish():
            yield decoded
        if decoder.repaired:
            report.append(decoder.repaired)


class Base64Decoder:
    """Base64 (RFC 2045 §6.8): other octets are ignored, missing padding is repaired, data after padding is read on.

    repaired says what had to be done for that, empty for nothing but line breaks and blanks.
    """

    def __init__(self) -> None:
        self._foreign = False
        self._goes_on = False
        self._rest = b""
        self._paddings = 0
        self._characters = 0

    @property
    def repaired(self) -> str:
        """The gravest of the repairs, the same whatever the pieces."""
        if self._goes_on:
            return "base64 goes on after its padding"
        if self._foreign:
            return "octets that are not base64 were ignored"
        return "base64 with wrong padding was repaired" if self._characters % 4 else ""

    def feed(self, octets: bytes) -> bytes:
        """The octets that are complete with these."""
        clean = octets.translate(None, _NOT_BASE64)
        if len(clean) != len(octets.translate(None, BLANKS)):
            self._foreign = True
        behind = clean if self._paddings else clean.partition(b"=")[2]
        if behind.strip(b"="):
            self._goes_on = True
        block = self._rest + clean
        self._characters += len(clean)
        if b"=" in clean:
            return self._padded(block)
        whole = len(block) - len(block) % 4
        self._rest = block[whole:]
        return binascii.a2b_base64(block[:whole])

    def finish(self) -> bytes:
        """The last octets, when the padding is missing."""
        rest, self._rest = self._rest, b""
        return _unpadded(rest)

    def _padded(self, block: bytes) -> bytes:
        """Octets with padding inside: every run of base64 up to a padding is decoded on its own."""
        self._paddings += block.count(b"=")
        if self._paddings > MAXIMUM_PADDINGS:
            raise UnreadableError("base64 with padding again and again")
        *runs, last = block.split(b"=")
        whole = len(last) - len(last) % 4
        self._rest = last[whole:]
        return b"".join([*map(_unpadded, runs), binascii.a2b_base64(last[:whole])])


def _unpadded(run: bytes) -> bytes:
    """The octets of base64 without its padding; a single last character holds no octet."""
    if len(run) % 4 == 1:
        run = run[:-1]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


class QuotedPrintableDecoder:
    """Quoted-printable (RFC 2045 §6.7): blanks at line ends go, a broken quotation stays as it stands."""

    repaired = ""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> bytes:
        """The octets that are complete with these: up to the last line break, so that no line is cut."""
        block = self._rest + octets
        cut = block.rfind(b"\n") + 1
        if not cut and len(block) > LONGEST_LINE_OCTETS:
            # Not inside a quotation.
            mark = block.find(b"=", len(block) - 2)
            cut = mark if mark >= 0 else len(block)
        self._rest = block[cut:]
        return binascii.a2b_qp(_without_trailing_blanks(block[:cut]))

    def finish(self) -> bytes:
        """The last line, which has no line break."""
        rest, self._rest = self._rest, b""
        return binascii.a2b_qp(_without_trailing_blanks(rest).rstrip(b" \t"))


def _without_trailing_blanks(block: bytes) -> bytes:
    """Blanks before line breaks removed: a gateway has added them (RFC 2045 §6.7, rule 3)."""
    if not any(end in block for end in (b" \r\n", b"\t\r\n", b" \n", b"\t\n")):
        return block
    return _TRAILING_BLANKS.sub(b"", block)
