"""A JSON document with sources in it -> the octets of a request body, of known length, as often as needed.

What the document means is the vendor's; how the octets travel is for the HTTP client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from gateway.message import Base64Source, TextSource

if TYPE_CHECKING:
    from gateway.vendor import JsonValue

# One write, one TLS record or a few: below this a body is handed over whole.
ONE_PIECE_OCTETS = 64 * 1024
# Texts up to this length are written into the document at once; longer ones are escaped again at every reading.
KEPT_TEXT_CHARACTERS = 64 * 1024

# Stands for a source in the encoded document. JSON text has no NUL octet (RFC 8259 §7), so it cannot be mistaken.
_MARK = b"\0"
_PLACE = msgspec.Raw(b'"' + _MARK + b'"')
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonBody:
    """A request body. Every call of pieces() gives equal octets, so that a repeated request is the same request."""

    def __init__(self, document: JsonValue) -> None:
        self._sources: list[_LongText | Base64Source] = []
        try:
            encoded = msgspec.json.encode(document, enc_hook=self._leaf)
        except UnicodeEncodeError:
            self._sources.clear()
            encoded = msgspec.json.encode(_without_surrogates(document), enc_hook=self._leaf)
        self._frame = encoded.split(_MARK) if self._sources else [encoded]
        self.length_octets = sum(map(len, self._frame)) + sum(_length_octets(source) for source in self._sources)

    def pieces(self) -> Iterator[bytes]:
        """The body's octets from the beginning; a short body comes as one piece."""
        if not self._sources:
            return iter(self._frame)
        if self.length_octets <= ONE_PIECE_OCTETS:
            return iter((b"".join(self._pieces()),))
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        yield self._frame[0]
        for source, after in zip(self._sources, self._frame[1:], strict=True):
            yield from source.pieces()
            yield after

    def _leaf(self, value: object) -> object:
        """What msgspec cannot encode by itself: sources, and containers that are neither dict nor list."""
        if hasattr(value, "base64_octets"):
            self._sources.append(cast(Base64Source, value))
            return _PLACE
        if hasattr(value, "pieces"):
            return self._text(cast(TextSource, value))
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, Sequence):
            return list(value)
        raise TypeError(f"{type(value).__name__} has no place in a JSON document")

    def _text(self, source: TextSource) -> object:
        """A short text as a string, a long one as a place that is filled while the body is written."""
        kept = []
        characters = 0
        for piece in source.pieces():
            kept.append(piece)
            characters += len(piece)
            if characters > KEPT_TEXT_CHARACTERS:
                self._sources.append(_LongText(source))
                return _PLACE
        text = "".join(kept)
        return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


class _LongText:
    """A text as the inside of a JSON string, escaped piece by piece."""

    def __init__(self, source: TextSource) -> None:
        self._source = source
        self.length_octets = sum(map(len, self.pieces()))

    def pieces(self) -> Iterator[bytes]:
        for piece in self._source.pieces():
            try:
                yield msgspec.json.encode(piece)[1:-1]
            except UnicodeEncodeError:
                yield msgspec.json.encode(_LONE_SURROGATE.sub("\ufffd", piece))[1:-1]


def _length_octets(source: _LongText | Base64Source) -> int:
    return source.length_octets if isinstance(source, _LongText) else source.base64_octets


def _without_surrogates(value: Any) -> Any:
    """The document with every lone surrogate, which UTF-8 cannot carry, replaced (U+FFFD)."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_without_surrogates(key): _without_surrogates(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_without_surrogates(one) for one in value]
    return value
