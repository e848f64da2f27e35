"""The smuggling matrix: whatever stands around a dot, only CRLF.CRLF ends mail data, and no text becomes a command.

Against the core every variant comes in one segment, in single octets and cut in two; a sample goes over real sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest

from gateway.outcome import Reply
from gateway.smtp import events, replies
from tests.smtp.core_client import CoreClient
from tests.smtp.scripted import TAKEN
from tests.smtp.wire import LOG_IN, WireClient, connect

LINE_ENDS = (
    *(b"", b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\n\n", b"\r\r", b"\r\n\n", b"\n\r\n", b"\r\n\r"),
    *(b"\0", b"\r\0\n", b"\r\n\0", b"\0\r\n", b"\0\n", b"\n\0", b"\r\0", b"\0\r"),
    *(b"\x0b", b"\x0c", b"\x1e", b"\xc2\x85", b"\xe2\x80\xa8"),  # ends of a line to str.splitlines(), not to SMTP
)
DOTS = (b".", b"..", b". ", b" .", b".\0", b"\0.")
END = b"\r\n.\r\n"

# SEC Consult's list of 2023 ("SMTP Smuggling"), with what was found in Cisco's and Sendmail's servers, and the cases of
# the tests of mox, Postfix, Exim and aiosmtpd
KNOWN = (
    *(b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r.\n", b"\n.\r", b"\n\n.\n\n"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\0\n.\r\0\n", b"\r\n\0.\0\r\n", b"\0\r\n\0.\0\n", b"\r\r.\r\r"),
    *(b"\r\n.\r\r\n", b"\r\n.\r\0\n", b"\n\r.\n\r", b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n .\r\n", b"\r\n.\rx"),
)

OPENING = b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@cust.example>\r\nDATA\r\n"
OPENED = b"250 Sender OK\r\n250 Recipient OK\r\n354 Start mail input; end with <CRLF>.<CRLF>\r\n"
SMUGGLED = b"MAIL FROM:<evil@shop.example>\r\nRCPT TO:<victim@cust.example>\r\nDATA\r\nevil\r\nRSET\r\nQUIT"
NO_LIMIT = 10**9  # one session takes all the turns of a place


@dataclass(frozen=True, slots=True)
class Place:
    """Where the mark stands: behind which text, in a session of which limits, and the fault that is there already."""

    name: str
    before: bytes
    limits: dict[str, int] = field(default_factory=dict)
    fault: Reply | None = None

    def __str__(self) -> str:
        return self.name


PLACES = (
    Place("body", b"Subject: one\r\n\r\ntext"),
    Place("body, behind a line", b"Subject: one\r\n\r\ntext\r\n"),
    Place("header", b"Subject: one"),
    Place("first octets", b""),
    Place("too large", b"Subject: one\r\n\r\n" + b"text\r\n" * 8, {"message_octets": 40}, replies.TOO_LARGE),
    Place("long line", b"Subject: one\r\n\r\n" + b"x" * 80, {"text_line_octets": 64}, replies.text_line_too_long(64)),
    Place("bare LF before", b"Subject: one\r\n\r\na\nb", fault=replies.BARE_LINE_END_IN_DATA),
    Place("NUL before", b"Subject: one\r\n\r\na\0b", fault=replies.NUL_IN_DATA),
)
every_place = pytest.mark.parametrize("place", PLACES, ids=str)


def marks(before: bytes) -> list[bytes]:
    """Every mark of the matrix that is no true end behind this text."""
    made = {start + dot + end for start, dot, end in product(LINE_ENDS, DOTS, LINE_ENDS)} | set(KNOWN)
    return sorted(mark for mark in made if END not in b"\r\n" + before + mark + SMUGGLED)


def verdict(place: Place, data: bytes) -> Reply:
    """What the one reply behind the end must be: the gravest fault of all."""
    bare = data.replace(b"\r\n", b"")
    if b"\r" in bare or b"\n" in bare:
        return replies.BARE_LINE_END_IN_DATA
    return replies.NUL_IN_DATA if b"\0" in data else place.fault or TAKEN


def in_two(octets: bytes, first: int, last: int) -> Iterator[list[bytes]]:
    for cut in range(max(first, 1), min(last, len(octets))):
        yield [octets[:cut], octets[cut:]]


def single_octets(octets: bytes) -> list[bytes]:
    return [octets[at : at + 1] for at in range(len(octets))]


class Matrix:
    """One session for all the turns of a place; a turn is one transaction whose data holds a mark."""

    def __init__(self, place: Place) -> None:
        self.place = place
        many = {"commands_between_messages": NO_LIMIT, "messages_per_session": NO_LIMIT, "protocol_errors": NO_LIMIT}
        self.client = CoreClient("implicit", **(many | place.limits))
        self.client.log_in()

    def turn(self, mark: bytes, pieces: list[bytes] | None = None) -> None:
        data = self.place.before + mark + SMUGGLED
        reply = verdict(self.place, data)
        octets = data + END + b"NOOP\r\n"
        self.client.messages.clear()
        self.client.heard.clear()
        assert self.client.feed(OPENING) == OPENED, f"the state before {mark!r}"
        said = self.client.feed_pieces(pieces or [octets])
        assert said == f"{reply.code} {reply.text}\r\n250 OK\r\n".encode(), f"{mark!r} as {pieces}"
        text = (b"\r\n" + data + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
        assert self.client.messages == ([text] if reply is TAKEN else []), mark
        asked = [one for one in self.client.heard if not isinstance(one, events.MailData | events.MailDataDropped)]
        assert len(asked) == (4 if reply is TAKEN else 3), f"{mark!r}: {asked}"

    def octets(self, mark: bytes) -> bytes:
        return self.place.before + mark + SMUGGLED + END + b"NOOP\r\n"


@every_place
def test_no_mark_but_the_true_one_ends_the_data(place):
    matrix = Matrix(place)
    for mark in marks(place.before):
        matrix.turn(mark)


@every_place
def test_no_mark_ends_the_data_when_it_is_cut_anywhere(place):
    matrix = Matrix(place)
    start = len(place.before)
    for mark in marks(place.before):
        octets, behind = matrix.octets(mark), start + len(mark)
        matrix.turn(mark, [octets[:start], *single_octets(mark), octets[behind:]])
        for pieces in in_two(octets, start - 1, behind + 2):
            matrix.turn(mark, pieces)


@every_place
def test_a_known_mark_is_none_wherever_the_whole_data_is_cut(place):
    matrix = Matrix(place)
    for mark in KNOWN:
        octets = matrix.octets(mark)
        if END not in b"\r\n" + place.before + mark:
            matrix.turn(mark, single_octets(octets))
            for pieces in in_two(octets, 1, len(octets)):
                matrix.turn(mark, pieces)


@every_place
def test_the_true_end_is_seen_wherever_it_is_cut(place):
    """The counterpart, without which a server that never ends the data would pass."""
    matrix = Matrix(place)
    for pieces in in_two(matrix.octets(b""), 1, 10**6):
        matrix.turn(b"", pieces)


# -- BDAT: counted octets are never commands, and dots in them mean nothing


def chunk_reply(octets: bytes) -> bytes:
    reply = verdict(PLACES[0], octets)
    return f"{reply.code} {reply.text}\r\n".encode()


@pytest.mark.parametrize("cut", ["whole", "octets"])
def test_no_mark_ends_a_chunk(cut):
    matrix = Matrix(PLACES[0])
    client = matrix.client
    opening, opened = OPENING.replace(b"DATA\r\n", b""), b"".join(OPENED.splitlines(keepends=True)[:2])
    for mark in [*marks(b""), END]:
        chunk = PLACES[0].before + mark + SMUGGLED + END
        octets = b"BDAT %d LAST\r\n" % len(chunk) + chunk + b"NOOP\r\n"
        client.messages.clear()
        assert client.feed(opening) == opened
        assert client.feed(octets, 1 if cut == "octets" else 0) == chunk_reply(chunk) + b"250 OK\r\n", mark
        assert client.messages == ([chunk] if chunk_reply(chunk).startswith(b"250") else []), mark


def test_a_mark_over_the_border_of_two_chunks_is_text():
    client = Matrix(PLACES[0]).client
    opening, opened = OPENING.replace(b"DATA\r\n", b""), b"".join(OPENED.splitlines(keepends=True)[:2])
    for mark in (*KNOWN, END):
        text = b"Subject: one\r\n\r\ntext" + mark + SMUGGLED + b"\r\n"
        for cut in range(1, len(text)):
            first, last = text[:cut], text[cut:]
            client.messages.clear()
            assert client.feed(opening) == opened
            client.feed(b"BDAT %d\r\n" % len(first) + first)
            assert (
                client.feed(b"BDAT %d LAST\r\n" % len(last) + last + b"NOOP\r\n") == chunk_reply(text) + b"250 OK\r\n"
            )
            assert client.messages == ([text] if chunk_reply(text).startswith(b"250") else []), (mark, cut)


@pytest.mark.parametrize("refused", ["before MAIL", "before RCPT", "too large", "faulty before"])
def test_a_chunk_that_is_thrown_away_is_no_command_either(refused):
    client = Matrix(PLACES[4]).client
    opening = {"before MAIL": b"", "before RCPT": b"MAIL FROM:<a@shop.example>\r\n"}
    faulty = b"BDAT 3\r\na\nb" if refused == "faulty before" else b""
    for mark in [*KNOWN, END]:
        chunk = b"text\r\n" * 8 + mark + SMUGGLED + END
        octets = b"BDAT %d LAST\r\n" % len(chunk) + chunk
        for piece_octets in (0, 1):
            client.feed(b"RSET\r\n" + opening.get(refused, OPENING.replace(b"DATA\r\n", b"")) + faulty)
            client.heard.clear()
            said = client.feed(octets + b"NOOP\r\n", piece_octets)
            assert said[:1] == b"5" and said.count(b"\r\n") == 2 and said.endswith(b"\r\n250 OK\r\n"), (mark, said)
            assert not any(isinstance(one, events.ReversePath | events.ForwardPath) for one in client.heard)
            assert client.messages == []


@every_place
def test_a_bdat_command_inside_data_is_text(place):
    """A server that counted here would skip the true end, or take what the count leaves over for commands."""
    matrix = Matrix(place)
    for command in (b"BDAT 4 LAST\r\nevil", b"BDAT 0 LAST", b"BDAT 999999", b"RSET\r\nBDAT 3\r\nabc"):
        for mark in (b"\r\n", b"\r\n..\r\n", b"\n.\n"):
            if END not in b"\r\n" + place.before + mark:
                matrix.turn(mark + command + b"\r\n")


# -- over real sockets

SAMPLE = (
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\0\n.\r\0\n",
    b"\r\n..\r\n",
)


def say(client: WireClient, octets: bytes, cut: int) -> None:
    """In one write, or in two that the server reads apart: the one before is answered or long there."""
    if cut:
        client.send(octets[:cut])
    client.send(octets[cut:])


@pytest.mark.parametrize("place", [PLACES[0], PLACES[2], PLACES[4]], ids=str)
def test_the_second_message_never_exists_at_a_real_listener(place, listeners):
    port = listeners.listen("implicit", **place.limits)
    with connect(port) as client:
        client.ask(b"EHLO client.test\r\n" + LOG_IN, 2)
        taken = 0
        for mark in SAMPLE:
            data = place.before + mark + SMUGGLED
            reply = verdict(place, data)
            for cut in (0, len(place.before) + 1, len(place.before) + len(mark), len(data) + 2):
                assert client.ask(OPENING, 3)[2].startswith("354")
                say(client, data + END + b"NOOP\r\n", cut)
                assert [client.read_reply(), client.read_reply()] == [f"{reply.code} {reply.text}", "250 OK"], mark
                taken += reply is TAKEN
    facts = listeners.facts(port)
    assert len(facts["messages"]) == taken
    assert all(recipients == ["b@cust.example"] for _, _, *recipients in facts["messages"])
