"""A JSON document laid out for reading: indented, long strings cut, the whole kept to a page's length.

It looks inside with msgspec.Raw, so a string of megabytes is skipped and never copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from gateway.sandbox.json_strings import is_string

# One line of text still is whole; base64 is not.
_SHOWN_STRING_OCTETS = 400
_SHOWN_BEGINNING_OCTETS = 100
# What a browser lays out at once; the full document is a link away.
_SHOWN_LINES = 2000
# Deeper than any real request; Python's own recursion limit is far away.
_DEEPEST = 30


def outline(view: memoryview) -> str:
    """The document as text; ValueError when it is no JSON."""
    lines = list(islice(_lines(msgspec.json.decode(view, type=msgspec.Raw), 0, "", ""), _SHOWN_LINES + 1))
    if len(lines) > _SHOWN_LINES:
        lines[_SHOWN_LINES:] = ["… (the rest is not shown)"]
    return "\n".join(lines)


def _lines(raw: msgspec.Raw, depth: int, before: str, after: str) -> Iterator[str]:
    """The lines of one value; before is the key in front of it, after the comma behind it."""
    pad = "  " * depth
    first = bytes(memoryview(raw)[:1])
    if depth < _DEEPEST and first in (b"{", b"["):
        members = _members(raw, first)
        if members:
            yield f"{pad}{before}{first.decode()}"
            for number, (key, member) in enumerate(members, 1):
                yield from _lines(member, depth + 1, key, "," if number < len(members) else "")
            yield f"{pad}{'}' if first == b'{' else ']'}{after}"
            return
    yield f"{pad}{before}{_short(raw)}{after}"


def _members(raw: msgspec.Raw, first: bytes) -> list[tuple[str, msgspec.Raw]]:
    if first == b"[":
        return [("", one) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return [(f"{msgspec.json.encode(key).decode()}: ", value) for key, value in members.items()]


def _short(raw: msgspec.Raw) -> str:
    view = memoryview(raw)
    if len(view) <= _SHOWN_STRING_OCTETS:
        return bytes(view).decode("utf-8", "replace")
    beginning = bytes(view[:_SHOWN_BEGINNING_OCTETS]).decode("utf-8", "ignore")
    kind = "string" if is_string(raw) else "value"
    return f"{beginning}… ({kind} of {len(view):,} octets, cut here)"
