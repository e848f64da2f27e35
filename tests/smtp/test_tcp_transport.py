"""The TCP connection that sends at once, on a real pair of sockets."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactor

from gateway.smtp.tcp_transport import PromptServer

SECONDS = 10
MUCH = bytes(range(256)) * 40_000  # ten megabytes, more than any socket takes


@pytest.fixture
def pair():
    """A connection and its client's socket."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(SECONDS)
    yield PromptServer(ours, Protocol(), ("local", 0), None, 0, MemoryReactor()), theirs
    ours.close()
    theirs.close()


def read_all(server, client):
    """What the client gets when the reactor writes whenever it is asked to; and what it learned from the last time."""
    client.setblocking(False)
    got, told = bytearray(), None
    while server in server.reactor.getWriters() and told is None:
        told = server.doWrite()
        with suppress(BlockingIOError):
            while octets := client.recv(len(MUCH)):
                got += octets
    client.settimeout(SECONDS)
    return bytes(got), told


def test_a_reply_is_there_before_the_reactor_has_a_turn(pair):
    server, client = pair
    server.write(b"250 OK\r\n")
    assert client.recv(100) == b"250 OK\r\n"
    assert server.reactor.getWriters() == []


def test_what_the_socket_does_not_take_waits_and_nothing_overtakes_it(pair):
    server, client = pair
    server.write(MUCH)
    server.write(b"221 Bye\r\n")
    assert server in server.reactor.getWriters()
    assert read_all(server, client) == (MUCH + b"221 Bye\r\n", None)
    server.write(b"again")
    assert client.recv(100) == b"again"


def test_closing_waits_for_what_was_written(pair):
    server, client = pair
    server.write(MUCH)
    server.loseConnection()
    got, told = read_all(server, client)
    assert got == MUCH
    assert isinstance(told, ConnectionDone)


def test_a_client_that_is_gone_is_found_by_the_reactor_and_raises_nothing(pair):
    server, client = pair
    client.close()
    server.write(b"250 OK\r\n")
    assert server in server.reactor.getWriters()
    assert isinstance(server.doWrite(), ConnectionLost)
