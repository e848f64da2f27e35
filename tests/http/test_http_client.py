"""The HTTP client over real sockets: what it sends, when it gives up, and what it knows of a request without answer."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading

import pytest

from gateway import __version__
from gateway.http_client import ANSWER_OCTETS

from .peers import KEY

BODY = {"subject": "Hello"}


def answered(told, status=200):
    assert told.get("status") == status, told


def unanswered(told, *, wholly_written):
    assert told.get("wholly_written") is wholly_written, told
    assert told["reason"]
    assert KEY not in told["reason"]


def reset(visit):
    """Close so that the other side gets a reset and not an end."""
    visit.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visit.connection.close()


def test_an_answer_comes_with_its_status_headers_and_body(client, serve):
    heads = []

    def script(visit):
        heads.append(visit.read_request())
        visit.answer(b'{"ok": 1}', "418 Teapot", "X-Request-ID: req_1", "Retry-After: 30")

    server = serve(script)
    told = client.exchange(f"{server.url}/send?x=1", BODY)
    answered(told, 418)
    assert (told["body"], told["headers"]["retry-after"], told["headers"]["x-request-id"]) == (
        '{"ok": 1}',
        "30",
        "req_1",
    )
    (head,) = heads
    assert head.startswith("POST /v1/send?x=1 HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}\r\n" in head
    assert f"Content-Length: {told['request_octets']}\r\n" in head
    assert "Cookie" not in head
    assert "chunked" not in head


def test_a_refused_connection_has_written_nothing(client):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    unanswered(client.exchange(f"http://127.0.0.1:{port}/", BODY), wholly_written=False)


def test_a_host_without_address_has_written_nothing(client):
    unanswered(client.exchange("http://no-such-host.invalid/", BODY), wholly_written=False)


def test_a_server_that_never_answers_is_given_up_at_the_deadline(client, serve):
    done = threading.Event()

    def script(visit):
        visit.read_request()
        done.wait(10)

    told = client.exchange(serve(script).url, BODY, deadline_seconds=0.5)
    done.set()
    unanswered(told, wholly_written=True)
    assert told["reason"] == "no answer within the deadline"


def test_a_server_that_never_reads_has_not_the_whole_request(client, serve):
    done = threading.Event()
    told = client.exchange(serve(lambda visit: done.wait(10)).url, {"octets": 60_000_000}, deadline_seconds=0.3)
    done.set()
    unanswered(told, wholly_written=False)


def test_the_deadline_holds_for_a_dripping_head_and_body_too(client, serve):
    done = threading.Event()

    def drip_head(visit):
        visit.read_request()
        visit.connection.sendall(b"HTTP/1.1 200 OK\r\nX-")
        done.wait(10)

    def drip_body(visit):
        visit.read_request()
        visit.connection.sendall(b'HTTP/1.1 400 No\r\nContent-Length: 1000\r\n\r\n{"err')
        done.wait(10)

    head = client.exchange(serve(drip_head).url, BODY, deadline_seconds=0.5)
    body = client.exchange(serve(drip_body).url, BODY, deadline_seconds=1)
    done.set()
    unanswered(head, wholly_written=True)
    answered(body, 400)  # the status decides, and it has come
    assert body["body"] == '{"err'


@pytest.mark.parametrize("close", [lambda visit: None, reset], ids=["closed", "reset"])
def test_a_connection_cut_after_the_request_leaves_the_outcome_unknown(client, serve, close):
    def script(visit):
        visit.read_request()
        close(visit)

    unanswered(client.exchange(serve(script).url, BODY), wholly_written=True)


@pytest.mark.parametrize("close", [lambda visit: None, reset], ids=["closed", "reset"])
def test_a_connection_cut_during_the_request_has_not_the_whole_of_it(client, serve, close):
    def script(visit):
        visit.read_head()
        close(visit)

    unanswered(client.exchange(serve(script).url, {"octets": 60_000_000}), wholly_written=False)


def test_an_early_answer_to_a_long_request_is_read(client, serve):
    def script(visit):
        visit.read_head()
        visit.answer(b'{"error": "too large"}', "413 Too Large", "Connection: close")
        visit.connection.shutdown(socket.SHUT_WR)
        while visit.connection.recv(65536):
            pass

    told = client.exchange(serve(script).url, {"octets": 20_000_000})
    answered(told, 413)
    assert told["body"] == '{"error": "too large"}'


def test_an_early_answer_ends_the_request_and_a_good_one_is_none(client, serve):
    """It cannot have the whole message, so there is nothing that it could have accepted."""
    ended = threading.Event()

    def script(visit):
        visit.read_head()
        visit.answer(b"{}", "202 Accepted")
        with contextlib.suppress(OSError):
            while visit.connection.recv(65536):
                pass
        ended.set()

    told = client.exchange(serve(script).url, {"octets": 60_000_000})
    unanswered(told, wholly_written=False)
    assert told["reason"] == "answered before it had the request"
    assert ended.wait(10)


def test_what_is_no_answer_is_none_in_the_middle_of_the_request_too(client, serve):
    def script(visit):
        visit.read_head()
        visit.connection.sendall(b"HTTP/1.1 abc\r\n\r\n")
        with contextlib.suppress(OSError):
            while visit.connection.recv(65536):
                pass

    unanswered(client.exchange(serve(script).url, {"octets": 60_000_000}), wholly_written=False)


def test_the_gateway_names_itself_to_the_vendor(client, serve):
    heads = []
    server = serve(lambda visit: heads.append(visit.read_request()) or visit.answer())
    answered(client.exchange(server.url, BODY))
    assert f"User-Agent: mailgateway/{__version__}\r\n" in heads[0]


def test_an_answer_beyond_the_cap_is_cut_and_its_status_counts(client, serve):
    def script(visit):
        visit.read_request()
        visit.answer(b"x" * 20_000_000)

    told = client.exchange(serve(script).url, BODY)
    answered(told)
    assert told["body_octets"] == ANSWER_OCTETS


def test_an_endless_answer_without_length_is_cut(client, serve):
    def script(visit):
        visit.read_request()
        visit.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            visit.connection.sendall(b"x" * 65536)

    told = client.exchange(serve(script).url, BODY)
    answered(told)
    assert told["body_octets"] == ANSWER_OCTETS


def test_an_endless_head_ends_the_exchange_within_the_deadline(client, serve):
    def script(visit):
        visit.read_request()
        visit.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            visit.connection.sendall(b"x" * 65536)

    told = client.exchange(serve(script).url, BODY, deadline_seconds=1)
    unanswered(told, wholly_written=True)


def test_a_compressed_answer_that_explodes_costs_no_memory(client, serve):
    """200 MB of blanks are 200 kB on the wire."""
    bomb = gzip.compress(b" " * 200_000_000, 9)
    before = client.exchange(serve(lambda visit: visit.read_request() and visit.answer()).url, BODY)["peak_octets"]

    def script(visit):
        visit.read_request()
        visit.answer(bomb, "200 OK", "Content-Encoding: gzip")

    told = client.exchange(serve(script).url, BODY)
    answered(told)
    assert told["body_octets"] <= ANSWER_OCTETS
    assert told["peak_octets"] - before < 16_000_000


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("body", [None, BODY], ids=["GET", "POST"])
def test_a_redirect_is_an_answer_and_not_followed(client, serve, status, body):
    elsewhere = serve(lambda visit: visit.answer())

    def script(visit):
        visit.read_request()
        visit.answer(b"", status, f"Location: {elsewhere.url}")

    answered(client.exchange(serve(script).url, body), int(status[:3]))
    assert elsewhere.visits == []


def test_a_cookie_is_not_given_back(client, serve):
    heads = []

    def script(visit):
        while head := visit.read_request():
            heads.append(head)
            visit.answer(b"{}", "200 OK", "Set-Cookie: tenant=1; Path=/", "Set-Cookie: b=2")

    server = serve(script)
    for _ in range(2):
        answered(client.exchange(server.url, BODY))
    assert len(heads) == 2
    assert all("cookie" not in head.lower() for head in heads)


def test_a_connection_is_used_again(client, serve):
    def script(visit):
        while visit.read_request():
            visit.answer()

    server = serve(script)
    for _ in range(5):
        answered(client.exchange(server.url, BODY))
    assert len(server.visits) == 1


def test_a_request_on_a_stale_connection_is_unknown_and_not_repeated_in_silence(client, serve):
    heads = []

    def script(visit):
        while head := visit.read_request():
            heads.append(head)
            if len(heads) == 2:
                return
            visit.answer()

    server = serve(script)
    answered(client.exchange(server.url, BODY))
    unanswered(client.exchange(server.url, BODY), wholly_written=True)
    assert len(heads) == 2
    answered(client.exchange(server.url, BODY))
    assert [visit.number for visit in server.visits] == [1, 2]


@pytest.mark.parametrize(
    "octets",
    [
        b"\0" * 100, b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        f"HTTP/1.1 {KEY} Bearer {KEY}\r\n\r\n".encode(), f"Bearer {KEY}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: {KEY}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: {KEY}\r\n\r\n".encode(),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_none_and_gives_no_key_away(client, serve, octets):
    def script(visit):
        visit.read_request()
        visit.connection.sendall(octets)

    unanswered(client.exchange(serve(script).url, BODY), wholly_written=True)


def test_sixty_megabytes_go_out_with_their_exact_length_in_flat_memory(client, serve):
    got = []

    def script(visit):
        while head := visit.read_request():
            got.append((head, visit.body_octets))
            visit.answer()

    server = serve(script)
    before = client.exchange(server.url, BODY)["peak_octets"]
    told = client.exchange(server.url, {"octets": 60_000_000})
    answered(told)
    head, body_octets = got[1]
    assert body_octets == told["request_octets"] == 60_000_000 + len('{"content":""}')
    assert f"Content-Length: {body_octets}\r\n" in head
    assert told["peak_octets"] - before < 8_000_000


def test_no_timer_is_left_behind(client, serve):
    """What is left is the pool's own, one for each idle connection."""
    told = client.exchange(
        serve(lambda visit: visit.read_request() and visit.answer(b"", "204 No", "Connection: close")).url, BODY
    )
    again = client.exchange(
        serve(lambda visit: visit.read_request() and visit.answer(b"", "204 No", "Connection: close")).url, BODY
    )
    assert again["timers"] <= told["timers"]


def test_no_exchange_above_left_the_key_or_a_traceback_in_the_log(client):
    log = client.log()
    assert KEY not in log
    assert "Traceback" not in log, log
    assert "Error writing request" not in log
