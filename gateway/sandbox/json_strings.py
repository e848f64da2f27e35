"""Long JSON strings and base64 read in pieces from a memory-mapped request body, so that nothing is whole in memory.

msgspec finds the strings without copying them (msgspec.Raw); this file decodes one of them piece by piece.
"""

from __future__ import annotations

import binascii
import codecs
import mmap
import re
from collections.abc import Iterator
from io import BytesIO
from typing import IO

import msgspec

# Large enough that Python's cost per piece does not count, small enough to be written to a socket as it is.
PIECE_OCTETS = 65536

# The longest run of whole characters and whole escapes (RFC 8259 §7); a surrogate pair is one character.
_WHOLE_ESCAPES = re.compile(
    rb"(?:[^\\]+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\[^u])*+"
)


class NotJsonError(ValueError):
    """The octets are not a JSON document (RFC 8259); the text says where."""


def octets_of(content: IO[bytes]) -> memoryview:
    """The octets of a request body: those of a BytesIO as they are, those of a real file memory-mapped."""
    if isinstance(content, BytesIO):
        return memoryview(content.getvalue())
    content.flush()
    if content.seek(0, 2) == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ))


def check_json(view: memoryview) -> None:
    """Raise NotJsonError unless the octets are one JSON document in UTF-8. Constant memory, whatever the length."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(view), PIECE_OCTETS):
            decoder.decode(view[start : start + PIECE_OCTETS])
        decoder.decode(b"", True)
        msgspec.json.decode(view, type=msgspec.Raw)
    except UnicodeDecodeError as error:
        raise NotJsonError("the request body is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotJsonError(f"the request body is not JSON: {error}") from error


def is_string(raw: msgspec.Raw) -> bool:
    """Whether a raw JSON value is a string."""
    return bytes(memoryview(raw)[:1]) == b'"'


def string_pieces(raw: msgspec.Raw) -> Iterator[str]:
    """Decode a raw JSON string piece by piece; ValueError when an escape in it is broken (a lone surrogate)."""
    view = memoryview(raw)[1:-1]
    start = 0
    while start < len(view):
        chunk = bytes(view[start : start + PIECE_OCTETS])
        end = _complete_octets(chunk, start + len(chunk) == len(view))
        if end == 0:
            raise ValueError("broken escape in a JSON string")
        yield msgspec.json.decode(b'"' + chunk[:end] + b'"', type=str)
        start += end


def _complete_octets(chunk: bytes, last: bool) -> int:
    """How many octets from the beginning of the chunk hold whole characters and whole escapes only."""
    whole = chunk if last else chunk[: _whole_character_octets(chunk)]
    match = _WHOLE_ESCAPES.match(whole)
    return match.end() if match else 0


def _whole_character_octets(chunk: bytes) -> int:
    """The length of the chunk without a UTF-8 sequence that is cut off at its end (RFC 3629 §3)."""
    for back in range(1, min(4, len(chunk)) + 1):
        octet = chunk[-back]
        if octet < 0x80:
            return len(chunk)
        if octet >= 0xC0:
            needed = 2 if octet < 0xE0 else 3 if octet < 0xF0 else 4
            return len(chunk) if back >= needed else len(chunk) - back
    return len(chunk)


def string_octets(raw: msgspec.Raw) -> int:
    """How many UTF-8 octets a raw JSON string has once decoded; ValueError as string_pieces."""
    return sum(len(piece.encode()) for piece in string_pieces(raw))


def base64_pieces(raw: msgspec.Raw) -> Iterator[bytes]:
    """Decode a raw JSON string of standard base64 (RFC 4648 §4) piece by piece.

    ValueError for anything the RFC does not allow: line breaks, foreign characters, missing or early padding.
    """
    carry = ""
    padded = False
    for piece in string_pieces(raw):
        if padded:
            raise ValueError("data after the padding")
        carry += piece
        cut = len(carry) - len(carry) % 4
        quanta, carry = carry[:cut], carry[cut:]
        padded = quanta.endswith("=")
        yield binascii.a2b_base64(quanta.encode("ascii"), strict_mode=True)
    if carry:
        raise ValueError("not a multiple of four characters")


def base64_octets(raw: msgspec.Raw) -> int:
    """How many octets a raw JSON string of base64 has once decoded; ValueError as base64_pieces."""
    return sum(len(piece) for piece in base64_pieces(raw))
