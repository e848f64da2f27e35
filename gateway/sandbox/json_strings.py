"""JSON strings and base64 read in pieces, so that a long one is never whole in memory.

A string is raw JSON (msgspec.Raw) or a place in a request body; which strings are where is json_document.py's.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from gateway.sandbox.request_body import PIECE_OCTETS, RequestBody

# The longest run of whole characters and whole escapes (RFC 8259 §7); a surrogate pair is one character.
_WHOLE_ESCAPES = re.compile(
    rb"(?:[^\\]+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\[^u])*+"
)
# A surrogate pair.
_LONGEST_ESCAPE_OCTETS = 12


@dataclass(frozen=True, slots=True)
class LongString:
    """Where a long string is in its document, and what is known of it.

    start and end are offsets in octets, with the quotes. text_octets counts the UTF-8 octets of the decoded string.
    base64_octets counts what it is once decoded from base64, base64_error is why it cannot be.
    """

    start: int
    end: int
    text_octets: int = 0
    base64_octets: int = 0
    base64_error: str = ""


@dataclass(frozen=True, slots=True)
class StoredString:
    """A long string with the body to read it from."""

    body: RequestBody
    place: LongString


JsonString: TypeAlias = msgspec.Raw | StoredString
"""A JSON string as it was written, with its quotes and escapes."""


def written_octets(string: msgspec.Raw | StoredString) -> int:
    """How many octets a JSON value has as written."""
    if isinstance(string, StoredString):
        return string.place.end - string.place.start
    return memoryview(string).nbytes


def written(string: msgspec.Raw | StoredString, start: int, end: int) -> bytes:
    """A JSON value's octets as written, from start up to end, counted from its own beginning."""
    if isinstance(string, StoredString):
        place = string.place
        return string.body.read(place.start + start, min(place.start + end, place.end))
    return bytes(memoryview(string)[start:end])


def is_string(value: msgspec.Raw | StoredString) -> bool:
    """Whether a JSON value is a string."""
    return written(value, 0, 1) == b'"'


def string_pieces(string: JsonString) -> Iterator[str]:
    """Decode a JSON string piece by piece; ValueError when an escape in it is broken (a lone surrogate)."""
    start, last = 1, written_octets(string) - 1
    while start < last:
        chunk = written(string, start, min(start + PIECE_OCTETS, last))
        end = _complete_octets(chunk, start + len(chunk) == last)
        if end == 0:
            raise ValueError("broken escape in a JSON string")
        yield msgspec.json.decode(b'"' + chunk[:end] + b'"', type=str)
        start += end


def _complete_octets(chunk: bytes, last: bool) -> int:
    """How many octets from the beginning of the chunk hold whole characters and whole escapes only."""
    whole = chunk if last else chunk[: _whole_character_octets(chunk)]
    if b"\\" not in whole[-_LONGEST_ESCAPE_OCTETS:]:
        return len(whole)
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


def string_octets(string: JsonString) -> int:
    """How many UTF-8 octets a JSON string has once decoded; ValueError as string_pieces."""
    if isinstance(string, StoredString):
        return string.place.text_octets
    return sum(len(piece.encode()) for piece in string_pieces(string))


def base64_pieces(string: JsonString) -> Iterator[bytes]:
    """Decode a JSON string of standard base64 (RFC 4648 §4) piece by piece.

    ValueError for anything the RFC does not allow: line breaks, foreign characters, missing or early padding.
    """
    return _decoded_base64(string_pieces(string))


def _decoded_base64(pieces: Iterable[str]) -> Iterator[bytes]:
    carry = ""
    padded = False
    for piece in pieces:
        if padded:
            raise ValueError("data after the padding")
        carry += piece
        cut = len(carry) - len(carry) % 4
        quanta, carry = carry[:cut], carry[cut:]
        padded = quanta.endswith("=")
        yield binascii.a2b_base64(quanta.encode("ascii"), strict_mode=True)
    if carry:
        raise ValueError("not a multiple of four characters")


def base64_octets(string: JsonString) -> int:
    """How many octets a JSON string of base64 has once decoded; ValueError as base64_pieces."""
    if not isinstance(string, StoredString):
        return sum(len(piece) for piece in base64_pieces(string))
    if string.place.base64_error:
        raise ValueError(string.place.base64_error)
    return string.place.base64_octets


def measured(body: RequestBody, start: int, end: int) -> LongString:
    """Read the long string at this place once, as text and as base64; ValueError when it is no JSON string."""
    text = _Counted(string_pieces(StoredString(body, LongString(start, end))))
    decoded_octets, wrong = 0, ""
    try:
        decoded_octets = sum(len(piece) for piece in _decoded_base64(text))
    except ValueError as error:
        wrong = str(error)
    for _ in text:
        pass  # a text that is no base64 is still to be read to its end
    if text.error is not None:
        raise text.error
    return LongString(start, end, text.octets, decoded_octets, wrong)


class _Counted:
    """Passes pieces of a text on and counts their UTF-8 octets; error is what made the text end early."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self.octets = 0
        self.error: ValueError | None = None
        self._pieces = pieces

    def __iter__(self) -> Iterator[str]:
        try:
            for piece in self._pieces:
                self.octets += len(piece.encode())
                yield piece
        except ValueError as error:
            self.error = error
            raise
