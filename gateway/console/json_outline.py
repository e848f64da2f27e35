"""A JSON document laid out for reading: indented, long strings cut, the whole kept to a page's length.

It looks inside with msgspec.Raw, and never reads more of a long string than is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import is_string, written, written_octets

# One line of text still is whole; base64 is not.
_SHOWN_STRING_OCTETS = 400
_SHOWN_BEGINNING_OCTETS = 100
# What a browser lays out at once; the full document is a link away.
_SHOWN_LINES = 2000
# Deeper than any real request; Python's own recursion limit is far away.
_DEEPEST = 30


def outline(document: JsonDocument) -> str:
    """The document as text."""
    lines = list(islice(_lines(document, document.decode(msgspec.Raw), 0, "", ""), _SHOWN_LINES + 1))
    if len(lines) > _SHOWN_LINES:
        lines[_SHOWN_LINES:] = ["… (the rest is not shown)"]
    return "\n".join(lines)


def _lines(document: JsonDocument, raw: msgspec.Raw, depth: int, before: str, after: str) -> Iterator[str]:
    """The lines of one value; before is the key in front of it, after the comma behind it."""
    pad = "  " * depth
    first = bytes(memoryview(raw)[:1])
    if depth < _DEEPEST and first in (b"{", b"["):
        members = _members(document, raw, first)
        if members:
            yield f"{pad}{before}{first.decode()}"
            for number, (key, member) in enumerate(members, 1):
                yield from _lines(document, member, depth + 1, key, "," if number < len(members) else "")
            yield f"{pad}{'}' if first == b'{' else ']'}{after}"
            return
    yield f"{pad}{before}{_short(document, raw)}{after}"


def _members(document: JsonDocument, raw: msgspec.Raw, first: bytes) -> list[tuple[str, msgspec.Raw]]:
    if first == b"[":
        return [("", one) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    keys = [msgspec.Raw(msgspec.json.encode(key)) for key in members]
    return [(f"{_short(document, key)}: ", value) for key, value in zip(keys, members.values(), strict=True)]


def _short(document: JsonDocument, raw: msgspec.Raw) -> str:
    value = document.string(raw)
    octets = written_octets(value)
    if octets <= _SHOWN_STRING_OCTETS:
        return written(value, 0, octets).decode("utf-8", "replace")
    beginning = written(value, 0, _SHOWN_BEGINNING_OCTETS).decode("utf-8", "ignore")
    kind = "string" if is_string(value) else "value"
    return f"{beginning}… ({kind} of {octets:,} octets, cut here)"
