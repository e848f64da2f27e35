"""Header sections of a size that nobody means well with: read or refused, at a bounded cost."""

from __future__ import annotations

import pytest

from gateway.content import filenames, structure
from gateway.content.header import PART_HEADER_OCTETS, TOP_HEADER_OCTETS
from gateway.content.reading import UnreadableError, read_content

from .spooled import CountingSpool, spooled

MANY_FIELDS = b"a:b\r\n" * 12_000  # nearly PART_HEADER_OCTETS


def test_a_hundred_thousand_header_fields_are_read():
    content = read_content(spooled(b"From: a@b.example\r\n" + b"X-A: b\r\n" * 100_000 + b"Subject: x\r\n\r\nt\r\n"))
    assert len(content.fields) == 100_002
    assert content.subject == "x"
    assert content.report == ()


def test_a_header_field_of_ten_megabytes_is_refused_and_not_read_whole():
    spool = CountingSpool(b"From: a@b.example\r\nX-A: " + b"b" * 10_000_000 + b"\r\n\r\nt\r\n")
    with pytest.raises(UnreadableError, match=f"header section longer than {TOP_HEADER_OCTETS} octets"):
        read_content(spool)
    assert spool.octets < 2 * TOP_HEADER_OCTETS


def digest_of(header: bytes, count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (b"--b\r\n" + header + b"\r\nx\r\n") * count


def test_headers_of_parts_are_refused_once_they_are_too_much_together(monkeypatch):
    count = 3
    monkeypatch.setattr(structure, "MAXIMUM_PART_HEADERS_OCTETS", count * (len(MANY_FIELDS) + 2))
    assert len(read_content(spooled(digest_of(MANY_FIELDS, count))).attachments) == count - 1
    with pytest.raises(UnreadableError, match="octets in headers of parts"):
        read_content(spooled(digest_of(MANY_FIELDS, count + 1)))


def test_of_the_parts_only_what_is_needed_stays_in_memory():
    root, _ = structure.read_structure(spooled(digest_of(MANY_FIELDS, 3)))
    assert [child.fields for child in root.children] == [(), (), ()]


def test_a_forwarded_message_is_named_by_its_subject_without_reading_its_other_fields(monkeypatch):
    parsed = []
    read = filenames.parse_fields
    monkeypatch.setattr(filenames, "parse_fields", lambda octets: parsed.append(len(octets)) or read(octets))
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + MANY_FIELDS + b"SUBJECT : Re:\r\n =?utf-8?q?=C3=A9?=\r\n"
    names = [one.filename for one in read_content(spooled(digest_of(forwarded, 2))).attachments]
    assert names == ["Re_ é.eml", "Re_ é.eml"]
    assert max(parsed) < 100
    assert len(MANY_FIELDS) < PART_HEADER_OCTETS
