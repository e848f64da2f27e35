"""The TCP connection that sends at the end of the turn, on a real pair of sockets."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock

from gateway.smtp.tcp_transport import PromptServer, TurnEnd

SECONDS = 10
MUCH = bytes(range(256)) * 40_000  # ten megabytes, more than any socket takes


@pytest.fixture
def reactor():
    return MemoryReactorClock()


@pytest.fixture
def connected(reactor):
    """Makes a connection of ours; all send at the end of the same turn."""
    turn_end = TurnEnd(reactor)
    return lambda ours: PromptServer(turn_end, ours, Protocol(), ("local", 0), None, 0, reactor)


@pytest.fixture
def pair(connected):
    """A connection and its client's socket."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(SECONDS)
    yield connected(ours), theirs
    ours.close()
    theirs.close()


def end_turn(server):
    server.reactor.advance(0)


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


def test_all_replies_of_a_turn_leave_at_its_end_in_their_order(pair):
    server, client = pair
    server.write(b"250 OK\r\n")
    server.writeSequence([b"354 ", b"Go\r\n"])
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    end_turn(server)
    assert client.recv(100) == b"250 OK\r\n354 Go\r\n"
    assert server.reactor.getWriters() == []
    server.write(b"220 in another turn\r\n")
    end_turn(server)
    assert client.recv(100) == b"220 in another turn\r\n"


def test_connections_do_not_wait_for_each_other(pair, connected):
    server, client = pair
    ours, theirs = socket.socketpair()
    gone = connected(ours)
    theirs.close()
    gone.write(b"250 OK\r\n")
    server.write(b"250 OK\r\n")
    end_turn(server)
    assert client.recv(100) == b"250 OK\r\n"
    assert gone in server.reactor.getWriters()
    ours.close()


def test_what_the_socket_does_not_take_waits_and_nothing_overtakes_it(pair):
    server, client = pair
    server.write(MUCH)
    end_turn(server)
    assert server in server.reactor.getWriters()
    server.write(b"221 Bye\r\n")
    end_turn(server)
    assert read_all(server, client) == (MUCH + b"221 Bye\r\n", None)
    server.write(b"again")
    end_turn(server)
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
    end_turn(server)
    assert server in server.reactor.getWriters()
    assert isinstance(server.doWrite(), ConnectionLost)


@pytest.mark.parametrize("cut", ["loseConnection", "abortConnection"])
def test_a_last_word_leaves_before_the_connection_is_closed(pair, cut):
    server, client = pair
    server.write(b"421 Bye\r\n")
    getattr(server, cut)()
    assert client.recv(100) == b"421 Bye\r\n"


def test_what_is_written_while_the_connection_is_cut_off_is_lost_and_breaks_nothing(pair):
    server, _ = pair
    server.write(b"421 Bye\r\n")
    server.abortConnection()
    server.write(b"250 OK\r\n")
    end_turn(server)
    assert server.disconnected
