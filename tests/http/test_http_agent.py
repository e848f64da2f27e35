"""Which connections the agent keeps, for how long, and which it takes; in memory, with a clock of its own."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.web.http_headers import Headers

from gateway.http_agent import KNOWN_URLS, KeepingAgent

URL = b"http://127.0.0.1:8025/v1/send"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Transport(StringTransportWithDisconnection):
    """A transport whose other end is the test."""

    def abortConnection(self):
        self.loseConnection()


class Endpoints:
    """Every connection that was made, the first one first."""

    def __init__(self):
        self.made = []

    def endpointForURI(self, uri):
        if uri.scheme not in (b"http", b"https"):
            raise ValueError("only http and https are spoken")
        return self

    def connect(self, factory):
        connection, transport = factory.buildProtocol(None), Transport()
        transport.protocol = connection
        connection.makeConnection(transport)
        self.made.append(connection)
        return succeed(connection)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def endpoints():
    return Endpoints()


@pytest.fixture
def agent(clock, endpoints):
    return KeepingAgent(clock, endpoints, idle_connections=3, idle_seconds=25)


def asked(agent, count=1, url=URL):
    """So many requests at once."""
    told = []
    for _ in range(count):
        agent.request(b"GET", url).addBoth(told.append)
    return told


def answered(endpoints):
    """Every open connection that has been asked answers."""
    for one in endpoints.made:
        if one.transport.value() and one.transport.connected:
            one.transport.clear()
            one.dataReceived(ANSWER)


def open_connections(endpoints):
    return [number for number, one in enumerate(endpoints.made) if one.transport.connected]


def test_a_request_is_written_at_once_and_its_connection_taken_again(agent, endpoints):
    for _ in range(3):
        told = asked(agent)
        written = endpoints.made[0].transport.value()
        assert written == (b"GET /v1/send HTTP/1.1\r\nHost: 127.0.0.1:8025\r\nAccept-Encoding: identity\r\n\r\n")
        answered(endpoints)
        assert told[0].code == 200
    assert len(endpoints.made) == 1


def test_what_has_waited_too_long_is_closed_and_not_taken(agent, endpoints, clock):
    asked(agent, 2)
    answered(endpoints)
    clock.advance(20)
    asked(agent)
    answered(endpoints)  # the last one is used again, so that the first waits on alone
    clock.advance(5)
    assert open_connections(endpoints) == [1]
    clock.advance(20)
    assert open_connections(endpoints) == []
    assert clock.getDelayedCalls() == []


def test_no_more_are_kept_than_allowed(agent, endpoints):
    asked(agent, 5)
    assert len(endpoints.made) == 5
    answered(endpoints)
    assert open_connections(endpoints) == [2, 3, 4]


def test_one_that_the_server_closes_is_forgotten(agent, endpoints):
    asked(agent, 2)
    answered(endpoints)
    endpoints.made[1].transport.loseConnection()
    asked(agent)
    assert endpoints.made[0].transport.value()
    assert len(endpoints.made) == 2


def test_servers_do_not_share_connections_but_urls_of_one_do(agent, endpoints):
    for url in (URL, b"http://127.0.0.1:8025/v1/domains?limit=1", b"http://127.0.0.1:8026/v1/send", URL):
        asked(agent, 1, url)
        answered(endpoints)
    assert len(endpoints.made) == 2


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (b"https://api.example/x", b"api.example"),
        (b"https://api.example:443/x", b"api.example"),
        (b"http://api.example/x", b"api.example"),
        (b"https://api.example:80/x", b"api.example:80"),
        (b"http://[::1]:8025/x", b"[::1]:8025"),
    ],
)
def test_the_host_field_says_the_port_where_it_is_not_the_usual_one(agent, endpoints, url, host):
    asked(agent, 1, url)
    assert b"\r\nHost: %b\r\n" % host in endpoints.made[0].transport.value()


@pytest.mark.parametrize(
    "url", [b"ftp://x/", b"http:///x", b"http://x/a b", b"http://x/\xc3", b"x", b"http://x/\r\nY: z"]
)
def test_a_url_that_is_none_is_refused(agent, endpoints, url):
    with pytest.raises(ValueError, match=r"URL|spoken"):
        agent.request(b"GET", url)
    assert endpoints.made == []


def test_fields_cannot_break_out_of_their_lines(agent, endpoints):
    agent.request(b"POST", URL, Headers({b"X-Y": [b"a\r\nEvil: b", b"c\nd"]}))
    written = endpoints.made[0].transport.value()
    assert b"\nEvil:" not in written
    assert written.count(b"\r\nX-Y: ") == 2


def test_any_number_of_urls_is_asked_and_few_are_remembered(agent, endpoints):
    for number in range(KNOWN_URLS + 10):
        asked(agent, 1, URL + b"?%d" % number)
        answered(endpoints)
    assert len(endpoints.made) == 1
    assert len(agent._targets) <= KNOWN_URLS


def test_a_cancelled_request_closes_its_connection_and_is_not_made_again(agent, endpoints):
    asked(agent)
    answered(endpoints)
    told = []
    waiting = agent.request(b"GET", URL).addBoth(told.append)
    waiting.cancel()
    assert open_connections(endpoints) == []
    assert len(told) == 1
    asked(agent)
    assert len(endpoints.made) == 2


def test_closing_waits_for_the_connections_and_leaves_no_delayed_call(agent, endpoints, clock):
    asked(agent, 2)
    answered(endpoints)
    closed = []
    Deferred.fromCoroutine(agent.close()).addCallback(closed.append)
    assert closed
    assert open_connections(endpoints) == []
    assert clock.getDelayedCalls() == []
