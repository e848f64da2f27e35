"""One walk over spooled mail data that finds its parts (RFC 2045, RFC 2046) by their offsets.

It reads headers and looks for delimiters; bodies stay in the spool. What the parts are for is decided in reading.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.content.header import (
    PART_HEADER_OCTETS,
    TOP_HEADER_OCTETS,
    find_body,
    first_line_of_text,
    first_line_without_field,
    parse_fields,
)
from gateway.content.parameters import parse_parameters
from gateway.content.spool import Spool
from gateway.content.words import without_controls
from gateway.message import HeaderField

# Mail programs nest less than ten deep; each level costs one more search over its octets, and one stack frame.
MAXIMUM_DEPTH = 100
# Newsletters with every image inside have a few hundred parts; vendors take far fewer attachments.
MAXIMUM_PARTS = 1000
# A part's header has some hundred octets; all of them together are read into memory, field by field.
MAXIMUM_PART_HEADERS_OCTETS = 2 * 1024 * 1024
# Lines that begin like a delimiter and are none cost a step each; in real mail they are signature rules at most.
MAXIMUM_NEAR_DELIMITERS = 50_000
# Most headers of parts fit, so that few octets are read to find where a body begins.
FIRST_HEADER_OCTETS = 8 * 1024
# Blanks that a gateway may have added after a boundary (RFC 2046 §5.1.1) fit in a line (RFC 5322 §2.1.1).
PADDING_OCTETS = 998

_MEDIA_TYPE = re.compile(r"([a-z0-9!#$%&'*+.^_`{|}~\-]+)\s*/\s*([a-z0-9!#$%&'*+.^_`{|}~\-]+)")
_DESCRIBING = frozenset({"content-type", "content-disposition", "content-transfer-encoding", "content-id"})


class UnreadableError(Exception):
    """The mail data cannot be read as a message; the text says why, fit for the client to see."""


@dataclass(slots=True)
class Part:
    """One entity of a message (RFC 2045 §2.4): its header, and where its body lies in the spool.

    media_type, disposition and transfer_encoding are in lower case, the latter two empty when not given; content_id
    has no angle brackets. named has the bodies of the fields by their names in lower case. body_stop excludes the line
    break before a delimiter. Only a multipart has children. Only the message itself keeps its fields.
    """

    fields: tuple[HeaderField, ...]
    named: dict[str, list[str]]
    media_type: str
    parameters: dict[str, str]
    disposition: str
    disposition_parameters: dict[str, str]
    transfer_encoding: str
    content_id: str
    body_start: int
    body_stop: int
    children: list[Part] = field(default_factory=list)


def read_structure(spool: Spool) -> tuple[Part, list[str]]:
    """The message as a tree of parts, and in plain words what had to be guessed. UnreadableError beyond the caps."""
    walk = _Walk(spool)
    start = walk.skip_mbox_line()
    root = walk.part(start, spool.size_octets, "text/plain", 0)
    return root, walk.report


class _Walk:
    """What is counted and reported over all parts of one message."""

    def __init__(self, spool: Spool) -> None:
        self.report: list[str] = []
        self._spool = spool
        self._parts = 0
        self._near_delimiters = 0
        self._part_headers_octets = 0

    def skip_mbox_line(self) -> int:
        """Where the message begins: after the line that an mbox file puts before it, if there is one."""
        line = self._spool.read(0, PADDING_OCTETS)
        if not line.startswith(b"From ") or line[5:].lstrip(b" \t").startswith(b":"):
            return 0
        self.report.append("an mbox line before the header section was skipped")
        return line.find(b"\n") + 1

    def part(self, start: int, stop: int, default_type: str, depth: int) -> Part:
        """The part between two offsets, with its children."""
        self._parts += 1
        if self._parts > MAXIMUM_PARTS:
            raise UnreadableError(f"more than {MAXIMUM_PARTS} parts")
        if depth > MAXIMUM_DEPTH:
            raise UnreadableError(f"parts nested more than {MAXIMUM_DEPTH} deep")
        fields, body_start = self._header(start, stop, PART_HEADER_OCTETS if depth else TOP_HEADER_OCTETS)
        part = self._described(fields, body_start, stop, default_type)
        if depth:
            part.fields, part.named = (), {}
        if part.media_type.startswith("multipart/"):
            self._add_children(part, depth)
        return part

    def _header(self, start: int, stop: int, most_octets: int) -> tuple[tuple[HeaderField, ...], int]:
        """The fields of a part, and the offset of its body."""
        octets = self._spool.read(start, min(stop, start + FIRST_HEADER_OCTETS))
        length = find_body(octets)
        if length < 0 and stop - start > FIRST_HEADER_OCTETS:
            octets = self._spool.read(start, min(stop, start + most_octets))
            length = find_body(octets)
        if length < 0:
            length = self._header_without_end(octets, stop - start > most_octets)
        if most_octets == PART_HEADER_OCTETS:
            self._count_part_header(length)
        fields, notes = parse_fields(octets[:length])
        if not fields and octets[:length].strip():
            return (), start  # nothing of it is a header, so all of it is body
        if notes and (text := first_line_of_text(octets[:length])) < length:
            self.report.append("no empty line between header section and body")
            length = text
            fields, notes = parse_fields(octets[:length])
        self.report += notes
        return fields, start + length

    def _count_part_header(self, octets: int) -> None:
        self._part_headers_octets += octets
        if self._part_headers_octets > MAXIMUM_PART_HEADERS_OCTETS:
            raise UnreadableError(f"more than {MAXIMUM_PART_HEADERS_OCTETS} octets in headers of parts")

    def _header_without_end(self, octets: bytes, is_cut: bool) -> int:
        """The length of a header section that no empty line ends; is_cut tells that more octets follow these."""
        lines = octets[: octets.rfind(b"\n") + 1] or octets if is_cut else octets
        length = first_line_without_field(lines)
        if is_cut and length == len(lines):
            raise UnreadableError(f"header section longer than {len(octets)} octets")
        if length < len(lines):
            self.report.append("no empty line between header section and body")
        return length

    def _described(self, fields: tuple[HeaderField, ...], start: int, stop: int, default_type: str) -> Part:
        """A part with what its Content- fields say; of repeated ones the first counts."""
        named = _named(fields)
        given = {name: bodies[0] for name, bodies in named.items() if name in _DESCRIBING}
        media_type = default_type
        parameters: dict[str, str] = {}
        if "content-type" in given:
            media_type, parameters = self._media_type(given["content-type"])
        disposition = ""
        disposition_parameters: dict[str, str] = {}
        if "content-disposition" in given:
            disposition, disposition_parameters = parse_parameters(given["content-disposition"])
        encoding = given.get("content-transfer-encoding", "")
        return Part(
            fields=fields,
            named=named,
            media_type=media_type,
            parameters=parameters,
            disposition=disposition.strip('"'),
            disposition_parameters=disposition_parameters,
            transfer_encoding=parse_parameters(encoding)[0].strip('"') if encoding else "",
            content_id=without_controls(given.get("content-id", "")).strip(" <>"),
            body_start=start,
            body_stop=stop,
        )

    def _media_type(self, body: str) -> tuple[str, dict[str, str]]:
        """The media type and parameters of a Content-Type, also where the first semicolon is missing."""
        value, parameters = parse_parameters(body)
        match = _MEDIA_TYPE.match(value)
        if not match:
            self.report.append("a Content-Type that is no media type was read as text/plain")
            return "text/plain", parameters
        if match.end() < len(value):
            self.report.append("a Content-Type with more than its media type before the first semicolon was repaired")
            _, found = parse_parameters(f";{value[match.end() :].lstrip(' ,')}")
            parameters = found | parameters
        return f"{match[1]}/{match[2]}", parameters

    def _add_children(self, part: Part, depth: int) -> None:
        """Read the parts of a multipart; one that has none is a text to mail readers, and so it is here."""
        boundary = part.parameters.get("boundary", "").rstrip()
        default_type = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
        regions, closed = self._regions(part, boundary.encode("utf-8", "replace")) if boundary else ([], False)
        if not regions:
            reason = "without parts" if boundary else "without a boundary"
            self.report.append(f"{part.media_type} {reason} was read as text/plain")
            part.media_type = "text/plain"
        elif not closed:
            self.report.append(f"{part.media_type} without its closing delimiter was read up to its end")
        for start, stop in regions:
            part.children.append(self.part(start, stop, default_type, depth + 1))

    def _regions(self, part: Part, boundary: bytes) -> tuple[list[tuple[int, int]], bool]:
        """Where the body parts lie, and whether the closing delimiter was seen (RFC 2046 §5.1.1)."""
        regions: list[tuple[int, int]] = []
        start = -1
        for line_start, line_stop, closing in self._delimiters(part, boundary):
            if start >= 0:
                regions.append((start, self._before_break(start, line_start)))
            if closing:
                self._look_behind(part, boundary, line_stop)
                return regions, True
            if self._parts + len(regions) > MAXIMUM_PARTS:
                raise UnreadableError(f"more than {MAXIMUM_PARTS} parts")
            start = line_stop
        if start >= 0:
            regions.append((start, part.body_stop))
        return regions, False

    def _look_behind(self, part: Part, boundary: bytes, start: int) -> None:
        """Report body parts behind the closing delimiter: no reader shows them."""
        if self._spool.find(b"\n--" + boundary, start - 1, part.body_stop) >= 0:
            self.report.append(f"what follows the closing delimiter of {part.media_type} was left out")

    def _before_break(self, start: int, line_start: int) -> int:
        """Where a body part stops: before the line break that belongs to the delimiter after it."""
        stop = line_start - 1
        if self._spool.read(stop - 1, stop) == b"\r":
            stop -= 1
        return max(start, stop)

    def _delimiters(self, part: Part, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
        """Delimiter lines in order: offset of the line, offset after it, whether it is the closing one."""
        needle = b"\n--" + boundary
        # The octet before a body is the end of a line, so a delimiter may be its first line.
        at = max(part.body_start - 1, 0)
        while (hit := self._spool.find(needle, at, part.body_stop)) >= 0:
            after = hit + len(needle)
            rest = self._spool.read(after, min(after + PADDING_OCTETS, part.body_stop))
            line, line_end, _ = rest.partition(b"\n")
            at = after + len(line)
            ended = bool(line_end) or at == part.body_stop
            mark = line.rstrip(b" \t\r")
            if ended and mark in (b"", b"--"):
                yield hit + 1, at + len(line_end), mark == b"--"
            else:
                at = after
                self._count_near_delimiter()

    def _count_near_delimiter(self) -> None:
        self._near_delimiters += 1
        if self._near_delimiters > MAXIMUM_NEAR_DELIMITERS:
            raise UnreadableError("too many lines that look like delimiters")


def _named(fields: tuple[HeaderField, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in fields:
        found.setdefault(one.name.lower(), []).append(one.body)
    return found
