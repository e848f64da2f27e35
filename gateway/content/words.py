"""Encoded words (RFC 2047): the text a field body stands for, and the encoded words that stand for a text.

Whatever comes out is one line without control characters; nothing that comes in raises an exception.
"""

from __future__ import annotations

import binascii
import re

from gateway.content.charsets import decode_as

# charset, encoding, encoded text. Blanks inside the encoded text are against the rules (§2) but common.
ENCODED_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
# An encoded word has at most 75 characters (§2): 12 for the frame, so 60 of base64, so 45 octets.
WORD_OCTETS = 45

_QUOTATION = re.compile(rb"=([0-9A-Fa-f]{2})")

_CONTROLS: dict[int, str | None] = dict.fromkeys([*range(32), *range(0x7F, 0xA0)])
_CONTROLS |= dict.fromkeys([9, 10, 11, 12, 13, 0x85, 0x2028, 0x2029], " ")


def without_controls(text: str) -> str:
    """The text on one line: tabs and line breaks become blanks, other control characters go."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def decode_words(body: str) -> str:
    """The text of a field body, its encoded words decoded; those that cannot be decoded stay as they are."""
    if "=?" not in body:
        return without_controls(body)
    parts: list[str] = []
    run = _Run()
    end = 0
    for match in ENCODED_WORD.finditer(body):
        octets = _word_octets(match[2], match[3])
        if octets is None:
            continue
        between = body[end : match.start()]
        # Blanks between two encoded words are there for folding only (§6.2).
        if end == 0 or between.strip(" \t\r\n"):
            parts += (run.take(), between)
        run.add(match[1], octets, parts)
        end = match.end()
    parts += (run.take(), body[end:])
    return without_controls("".join(parts))


class _Run:
    """Octets of neighbouring encoded words in one charset, joined before decoding: a character may be cut in two."""

    def __init__(self) -> None:
        self._charset = ""
        self._octets: list[bytes] = []

    def add(self, charset: str, octets: bytes, parts: list[str]) -> None:
        charset = charset.partition("*")[0].lower()  # RFC 2231 §5: a language may follow
        if charset != self._charset:
            parts.append(self.take())
            self._charset = charset
        self._octets.append(octets)

    def take(self) -> str:
        octets = b"".join(self._octets)
        self._octets = []
        return decode_as(octets, self._charset) if octets else ""


def _word_octets(encoding: str, encoded: str) -> bytes | None:
    """The octets of one encoded word, None when its base64 is broken; a broken quotation stays as it stands."""
    if encoding in "qQ":
        octets = encoded.replace("_", " ").encode("utf-8", "replace")
        return _QUOTATION.sub(lambda match: binascii.a2b_hex(match[1]), octets)
    try:
        return binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        return None


def encode_words(text: str) -> str:
    """The text for a header field: as it is when plain US-ASCII, else as encoded words joined by blanks.

    No encoded word is longer than 75 characters or holds half a character (RFC 2047 §5).
    """
    text = without_controls(text)
    if text.isascii() and "=?" not in text:
        return text
    octets = text.encode("utf-8", "replace")
    words = []
    start = 0
    while start < len(octets):
        stop = min(start + WORD_OCTETS, len(octets))
        while stop < len(octets) and octets[stop] & 0xC0 == 0x80:
            stop -= 1
        words.append(f"=?utf-8?b?{binascii.b2a_base64(octets[start:stop], newline=False).decode()}?=")
        start = stop
    return " ".join(words)
