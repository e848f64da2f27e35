"""Text bodies, read from the spool whenever they are asked for.

A checking pass when a source is made finds charset and faults; then the pieces come with constant memory.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from gateway.content.charsets import codec_name, is_seven_bit, is_wide, keeps_its_own, with_byte_order
from gateway.content.decoding import decoded_pieces
from gateway.content.spool import Spool

# Texts that people write are smaller; they are decoded once and kept.
KEPT_TEXT_OCTETS = 256 * 1024
# They have no states, so that decoding tells at once whether the octets fit.
_USUAL_CODECS = ("ascii", "utf_8", "latin_1", "cp1252")
# At the beginning of a text it says how the text is written, and is no part of it (RFC 3629 §6, RFC 2781 §3.2).
_BYTE_ORDER_MARK = "\ufeff"
# The longest escape sequence of the charsets here: ESC, two intermediate octets, a final one (ISO 2022).
ESCAPE_OCTETS = 4
_BROKEN_ESCAPE = re.compile(rb"\x1b(?![ -/]{0,2}[@-Z])")
_LINE_END = re.compile(r"\r+\n?")


class Text:
    """A text body: transfer encoding and charset undone, line breaks LF. A gateway.message.TextSource.

    charset is the declared one, empty for none. report says what was guessed or repaired.
    """

    def __init__(self, spool: Spool, start: int, stop: int, encoding: str, charset: str) -> None:
        self._region = (spool, start, stop, encoding)
        self._kept: str | None = None
        notes: list[str] = []
        if stop - start <= KEPT_TEXT_OCTETS:
            octets = b"".join(decoded_pieces(*self._region, notes))
            guess: list[str] = []
            text = _plain_text(octets, charset)
            if text is None:
                self._codec, self._errors, guess = choose_codec(lambda: (octets,), charset)
                text = self._mended(octets).decode(self._codec, self._errors)
            self._kept = _line_feeds(text.removeprefix(_BYTE_ORDER_MARK))
        else:
            passes: list[None] = []

            def whole() -> Iterator[bytes]:
                yield from decoded_pieces(*self._region, notes)
                passes.append(None)

            self._codec, self._errors, guess = choose_codec(whole, charset)
            if not passes:  # a charset is told by the beginning, a fault may be at the end
                deque(whole(), maxlen=0)
        # A text that was tried in several charsets was decoded as often, with the same findings each time.
        self.report = [*dict.fromkeys(notes), *guess]

    def pieces(self) -> Iterator[str]:
        """Give the text from its beginning."""
        if self._kept is None:
            yield from _with_line_feeds(self._decoded())
        elif self._kept:
            yield self._kept

    @property
    def _mends(self) -> bool:
        return self._codec.startswith("iso2022") and self._errors == "replace"

    def _mended(self, octets: bytes) -> bytes:
        """Broken escape sequences made into an octet that no text has: CPython's decoders stumble over long ones."""
        return _BROKEN_ESCAPE.sub(b"\xff", octets) if self._mends else octets

    def _decoded(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self._codec)(self._errors)
        begun = False
        held = b""
        for octets in decoded_pieces(*self._region, []):
            block = held + octets
            end = _before_escape(block) if self._mends else len(block)
            held = block[end:]
            text = decoder.decode(self._mended(block[:end]))
            yield text if begun else text.removeprefix(_BYTE_ORDER_MARK)
            begun = begun or bool(text)
        text = decoder.decode(self._mended(held), True)
        yield text if begun else text.removeprefix(_BYTE_ORDER_MARK)


def _plain_text(octets: bytes, charset: str) -> str | None:
    """The text of octets that fit a usual charset, decoded once; None where a charset has to be chosen."""
    codec = codec_name(charset) if charset else "ascii"
    if codec not in _USUAL_CODECS:
        return None
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        return None


def _before_escape(block: bytes) -> int:
    """Where to cut so that no escape sequence is cut in two."""
    escape = block.find(b"\x1b", max(len(block) - ESCAPE_OCTETS + 1, 0))
    return escape if escape >= 0 else len(block)


def choose_codec(pieces: Callable[[], Iterable[bytes]], charset: str) -> tuple[str, str, list[str]]:
    """The codec to read octets with, how to treat errors in it, and what to report when that is a guess.

    The declared charset when the octets fit it, US-ASCII when none is declared; then UTF-8, cp1252, ISO 8859-1.
    """
    declared = codec_name(charset) if charset else "ascii"
    if declared in ("utf_16", "utf_32"):
        declared = _with_byte_order(declared, pieces())
    said = f"text declared as {charset[:40]!a}" if charset else "text without a charset"
    if declared and _fits(pieces(), declared):
        return declared, "strict", []
    if declared and is_wide(declared) and any(b"\0" in octets for octets in pieces()):
        return declared, "replace", [f"{said} has octets that are none of it; they were replaced"]
    if not (declared and is_seven_bit(declared)) and _fits(pieces(), "utf_8"):
        return "utf_8", "strict", [f"{said} was read as utf-8"]
    if declared and (keeps_its_own(declared) or (declared == "utf_8" and _mostly_utf8(pieces()))):
        return declared, "replace", [f"{said} has octets that are none of it; they were replaced"]
    for codec in ("cp1252", "latin_1"):
        if _fits(pieces(), codec):
            break
    return codec, "strict", [f"{said} was read as {codec}"]


def _with_byte_order(codec: str, pieces: Iterable[bytes]) -> str | None:
    start = b""
    offset = 0
    first_nul = -1
    for octets in pieces:
        start += octets[: 4 - len(start)]
        hit = octets.find(b"\0")
        if first_nul < 0 <= hit:
            first_nul = offset + hit
        offset += len(octets)
        if first_nul >= 0 and len(start) == 4:
            break
    return with_byte_order(codec, start, first_nul)


def _mostly_utf8(pieces: Iterable[bytes]) -> bool:
    """Whether octets that are not all UTF-8 still are so by intent: an application cut a string within a character."""
    decoder = codecs.getincrementaldecoder("utf_8")("replace")
    good = bad = 0
    for octets in (*pieces, None):
        text = decoder.decode(octets) if octets is not None else decoder.decode(b"", True)
        if not text.isascii():
            bad += text.count("\ufffd")
            good += len(text) - len(text.encode("ascii", "ignore"))
    return good >= 4 * bad  # good counts the bad ones too; text in another charset has hardly any good ones


def _fits(pieces: Iterable[bytes], codec: str) -> bool:
    """Whether all the octets are valid in the codec."""
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for octets in pieces:
            decoder.decode(octets)
        decoder.decode(b"", True)
    except UnicodeError:
        return False
    return True


def _line_feeds(text: str) -> str:
    """Every line end as LF: CRLF, a run of CRs, and the CR CR LF that comes of encoding the CR of a CRLF twice."""
    plain = text.replace("\r\n", "\n")
    if "\r" not in plain:
        return plain
    return _LINE_END.sub("\n", text if "\r\r" in text else plain)


def _with_line_feeds(texts: Iterable[str]) -> Iterator[str]:
    """The same for a text in pieces: CRs at the end of a piece wait for what follows them."""
    held = ""
    for text in texts:
        whole = held + text
        certain = whole.rstrip("\r")
        held = "\r" if len(certain) < len(whole) else ""
        if certain:
            yield _line_feeds(certain)
    if held:
        yield _line_feeds(held)
