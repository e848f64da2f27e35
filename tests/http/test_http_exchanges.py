"""Exchanges that go wrong at each point, over real sockets; and which connections carry a second one."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from gateway.http_client import ANSWER_OCTETS

from .certificates import Root
from .peers import KEY, running_client
from .test_http_client import answered, reset, unanswered

BODY = {"subject": "Hello"}
LONG = {"octets": 20_000_000}


def script_of(octets, end=lambda visit: None, more=0):
    """A server that reads a request, writes these octets, ends the connection or waits for so many requests more."""

    def script(visit):
        for _ in range(1 + more):
            if visit.read_request():
                visit.connection.sendall(octets)
        end(visit)

    return script


ANSWER = b"HTTP/1.1 422 No\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbody"
HEAD_OCTETS = len(ANSWER) - 4


@pytest.mark.parametrize("sent", [0, 1, 8, 15, 17, 30, HEAD_OCTETS - 1, HEAD_OCTETS, HEAD_OCTETS + 2, len(ANSWER)])
def test_an_answer_that_is_cut_counts_once_its_head_is_whole(client, serve, sent):
    told = client.exchange(serve(script_of(ANSWER[:sent])).url, BODY)
    if sent < HEAD_OCTETS:
        unanswered(told, wholly_written=True)
    else:
        answered(told, 422)
        assert told["body"] == ANSWER[HEAD_OCTETS:sent].decode()


@pytest.mark.parametrize("sent", [0, 15, HEAD_OCTETS])
def test_an_early_answer_that_is_cut_has_not_the_whole_request(client, serve, sent):
    def script(visit):
        visit.read_head()
        visit.connection.sendall(b"HTTP/1.1 202 Taken\r\nContent-Length: 400\r\n\r\nbody"[:sent])
        reset(visit)

    unanswered(client.exchange(serve(script).url, LONG), wholly_written=False)


@pytest.mark.parametrize(
    ("octets", "status", "body"),
    [
        (b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 202, "{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n", 204, ""),
        (b"HTTP/1.1 200 OK\nX-Folded: a\n b\nContent-Length: 2\n\n{}", 200, "{}"),
    ],
)
def test_after_an_answer_that_ends_by_itself_the_connection_is_used_again(client, serve, octets, status, body):
    server = serve(script_of(octets, more=1))
    for _ in range(2):
        told = client.exchange(server.url, BODY)
        answered(told, status)
        assert told["body"] == body
    assert len(server.visits) == 1


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nConnection: CLOSE\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_after_an_answer_that_leaves_a_doubt_a_new_connection_is_made(client, serve, octets):
    server = serve(script_of(octets, more=1))
    for _ in range(2):
        told = client.exchange(server.url, BODY)
        answered(told)
        assert told["body"] == "{}"
    assert len(server.visits) == 2


def test_an_answer_without_a_length_ends_with_its_connection(client, serve):
    server = serve(script_of(b'HTTP/1.1 500 No\r\n\r\n{"error": 1}'))
    told = client.exchange(server.url, BODY)
    answered(told, 500)
    assert told["body"] == '{"error": 1}'


def test_a_connection_that_the_server_closes_between_two_requests_is_not_used(client, serve):
    closed = threading.Event()

    def script(visit):
        visit.read_request()
        visit.answer()
        visit.connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    server, other = serve(script), serve(script_of(ANSWER))
    answered(client.exchange(server.url, BODY))
    assert closed.wait(10)
    answered(client.exchange(other.url, BODY), 422)  # the client has seen the end by the time this answer is there
    answered(client.exchange(server.url, BODY))
    assert len(server.visits) == 2


def test_octets_that_nobody_asked_for_end_an_idle_connection(client, serve):
    sent = threading.Event()

    def script(visit):
        visit.read_request()
        visit.answer()
        if visit.number == 1:
            visit.connection.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            sent.set()
            visit.connection.recv(1)

    server, other = serve(script), serve(script_of(ANSWER))
    answered(client.exchange(server.url, BODY))
    assert sent.wait(10)
    answered(client.exchange(other.url, BODY), 422)
    answered(client.exchange(server.url, BODY))
    assert len(server.visits) == 2


def test_a_get_on_a_stale_connection_is_made_once_more(client, serve):
    heads = []

    def script(visit):
        while head := visit.read_request():
            heads.append(head)
            if len(heads) == 2:
                return
            visit.answer()

    server = serve(script)
    answered(client.exchange(server.url))
    answered(client.exchange(server.url))
    assert len(heads) == 3
    assert len(server.visits) == 2


def test_a_get_that_got_half_an_answer_is_not_made_again(client, serve):
    heads = []

    def script(visit):
        while head := visit.read_request():
            heads.append(head)
            if len(heads) == 2:
                visit.connection.sendall(b"HTTP/1.1 200")
                return
            visit.answer()

    server = serve(script)
    answered(client.exchange(server.url))
    assert "reason" in client.exchange(server.url)
    assert len(heads) == 2


@pytest.mark.parametrize(
    "body", [{"octets": 20_000_000, "cut_at": 1_000_000}, {"octets": 20_000_000, "lies_by": -65536}], ids=str
)
def test_a_body_that_cannot_be_read_to_its_end_cuts_the_connection(client, serve, body):
    got, ended = [], threading.Event()

    def script(visit):
        with contextlib.suppress(OSError):
            visit.read_request()
        got.append(visit.body_octets)
        ended.set()

    unanswered(client.exchange(serve(script).url, body), wholly_written=False)
    assert ended.wait(10)
    assert got[0] < body["octets"]


def test_a_body_longer_than_it_said_is_never_completed(client, serve):
    """As many octets as were announced have been read by then, so that it counts as written: unknown, to be safe."""
    done = threading.Event()
    server = serve(lambda visit: visit.read_request() and done.wait(10))
    told = client.exchange(server.url, {"octets": 20_000_000, "lies_by": 65536})
    done.set()
    unanswered(told, wholly_written=True)


def test_a_server_that_reads_slowly_gets_all_of_it(client, serve):
    got = []

    def script(visit):
        visit.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        visit.read_request()
        got.append(visit.body_octets)
        visit.answer()

    told = client.exchange(serve(script).url, {"octets": 300_000})
    answered(told)
    assert got == [told["request_octets"]]


def test_a_request_says_its_host_once_and_asks_for_no_compression(client, serve):
    heads = []
    server = serve(lambda visit: heads.append(visit.read_request()) or visit.answer())
    answered(client.exchange(server.url, BODY))
    names = [line.partition(":")[0].lower() for line in heads[0].splitlines()[1:]]
    assert len(names) == len(set(names))
    assert f"Host: 127.0.0.1:{server.port}\r\n" in heads[0]
    assert "Accept-Encoding: identity\r\n" in heads[0]
    assert "gzip" not in heads[0]


def test_a_compressed_answer_is_left_as_it_came(client, serve):
    script = script_of(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00")
    told = client.exchange(serve(script).url, BODY)
    answered(told)
    assert told["body_octets"] == 4


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///send", "http://127.0.0.1/a b", "nonsense"])
def test_a_url_that_is_none_has_written_nothing(client, url):
    told = client.exchange(url, BODY)
    unanswered(told, wholly_written=False)


@pytest.mark.parametrize("octets", [ANSWER_OCTETS - 1, ANSWER_OCTETS, ANSWER_OCTETS + 1])
def test_an_answer_as_long_as_the_cap_is_whole(client, serve, octets):
    told = client.exchange(serve(lambda visit: visit.read_request() and visit.answer(b"x" * octets)).url, BODY)
    answered(told)
    assert told["body_octets"] == min(octets, ANSWER_OCTETS)


def test_over_tls_too_a_long_body_arrives_whole_and_the_connection_is_used_again(serve, tmp_path):
    root, got = Root(tmp_path, "trusted"), []

    def script(visit):
        while visit.read_request():
            got.append(visit.body_octets)
            visit.answer()

    server = serve(script, root.leaf("ip:127.0.0.1"))
    with running_client(tmp_path, str(root.file)) as client:
        asked = [LONG, BODY, {"octets": 200_000}]
        told = [client.exchange(server.url, body) for body in asked]
        assert [one["status"] for one in told] == [200] * 3
        assert got == [one["request_octets"] for one in told]
        assert KEY not in client.log()
        assert "Traceback" not in client.log()
    assert len(server.visits) == 1


def test_over_tls_too_a_connection_cut_in_the_middle_of_a_long_body_has_not_the_whole_of_it(serve, tmp_path):
    root = Root(tmp_path, "trusted")

    def script(visit):
        visit.read_head()
        reset(visit)

    server = serve(script, root.leaf("ip:127.0.0.1"))
    with running_client(tmp_path, str(root.file)) as client:
        unanswered(client.exchange(server.url, LONG), wholly_written=False)
        assert "Traceback" not in client.log()


def test_no_exchange_above_left_the_key_or_a_traceback_in_the_log(client):
    log = client.log()
    assert KEY not in log
    assert "Traceback" not in log, log
    assert "Unhandled" not in log, log
