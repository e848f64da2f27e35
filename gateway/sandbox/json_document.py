"""A JSON request body (RFC 8259) read without having it in memory: long strings stay where they are.

Its skeleton, the document with a placeholder for every long string, is short and decoded strictly by msgspec. How a
long string is read is json_strings.py's.
"""

from __future__ import annotations

import codecs
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from gateway.sandbox.json_strings import (
    JsonString,
    LongString,
    StoredString,
    measured,
    string_pieces,
    written,
    written_octets,
)
from gateway.sandbox.request_body import PIECE_OCTETS, RequestBody

# A string is long when it is not whole in a window of so many octets. Short enough that a message of many small
# attachments has a short skeleton too, long enough that the notes of the long ones are few.
WINDOW_OCTETS = 4096

# Strings that end in the window, and what RFC 8259 allows between them: it has no other characters.
# Not possessive: Python 3.11 forgets where such a group began when it fails halfway.
_COMPLETE = re.compile(rb'(?:[ \t\n\r\[\]{}:,+\-.0-9Eaeflnrstu]+|"[^"\\]*(?:\\.[^"\\]*)*")*', re.DOTALL)
_PLACE_IN_ERROR = re.compile(r"\(byte (\d+)\)$")
# Of a long string in an error text; as much as a reader needs to find it.
_SHOWN_OCTETS = 60

T = TypeVar("T")


class NotJsonError(ValueError):
    """The octets are not a JSON document (RFC 8259); the text says where."""


class JsonDocument:
    """A document and its long strings, which are those that find_long_strings() gave for the same body."""

    def __init__(self, body: RequestBody, long_strings: tuple[LongString, ...]) -> None:
        self.long_strings = long_strings
        # Nobody can write a string that is taken for a placeholder, because nobody knows this.
        token = secrets.token_hex(16)
        names = [f"{token}{number:08}" for number in range(len(long_strings))]
        self._by_name = {name: StoredString(body, one) for name, one in zip(names, long_strings, strict=True)}
        self._placeholder = re.compile(f"{token}[0-9]{{8}}")
        self._skeleton = _skeleton(body, self._by_name)

    @classmethod
    def checked(cls, body: RequestBody) -> JsonDocument:
        """Read a body for the first time; NotJsonError unless it is one JSON document in UTF-8."""
        _check_utf8(body)
        document = cls(body, () if body.in_memory else find_long_strings(body))
        try:
            document.decode(msgspec.Raw)
        except ValueError as error:
            raise NotJsonError(f"the request body is not JSON: {error}") from error
        return document

    def decode(self, wanted: type[T]) -> T:
        """Decode the skeleton strictly; ValueError, fit for the client, when the document is nothing of this type."""
        try:
            return msgspec.json.decode(self._skeleton, type=wanted)
        except (ValueError, RecursionError) as error:
            text = self._placeholder.sub(lambda match: self._beginning(match[0]), str(error))
            raise ValueError(_PLACE_IN_ERROR.sub(self._place_in_body, text)) from error

    def string(self, raw: msgspec.Raw) -> JsonString:
        """What a raw value of the skeleton stands for: itself, or a long string."""
        if not self._by_name:
            return raw
        name = bytes(memoryview(raw)[1:-1]).decode("utf-8", "replace")
        return self._by_name.get(name, raw)

    def text(self, decoded: str) -> str:
        """What a decoded string of the skeleton stands for: itself, or a long string, whole."""
        long_string = self._by_name.get(decoded)
        return decoded if long_string is None else "".join(string_pieces(long_string))

    def places(self, items: Sequence[msgspec.Raw]) -> list[tuple[int, int]]:
        """Where in the body the items of one array are, all of them and in order: offsets of begin and end."""
        ends = []
        end = 0
        for item in items:
            octets = bytes(memoryview(item))
            # Between two items there are only a comma and blanks, so the next occurrence is the item itself
            start = self._skeleton.index(octets, end)
            end = start + len(octets)
            ends += [start, end]
        offsets = self._offsets_in_body(ends)
        return list(zip(offsets, offsets, strict=True))

    def _beginning(self, name: str) -> str:
        one = self._by_name[name]
        octets = written(one, 1, min(_SHOWN_OCTETS, written_octets(one) - 1))
        return octets.decode("utf-8", "ignore") + "…"

    def _place_in_body(self, match: re.Match[str]) -> str:
        """The offset that msgspec tells is in the skeleton; the client counts in what it sent."""
        return f"(byte {next(self._offsets_in_body([int(match[1])]))})"

    def _offsets_in_body(self, offsets: Iterable[int]) -> Iterator[int]:
        """The offsets in the body of these in the skeleton, which are in order."""
        longer_octets = 0
        long_strings = list(reversed(self._by_name.items()))
        for offset in offsets:
            while long_strings:
                name, one = long_strings[-1]
                if offset + longer_octets < one.place.start + len(name) + 2:
                    break
                longer_octets += one.place.end - one.place.start - len(name) - 2
                long_strings.pop()
            yield offset + longer_octets


def _skeleton(body: RequestBody, by_name: dict[str, StoredString]) -> bytes:
    parts = []
    start = 0
    for name, one in by_name.items():
        parts += [body.read(start, one.place.start), b'"%s"' % name.encode()]
        start = one.place.end
    return b"".join([*parts, body.read(start, body.length_octets)])


def _check_utf8(body: RequestBody) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in body.pieces():
            decoder.decode(piece)
        decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        raise NotJsonError("the request body is not UTF-8") from error


def find_long_strings(body: RequestBody) -> tuple[LongString, ...]:
    """The long strings in their order; NotJsonError when one is broken, or when something between strings is no JSON.

    It follows the strings only: whether the document around them is well-formed, its skeleton tells.
    """
    found = []
    start = 0
    while window := body.read(start, start + WINDOW_OCTETS):
        match = _COMPLETE.match(window)
        end = match.end() if match else 0
        if end:
            start += end
        elif window[:1] != b'"':
            raise NotJsonError(f"the request body is not JSON: invalid character (byte {start})")
        else:
            found.append(_long_string(body, start))
            start = found[-1].end
    return tuple(found)


def _long_string(body: RequestBody, start: int) -> LongString:
    try:
        return measured(body, start, _closing(body, start))
    except ValueError as error:
        wrong = _PLACE_IN_ERROR.sub("", str(error)).strip()
        raise NotJsonError(f"the request body is not JSON: {wrong} (in the string at byte {start})") from error


def _closing(body: RequestBody, start: int) -> int:
    """The offset behind the closing quote of the string that opens at start; ValueError when it is never closed."""
    inside = start + 1
    while chunk := body.read(inside, inside + PIECE_OCTETS):
        # In this order: a backslash that is escaped itself escapes nothing.
        plain = chunk.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
        quote = plain.find(b'"')
        if quote >= 0:
            return inside + quote + 1
        complete = len(plain) - plain.endswith(b"\\")
        if complete == 0:
            break  # a backslash is the body's last octet
        inside += complete
    raise ValueError("Input data was truncated")
