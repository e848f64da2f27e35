"""Bodies of any kind as base64, read from the spool whenever they are asked for.

A checking pass when a source is made finds sizes and faults; then the pieces come with constant memory.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from gateway.content.decoding import BASE64_ALPHABET, PIECE_OCTETS, decoded_pieces, is_identity
from gateway.content.spool import Spool
from gateway.line_ends import BLANKS, without_blanks

# Mail that is in memory is smaller; its base64 is cleaned once and kept until it is sent.
KEPT_BASE64_OCTETS = 256 * 1024
# How much blank space may stand around the padding of base64 before it is decoded and encoded anew.
PADDING_ROOM_OCTETS = 1024
_PADDED_BASE64 = BASE64_ALPHABET + b"="


class Base64:
    """A body as base64 without line breaks. A gateway.message.Base64Source, with size_octets decoded.

    A body that is base64 in the mail is passed through; any other is decoded and encoded in pieces.
    """

    def __init__(self, spool: Spool, start: int, stop: int, encoding: str) -> None:
        self.report: list[str] = []
        self._region = (spool, start, stop, encoding)
        self._kept: list[bytes] | None = None
        size = None
        if encoding == "base64" and spool.in_memory and stop - start <= KEPT_BASE64_OCTETS:
            self._kept = clean_base64(spool, start, stop)
            size = decoded_octets(self._kept) if self._kept is not None else None
        elif encoding == "base64":
            size = checked_size_octets(spool, start, stop)
        self._passes = size is not None
        if size is None:
            size = self._decoded_size_octets()
        self.size_octets = size

    @property
    def base64_octets(self) -> int:
        """How many octets all the pieces have together."""
        return (self.size_octets + 2) // 3 * 4

    def pieces(self) -> Iterator[bytes]:
        """Give the base64 text from its beginning."""
        if self._kept is not None:
            return iter(self._kept)
        return self._passed() if self._passes else self._encoded()

    def _passed(self) -> Iterator[bytes]:
        spool, start, stop, _ = self._region
        for offset in range(start, stop, PIECE_OCTETS):
            if octets := without_blanks(spool.read(offset, min(offset + PIECE_OCTETS, stop))):
                yield octets

    def _encoded(self) -> Iterator[bytes]:
        rest = b""
        for octets in decoded_pieces(*self._region, []):
            block = rest + octets
            whole = len(block) - len(block) % 3
            rest = block[whole:]
            if whole:
                yield binascii.b2a_base64(block[:whole], newline=False)
        if rest:
            yield binascii.b2a_base64(rest, newline=False)

    def _decoded_size_octets(self) -> int:
        _, start, stop, encoding = self._region
        pieces = decoded_pieces(*self._region, self.report)
        if is_identity(encoding):
            next(pieces, None)  # reports an unknown encoding; the size is known
            return max(stop - start, 0)
        return sum(map(len, pieces))


def clean_base64(spool: Spool, start: int, stop: int) -> list[bytes] | None:
    """A region of flawless base64 without its blanks and line breaks, in one pass; None when it may have a flaw.

    What is flawless is told in checked_size_octets, which only measures. The pieces fit in the processor's cache.
    """
    pieces: list[bytes] = []
    for offset in range(start, stop, PIECE_OCTETS):
        clean = without_blanks(spool.read(offset, min(offset + PIECE_OCTETS, stop)))
        if clean.translate(None, _PADDED_BASE64) or (clean and pieces and b"=" in pieces[-1]):
            return None
        if clean:
            pieces.append(clean)
    if not pieces:
        return pieces
    last = pieces[-1].rstrip(b"=")
    if b"=" in last or sum(map(len, pieces)) % 4 or not _is_as_encoded(b"".join(pieces[-2:])[-4:]):
        return None
    return pieces


def decoded_octets(pieces: list[bytes]) -> int:
    """How many octets flawless base64 stands for."""
    return sum(map(len, pieces)) // 4 * 3 - (pieces[-1][-2:].count(b"=") if pieces else 0)


def checked_size_octets(spool: Spool, start: int, stop: int) -> int | None:
    """The decoded size of a region of flawless base64, None when it must be decoded to know.

    Flawless: nothing but the alphabet, blanks and line breaks; padding at the end only; whole groups of four; no stray
    bits in the last one (RFC 4648 §3.5). So a strict reader takes it as it is.
    """
    characters = 0
    paddings = 0
    for offset in range(start, stop, PIECE_OCTETS):
        octets = spool.read(offset, min(offset + PIECE_OCTETS, stop))
        others = octets.translate(None, BASE64_ALPHABET)
        if others.translate(None, BLANKS):
            octets, mark, _ = octets.partition(b"=")
            paddings = _padding_at_end(spool, offset + len(octets), stop)
            others = octets.translate(None, BASE64_ALPHABET)
            if not mark or not paddings or others.translate(None, BLANKS):
                return None
        characters += len(octets) - len(others)
        if paddings:
            break
    if (characters + paddings) % 4 or not _is_canonical(spool, start, stop):
        return None
    return (characters + paddings) // 4 * 3 - paddings


def _padding_at_end(spool: Spool, first: int, stop: int) -> int:
    """How many padding characters end the region; 0 when something else comes after the first one."""
    if stop - first > PADDING_ROOM_OCTETS:
        return 0
    ending = spool.read(first, stop).translate(None, BLANKS)
    return len(ending) if ending in (b"=", b"==") else 0


def _is_canonical(spool: Spool, start: int, stop: int) -> bool:
    """Whether the last group of four is written as an encoder writes it."""
    return _is_as_encoded(spool.read(max(start, stop - 2 * PADDING_ROOM_OCTETS), stop).translate(None, BLANKS)[-4:])


def _is_as_encoded(last: bytes) -> bool:
    try:
        return binascii.b2a_base64(binascii.a2b_base64(last), newline=False) == last
    except ValueError:
        return False
