"""Structured field bodies with parameters: Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2231, RFC 2183).

It reads what mail programs really write: encoded words in quotes, raw 8-bit, blanks without quotes. It never raises.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from gateway.content.charsets import decode_as
from gateway.content.words import decode_words

QUOTED_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*\\?(?:"|\Z)'
_TOKEN = re.compile(rf'{QUOTED_STRING}|[^";(]+|;|\(', re.DOTALL)
_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)
_QUOTED_CONTENT = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")

_Section = tuple[int, bool, str]


def parse_parameters(body: str) -> tuple[str, dict[str, str]]:
    """The value in lower case and its parameters; their names in lower case, their values decoded.

    RFC 2231 forms win over the plain one of the same name; of two plain ones the first wins.
    """
    first, *rest = _segments(body)
    parameters: dict[str, str] = {}
    if not rest:
        return first.strip().lower(), parameters
    sections: dict[str, list[_Section]] = {}
    for segment in rest:
        name, equals, value = segment.partition("=")
        if not equals:
            continue
        name = name.strip().lower()
        if "*" in name and (match := _CONTINUED.fullmatch(name)):
            section = int(match[2] or 0), bool(match[3]), unquote(value.strip())
            sections.setdefault(match[1].rstrip(), []).append(section)
        elif name and name not in parameters:
            value = unquote(value.strip())
            # No encoded word is allowed in any (RFC 2047 §5); names have them all the same, a boundary only by chance
            parameters[name] = value if name == "boundary" else decode_words(value)
    for name, pieces in sections.items():
        parameters[name] = _joined(pieces)
    return first.strip().lower(), parameters


def unquote(text: str) -> str:
    """The content of a quoted string, quoted pairs undone (RFC 5322 §3.2.4); other text as it is."""
    match = _QUOTED_CONTENT.match(text) if text.startswith('"') else None
    if match is None:
        return text
    return _QUOTED_PAIR.sub(r"\1", match[1]) if "\\" in match[1] else match[1]


def after_comment(text: str, start: int) -> int:
    """The offset after the comment that opens at start; comments nest, and an unclosed one ends with the text."""
    depth = 0
    for match in _COMMENT_MARK.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(text)


def _segments(body: str) -> list[str]:
    """The body cut at its semicolons, outside quoted strings, without comments."""
    if '"' not in body and "(" not in body:
        return body.split(";")
    segments: list[list[str]] = [[]]
    offset = 0
    while match := _TOKEN.match(body, offset):
        offset = match.end()
        if match[0] == ";":
            segments.append([])
        elif match[0] == "(":
            offset = after_comment(body, match.start())
        else:
            segments[-1].append(match[0])
    return ["".join(pieces) for pieces in segments]


def _joined(pieces: list[_Section]) -> str:
    """The value of an RFC 2231 parameter: continuations in order, percent signs and charset undone."""
    pieces.sort(key=lambda piece: piece[0])
    if not any(extended for _, extended, _ in pieces):
        return decode_words("".join(text for _, _, text in pieces))
    charset = ""
    if pieces[0][1] and pieces[0][2].count("'") >= 2:
        charset, _, text = pieces[0][2].split("'", 2)
        pieces[0] = (pieces[0][0], True, text)
    octets = b"".join(unquote_to_bytes(text) if extended else text.encode("utf-8") for _, extended, text in pieces)
    return decode_as(octets, charset)
