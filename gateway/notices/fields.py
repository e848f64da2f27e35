"""The lines of a message that we write ourselves: header fields folded, parameters of RFC 3461 decoded, parts encoded.

Whatever comes in, a field stays one field: no control character gets through, and no line is too long.
"""

from __future__ import annotations

import base64
import quopri
import re

from gateway.content.words import encode_words, without_controls

LINE_CHARACTERS = 76  # RFC 5322 §2.1.1 recommends 78, RFC 2045 §6.7 allows 76
LINE_OCTETS = 998  # RFC 5322 §2.1.1: the most that a line may have
WORD_OCTETS = 900  # a longer word is cut, so that its line with the field's name stays within LINE_OCTETS
REASON_CHARACTERS = 2000  # a vendor's words: some sentences; the answer itself is in the message log

_HEXCHAR = re.compile(r"((?:\+[0-9A-F]{2})+)")
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{1,6})\}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def one_line(text: str) -> str:
    """A foreign text on one line: blanks made single, control characters gone, what UTF-8 cannot carry replaced."""
    return " ".join(_clean(text).split())


def _clean(text: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", without_controls(text))


def text_field(name: str, body: str, *, utf8: bool = False) -> str:
    """A header field of free text with its CRLF, folded at blanks (RFC 5322 §2.2.3).

    What is beyond US-ASCII becomes encoded words (RFC 2047), or stays as it is with utf8 (RFC 6532).
    """
    line = one_line(body)
    return _folded(name, line if utf8 else encode_words(line))


def field(name: str, body: str, *, utf8: bool = False) -> str:
    """A structured header field, folded at blanks, its blanks kept: a quoted local-part may have several in a row.

    What is beyond US-ASCII stays with utf8 (RFC 6532), and is a question mark without it: callers ask first.
    """
    line = _clean(body).strip()
    return _folded(name, line if utf8 else line.encode("ascii", "replace").decode())


def _folded(name: str, line: str) -> str:
    pieces = [piece for word in line.split(" ") for piece in _cut(word)]
    lines = [f"{name}:"]
    for piece in pieces:
        # Never before a blank: a line of blanks alone would end the header section for some
        if piece and len(lines[-1]) + 1 + len(piece) > LINE_CHARACTERS and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {piece}"
    return "\r\n".join(lines) + "\r\n"


def _cut(word: str) -> list[str]:
    """The word, or its pieces when no line can hold it."""
    if len(word.encode()) <= WORD_OCTETS:
        return [word]
    step = WORD_OCTETS if word.isascii() else WORD_OCTETS // 4  # UTF-8 has at most four octets for a character
    return [word[start : start + step] for start in range(0, len(word), step)]


def decode_xtext(text: str) -> str:
    """What xtext stands for (RFC 3461 §4): +XX is an octet. One line; octets that are no UTF-8 are replaced."""
    return one_line(_HEXCHAR.sub(lambda run: bytes.fromhex(run[1].replace("+", "")).decode("utf-8", "replace"), text))


def decode_original_recipient(orcpt: str) -> tuple[str, str]:
    """The address type in lower case and the address of an ORCPT value (RFC 3461 §4.2; type utf-8: RFC 6533 §3)."""
    kind, _, address = orcpt.partition(";")
    kind = one_line(kind).lower()
    if kind != "utf-8":
        return kind, decode_xtext(address)
    return kind, one_line(_EMBEDDED.sub(lambda one: _character(int(one[1], 16)), address))


def _character(number: int) -> str:
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def encoded(octets: bytes) -> tuple[str, bytes]:
    """A text part's transfer encoding and octets: as it is where 7 bits and short lines do, else quoted or base64.

    Line breaks are CRLF (RFC 2046 §4.1.1).
    """
    if octets.isascii() and all(len(line) <= LINE_OCTETS for line in octets.split(b"\r\n")):
        return "7bit", octets
    if sum(octet > 126 for octet in octets) * 3 > len(octets):  # base64 is shorter, and as unreadable
        return "base64", base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return "quoted-printable", quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
