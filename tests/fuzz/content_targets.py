"""Fuzz targets over gateway.content. Each takes any octets and fails where its invariant, its first line, does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from gateway.content import base64_source, decoding, sources
from gateway.content import spool as spool_module
from gateway.content.addresses import format_mailbox, parse_mailboxes
from gateway.content.base64_source import Base64
from gateway.content.header import find_body, parse_fields
from gateway.content.json_body import JsonBody
from gateway.content.parameters import parse_parameters
from gateway.content.reading import UnreadableError, read_content
from gateway.content.sources import Text
from gateway.content.spool import Spool
from gateway.content.structure import Part, read_structure
from gateway.content.words import decode_words, encode_words
from gateway.message import Content
from tests.content.contents import html_of, octets_of, text_of
from tests.content.spooled import spooled

LINE_BREAKING = {chr(code) for code in [*range(32), *range(127, 160), 0x2028, 0x2029]}
ENCODINGS = ("base64", "quoted-printable", "8bit")
SMALL_PIECE_OCTETS = 12


@contextmanager
def small_windows() -> Iterator[None]:
    """Everything that is read in windows or pieces is read in tiny ones."""
    places = (
        (spool_module, "FIRST_WINDOW_OCTETS", 3),
        (spool_module, "LAST_WINDOW_OCTETS", 7),
        (decoding, "PIECE_OCTETS", SMALL_PIECE_OCTETS),
        (base64_source, "PIECE_OCTETS", SMALL_PIECE_OCTETS),
        (sources, "KEPT_TEXT_OCTETS", -1),
        (base64_source, "KEPT_BASE64_OCTETS", -1),
    )
    before = [getattr(module, name) for module, name, _ in places]
    for module, name, value in places:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(places, before, strict=True):
            setattr(module, name, value)


def content(octets: bytes) -> None:
    """Any mail data is a content or unreadable, the same from memory as from a file, and a valid JSON document."""
    whole = _outcome(spooled(octets))
    with small_windows():
        file = spooled(octets, memory_octets=-1)
        assert _outcome(file) == whole
        file.close()


def _outcome(spool: Spool) -> tuple[object, ...]:
    try:
        read = read_content(spool)
    except UnreadableError as error:
        return (str(error),)
    attachments = [
        (one.filename, one.content_type, one.content_id, one.inline, octets_of(one)) for one in read.attachments
    ]
    for one in read.attachments:
        assert one.filename
        assert not LINE_BREAKING & set(one.filename + one.content_type + one.content_id)
    _check_json(read)
    return (read.fields, read.author, read.to, read.cc, read.subject, text_of(read), html_of(read), attachments,
            read.report)  # fmt: skip


def _check_json(read: Content) -> None:
    files = [{"name": one.filename, "is": one.source} for one in read.attachments]
    bodies = {name: source for name, source in (("text", read.text), ("html", read.html)) if source is not None}
    body = JsonBody({"subject": read.subject, "files": files} | bodies)
    octets = b"".join(body.pieces())
    assert len(octets) == body.length_octets
    json.loads(octets)


def structure(octets: bytes) -> None:
    """Parts lie inside their parents, in order, without overlap; what holds parts is a multipart."""
    try:
        root, _ = read_structure(spooled(octets))
    except UnreadableError:
        return
    _check_part(root, 0, len(octets))


def _check_part(part: Part, start: int, stop: int) -> None:
    assert start <= part.body_start <= part.body_stop <= stop
    assert not part.children or part.media_type.startswith("multipart/")
    for child in part.children:
        _check_part(child, part.body_start, part.body_stop)
    for one, following in zip(part.children, part.children[1:], strict=False):
        assert one.body_stop <= following.body_start


def words(octets: bytes) -> None:
    """A field body becomes one line without control characters, and what is encoded again reads the same."""
    text = decode_words(octets.decode("utf-8", "surrogateescape"))
    assert not LINE_BREAKING & set(text)
    encoded = encode_words(text)
    assert encoded.isascii()
    assert all(len(word) <= 75 or "=?" not in word for word in encoded.split(" ") if encoded != text)
    if encoded != text:
        assert decode_words(encoded) == text.encode("utf-8", "replace").decode()


def parameters(octets: bytes) -> None:
    """A field with parameters is a value and names in lower case, and never an exception."""
    value, found = parse_parameters(octets.decode("utf-8", "replace"))
    assert value == value.lower().strip()
    assert all(name == name.lower() and name == name.strip(" \t") for name in found)


def addresses(octets: bytes) -> None:
    """Every mailbox is on one line, has an @ in its address, and written again it reads as the same address."""
    for mailbox in parse_mailboxes(octets.decode("utf-8", "replace")):
        written = format_mailbox(mailbox)
        assert not LINE_BREAKING & set(mailbox.display_name + mailbox.address + written)
        assert "@" in mailbox.address
        assert [one.address for one in parse_mailboxes(written)] == [mailbox.address]


def header(octets: bytes) -> None:
    """Header fields have names of printable ASCII and bodies without line breaks or NUL; the body starts after them."""
    fields, _ = parse_fields(octets)
    for one in fields:
        assert one.name.isascii()
        assert one.name.isprintable()
        assert not set(one.name) & set(" :")
        assert not set(one.body) & set("\r\n\0")
    end = find_body(octets)
    assert end < 0 or octets[:end].endswith(b"\n")


def decoded(octets: bytes) -> None:
    """A body in any transfer encoding is valid base64 of the size promised, the same however it is cut in pieces."""
    encoding = ENCODINGS[octets[0] % len(ENCODINGS)] if octets else ""
    whole = _base64_of(octets[1:], encoding)
    with small_windows():
        assert _base64_of(octets[1:], encoding) == whole


def _base64_of(octets: bytes, encoding: str) -> bytes:
    source = Base64(spooled(octets), 0, len(octets), encoding)
    written = b"".join(source.pieces())
    found = base64.b64decode(written, validate=True)
    assert (source.base64_octets, source.size_octets) == (len(written), len(found))
    assert base64.b64encode(found) == written
    return found


def text(octets: bytes) -> None:
    """A text in any charset has LF line ends only and is the same however it is cut in pieces."""
    charset, _, body = octets.partition(b"\n")
    encoding = ENCODINGS[len(charset) % len(ENCODINGS)]
    whole = _text_of(body, encoding, charset.decode("latin-1"))
    assert "\r" not in whole
    msgspec.json.encode(whole.encode("utf-8", "replace").decode())
    with small_windows():
        assert _text_of(body, encoding, charset.decode("latin-1")) == whole


def _text_of(octets: bytes, encoding: str, charset: str) -> str:
    read = Text(spooled(octets), 0, len(octets), encoding, charset)
    return "".join(read.pieces())


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (content, structure, words, parameters, addresses, header, decoded, text)
}
