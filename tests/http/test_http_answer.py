"""HTTP answers octet by octet: what is one, where it ends, what may follow, and that none is quoted in its fault."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http_answer import HEAD_OCTETS, AnswerParser, BadAnswerError


@dataclass(frozen=True)
class Seen:
    """What a parser made of some octets; status is 0 when the head is not whole."""

    status: int
    body: bytes = b""
    ended: bool = False
    reusable: bool = False


def parsed(*pieces: bytes, has_body: bool = True) -> Seen:
    parser = AnswerParser(has_body=has_body)
    body = b""
    for piece in pieces:
        parser.feed(piece)
        body += parser.take()
    status = parser.head.status if parser.head else 0
    return Seen(status, body, parser.ended, parser.ended and parser.reusable)


def octet_by_octet(octets: bytes) -> list[bytes]:
    return [octets[at : at + 1] for at in range(len(octets))]


def outcome(*pieces: bytes) -> Seen | str:
    try:
        return parsed(*pieces)
    except BadAnswerError as error:
        return str(error)


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "counted": (OK + b"Content-Length: 2\r\n\r\n{}", Seen(200, b"{}", True, True)),
    "cut": (OK + b"Content-Length: 3\r\n\r\n{}", Seen(200, b"{}")),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", Seen(200, b"", True, True)),
    "no phrase": (b"HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n", Seen(202, b"", True, True)),
    "empty phrase": (b"HTTP/1.1 202 \r\nContent-Length: 0\r\n\r\n", Seen(202, b"", True, True)),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", Seen(200, b"{}", True, True)),
    "mixed line ends": (b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\n{}", Seen(200, b"{}", True, True)),
    "until the end": (OK + b"\r\n{}", Seen(200, b"{}")),
    "no head yet": (OK + b"Content-Length: 2\r\n", Seen(0)),
    "no content": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", Seen(204, b"", True, True)),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", Seen(304, b"", True, True)),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + OK + b"Content-Length: 0\r\n\r\n", Seen(200, b"", True, True)),
    "hints": (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", Seen(200, b"", True, True)),
    "to be closed": (OK + b"Connection: Close\r\nContent-Length: 2\r\n\r\n{}", Seen(200, b"{}", True)),
    "to be closed, in a list": (OK + b"Connection: x, close\r\nContent-Length: 0\r\n\r\n", Seen(200, b"", True)),
    "old": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", Seen(200, b"{}", True)),
    "equal lengths": (OK + b"Content-Length: 2, 02\r\nContent-Length: 2\r\n\r\n{}", Seen(200, b"{}", True, True)),
    "more than announced": (OK + b"Content-Length: 2\r\n\r\n{}{}", Seen(200, b"{}", True)),
    "more than nothing": (OK + b"Content-Length: 0\r\n\r\nHTTP/1.1", Seen(200, b"", True)),
    "folded": (OK + b"X: a\r\n b\r\nContent-Length:\r\n\t2 \r\n\r\n{}", Seen(200, b"{}", True, True)),
    "chunked": (
        OK + b"Transfer-Encoding: Chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        Seen(200, b"{}", True, True),
    ),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n", Seen(200, b"{}", True, True)),
    "chunks and a length": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        Seen(200, b"{}", True),
    ),
    "chunks and more": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nx", Seen(200, b"{}", True)),
    "chunks that are cut": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}", Seen(200, b"{}")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_the_same_in_whatever_pieces_it_comes(name):
    octets, seen = ANSWERS[name]
    assert parsed(octets) == seen
    assert parsed(*octet_by_octet(octets)) == seen


KEY = b"ps_live_needle_0123456789"
NO_ANSWERS = [
    b"\0", b"SSH-2.0-OpenSSH\r\n", b"\r\nHTTP/1.1 200 OK\r\n\r\n", b"http/1.1 200 OK\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 099 OK\r\n\r\n", b"HTTP/1.1 +20 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/1.1 200OK\r\n\r\n", b"HTTP/1.1 " + KEY + b"\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n",
    OK + KEY + b"\r\n\r\n", OK + b" " + KEY + b"\r\n\r\n", OK + b"X : y\r\n\r\n", OK + b": y\r\n\r\n",
    OK + b"X: a\rb\r\n\r\n", OK + b"X: a\0b\r\n\r\n", OK + b"\xc3: y\r\n\r\n",
    OK + b"Content-Length: " + KEY + b"\r\n\r\n", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    OK + b"Content-Length: -1\r\n\r\n", OK + b"Content-Length: +1\r\n\r\n", OK + b"Content-Length: 1_0\r\n\r\n",
    OK + b"Content-Length: \xb2\r\n\r\n", OK + b"Content-Length:\r\n\r\n", OK + b"Content-Length: 5,\r\n\r\n",
    OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n", OK + b"Transfer-Encoding: identity\r\n\r\n",
    OK + b"Transfer-Encoding:\r\n\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n" + KEY + b"\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n",
    OK + b"X: " + b"y" * HEAD_OCTETS, b"HTTP/1.1 100 C\r\n\r\n" * (HEAD_OCTETS // 10), b"HTTP/1.1" + b" " * HEAD_OCTETS,
]  # fmt: skip


@pytest.mark.parametrize("octets", NO_ANSWERS, ids=lambda octets: repr(octets[:60]))
def test_what_is_no_answer_is_told_without_a_word_of_it(octets):
    told = outcome(octets)
    assert isinstance(told, str), told
    assert KEY.decode() not in told
    assert outcome(*octet_by_octet(octets)) == told


def test_an_answer_to_head_has_no_body_whatever_it_says():
    octets = OK + b"Content-Length: 5\r\n\r\n"
    assert parsed(octets, has_body=False) == Seen(200, b"", True, True)


def test_the_end_of_the_connection_ends_only_a_body_without_a_length():
    for octets, ended in ((OK + b"\r\n{", True), (OK + b"Content-Length: 3\r\n\r\n{", False), (OK, False)):
        parser = AnswerParser()
        parser.feed(octets)
        parser.connection_ended()
        assert parser.ended is ended


def test_a_field_that_comes_again_is_there_twice_and_in_order():
    parser = AnswerParser()
    parser.feed(OK + b"Set-Cookie: a=1\r\nX-Y:  z \t\r\nSET-COOKIE: b=2\r\n\r\n")
    assert parser.head is not None
    assert parser.head.fields == ((b"set-cookie", b"a=1"), (b"x-y", b"z"), (b"set-cookie", b"b=2"))


SNIPPETS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 500 No\n", b"HTTP/1.1 100 C\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"0",
        b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"3\r\nabc\r\n",
        b"0\r\n", b"X: y\r\n", b":", b"abc", b"\0", b"HTTP/1.1",
    ]
)  # fmt: skip


@given(st.lists(SNIPPETS | st.binary(max_size=3), max_size=12), st.data())
def test_any_octets_are_an_answer_or_none_the_same_in_any_pieces(snippets, data):
    octets = b"".join(snippets)
    whole = outcome(octets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=5)))
    pieces = [octets[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert outcome(*pieces) == whole
    assert outcome(*octet_by_octet(octets)) == whole
