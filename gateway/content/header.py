"""The octets of a header section -> header fields: unfolded (RFC 5322 §2.2.3), 8-bit read, nonsense skipped.

What a field's body means is for words.py, parameters.py and addresses.py. A lone LF ends a line as CRLF does.
"""

from __future__ import annotations

from gateway.content.charsets import decode_octets
from gateway.message import HeaderField, header_field

# Real header sections stay under 64 KiB; DKIM, ARC and long To fields together never came near this.
TOP_HEADER_OCTETS = 1024 * 1024
# A body part has a handful of short fields; 1,000 parts with such headers stay below the largest message.
PART_HEADER_OCTETS = 64 * 1024

# Octets that no field body may have (RFC 5322 §2.2): they would break a line, a log or a JSON reader further on.
_CONTROLS = bytes([*range(9), 11, 12, 13, *range(14, 32), 127])
_BLANKED = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))


def find_body(octets: bytes) -> int:
    """The offset after the empty line that ends the header section, -1 when there is none in these octets."""
    if octets.startswith(b"\r\n"):
        return 2
    if octets.startswith(b"\n"):
        return 1
    after = octets.find(b"\n\r\n")
    bare = octets.find(b"\n\n", 0, after + 1 if after >= 0 else len(octets))
    if bare >= 0:
        return bare + 2
    return after + 3 if after >= 0 else -1


def parse_fields(block: bytes) -> tuple[tuple[HeaderField, ...], list[str]]:
    """The fields of a header section in their order, and what was skipped or repaired, in plain words."""
    unfolded = block.replace(b"\r\n", b"\n").replace(b"\n ", b" ").replace(b"\n\t", b"\t")
    report = []
    if len(unfolded.translate(None, _CONTROLS)) != len(unfolded):
        unfolded = unfolded.translate(_BLANKED)
        report.append("control characters in the header section were read as blanks")
    fields = []
    skipped = 0
    for line in _lines(unfolded):
        name, colon, body = line.partition(":")
        # As is_field_name() says, without a call for each
        is_name = name and name.isascii() and name.isprintable() and " " not in name
        if colon and (is_name or is_field_name(name := name.rstrip(" \t"))):
            fields.append(header_field((name, body.strip(" \t"))))
        elif line:
            skipped += 1
    if skipped:
        report.append(f"{skipped} lines of a header section are no header fields and were skipped")
    return tuple(fields), report


def first_line_without_field(block: bytes) -> int:
    """Where the body begins in octets that have no empty line: at the first line that cannot be in a header section."""
    offset = 0
    for line in block.split(b"\n"):
        name, colon, _ = line.partition(b":")
        folded = offset > 0 and line[:1] in (b" ", b"\t")
        if line and not folded and not (colon and is_field_name(name.rstrip(b" \t").decode("latin_1"))):
            return offset
        offset += len(line) + 1
    return len(block)


def first_line_of_text(block: bytes) -> int:
    """Where the lines begin that no field follows any more: a body behind a forgotten empty line; else the length."""
    offset = 0
    found = len(block)
    for line in block.split(b"\n"):
        if line.strip() and line[:1] not in (b" ", b"\t"):
            name, colon, _ = line.partition(b":")
            is_field = colon and is_field_name(name.rstrip(b" \t").decode("latin_1"))
            found = len(block) if is_field else min(found, offset)
        offset += len(line) + 1
    return found


def is_field_name(name: str) -> bool:
    """Whether the text can be a field's name: printable US-ASCII without blanks or colon (RFC 5322 §3.6.8)."""
    return bool(name) and name.isascii() and name.isprintable() and " " not in name


def _lines(unfolded: bytes) -> list[str]:
    try:
        return unfolded.decode().split("\n")
    except UnicodeDecodeError:
        # Field by field: one in an old charset must not spoil its neighbours in UTF-8.
        return [decode_octets(line) for line in unfolded.split(b"\n")]
