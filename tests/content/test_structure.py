"""How a message is taken apart by its boundaries, and what becomes of broken ones."""

from __future__ import annotations

import pytest

from gateway.content import structure
from gateway.content.structure import Part, UnreadableError, read_structure

from .spooled import CountingSpool, crlf, spooled


def read(text: str) -> tuple[Part, list[str], bytes]:
    octets = crlf(text)
    part, report = read_structure(spooled(octets))
    return part, report, octets


def bodies(part: Part, octets: bytes) -> list[bytes]:
    return [octets[child.body_start : child.body_stop] for child in part.children]


def mixed(body: str, boundary: str = "b") -> str:
    return f'Content-Type: multipart/mixed; boundary="{boundary}"\n\n{body}'


def test_a_message_without_a_content_type_is_plain_text():
    part, report, octets = read("From: a@b\n\nHello\n")
    assert (part.media_type, part.children, report) == ("text/plain", [], [])
    assert octets[part.body_start : part.body_stop] == b"Hello\r\n"


def test_what_a_part_says_of_itself():
    part, _, _ = read(
        "Content-Type: Image/PNG; name=x.png\nContent-Disposition: INLINE; filename=y.png\n"
        "Content-Transfer-Encoding: Base64 (really)\nContent-ID: <a@b>\n\nx"
    )
    assert (part.media_type, part.parameters) == ("image/png", {"name": "x.png"})
    assert (part.disposition, part.disposition_parameters) == ("inline", {"filename": "y.png"})
    assert (part.transfer_encoding, part.content_id) == ("base64", "a@b")


def test_parts_lie_between_their_delimiters_without_the_line_break_before_them():
    part, report, octets = read(mixed("preamble\n--b\n\none\n\n--b \t\nA: b\n\ntwo\n--b--\nepilogue"))
    assert bodies(part, octets) == [b"one\r\n", b"two"]
    assert report == []


def test_bare_line_feeds_delimit_too():
    part, _ = read_structure(spooled(mixed("--b\n\none\n--b\n\ntwo\n--b--").encode()))
    assert len(part.children) == 2
    assert part.children[0].body_stop - part.children[0].body_start == 3


def test_a_delimiter_must_match_its_whole_line():
    part, _, octets = read(mixed("--b\n\n--bc\n--b-\n--b x\n --b\nx--b\n--b--x\nend\n--b--\n"))
    assert bodies(part, octets) == [b"--bc\r\n--b-\r\n--b x\r\n --b\r\nx--b\r\n--b--x\r\nend"]


def test_an_inner_boundary_may_begin_with_the_outer_one():
    inner = 'Content-Type: multipart/alternative; boundary="b-in"\n\n--b-in\n\nx\n--b-in\n\ny\n--b-in--\n'
    part, report, octets = read(mixed(f"--b\n{inner}\n--b\n\nz\n--b--\n"))
    assert [child.media_type for child in part.children] == ["multipart/alternative", "text/plain"]
    assert bodies(part.children[0], octets) == [b"x", b"y"]
    assert report == []


def test_an_inner_multipart_that_is_not_closed_ends_with_its_parent():
    inner = "Content-Type: multipart/mixed; boundary=in\n\n--in\n\nx\n"
    part, report, octets = read(mixed(f"--b\n{inner}--b\n\nz\n--b--\n"))
    assert bodies(part.children[0], octets) == [b"x"]
    assert len(part.children) == 2
    assert report == ["multipart/mixed without its closing delimiter was read up to its end"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n",
            "multipart/mixed without a boundary was read as text/plain",
        ),
        (mixed("no delimiter"), "multipart/mixed without parts was read as text/plain"),
        (mixed("--b--\n"), "multipart/mixed without parts was read as text/plain"),
        ("Content-Type: nonsense\n\nx", "a Content-Type that is no media type was read as text/plain"),
    ],
)
def test_what_has_no_parts_is_text(text, line):
    part, report, octets = read(text)
    assert (part.media_type, part.children, report) == ("text/plain", [], [line])
    assert part.body_start == octets.index(b"\r\n\r\n") + 4
    assert part.body_stop == len(octets)


def test_a_digest_holds_messages_and_messages_are_leaves():
    part, _, _ = read("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\n--y\n\n--b--\n")
    assert [(child.media_type, child.children) for child in part.children] == [("message/rfc822", [])]


def test_empty_parts_and_parts_without_a_header_are_kept():
    part, _, octets = read(mixed("--b\n--b\n\n\n--b\nno header here\n\nmore\n--b--"))
    assert bodies(part, octets) == [b"", b"", b"no header here\r\n\r\nmore"]


def test_an_mbox_line_is_skipped():
    part, report, _ = read("From ann@b Sat Nov 21 10:00:00 2026\nSubject: x\n\nHello")
    assert [one.name for one in part.fields] == ["Subject"]
    assert report == ["an mbox line before the header section was skipped"]
    assert read("From : ann@b\n\nHello")[0].fields[0].name == "From"


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "x", "From: a@b", "From: a@b\n", "\nbody"])
def test_next_to_nothing_is_a_message(text):
    part, _, octets = read(text)
    assert 0 <= part.body_start <= part.body_stop == len(octets)


def test_a_text_without_any_header_is_all_body():
    part, _, octets = read("Hello you\nhow are you\n\nBye")
    assert (part.fields, part.body_start, part.body_stop) == ((), 0, len(octets))


def test_a_forgotten_empty_line_loses_no_text():
    part, report, octets = read("From: a@b\nHello you\nhow are you\n")
    assert octets[part.body_start :] == b"Hello you\r\nhow are you\r\n"
    assert report == ["no empty line between header section and body"]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"A: b\r\n" * 200_000, "header section longer than 1048576 octets"),
        (crlf(mixed("--b\n" + "A: b\n" * 20_000)), "header section longer than 65536 octets"),
        (crlf(mixed("--b\n\nx\n" * 1001)), "more than 1000 parts"),
        (
            crlf("".join(f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n" for i in range(102))),
            "more than 100 deep",
        ),
        (crlf(mixed("--b\n\n" + "--bx\n" * 50_001)), "too many lines that look like delimiters"),
    ],
)
def test_beyond_the_caps_a_message_is_unreadable(octets, reason):
    with pytest.raises(UnreadableError, match=reason):
        read_structure(spooled(octets))


def test_a_hundred_levels_and_a_thousand_parts_are_read():
    text = "".join(f"Content-Type: multipart/mixed; boundary=b{i}x\n\n--b{i}x\n" for i in range(100))
    part, _, _ = read(text + "\nthe end")
    depth = 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == structure.MAXIMUM_DEPTH
    assert len(read(mixed("--b\n\nx\n" * 999 + "--b--"))[0].children) == 999


@pytest.mark.parametrize("filler", ["x\n", "--\n", "--c\n", "\n", "-", "--b", " "])
def test_eight_times_the_octets_cost_eight_times_the_reading(filler):
    nested = "".join(f"Content-Type: multipart/mixed; boundary=bb{i}\n\n--bb{i}\n" for i in range(10))
    costs = []
    for size in (10_000, 80_000):
        spool = CountingSpool(crlf(nested + "\n" + filler * size))
        read_structure(spool)
        costs.append((spool.calls, spool.octets))
    assert costs[1][0] <= costs[0][0] * 10
    assert costs[1][1] <= costs[0][1] * 10
