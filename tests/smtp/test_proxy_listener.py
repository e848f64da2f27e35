"""The reader of PROXY headers without sockets: whom it trusts, and what it does where the wire tests cannot look."""

from __future__ import annotations

import ipaddress

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.smtp.proxy_listener import HEADER_SECONDS, ProxyFactory

HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 587\r\n"
BALANCER = IPv4Address("TCP", "10.1.2.3", 4000)


class Recorder(Factory):
    """Builds protocols that note what they get; none when told so."""

    def __init__(self):
        self.addresses, self.octets, self.refuses = [], [], False

    def buildProtocol(self, addr):
        self.addresses.append(addr)
        if self.refuses:
            return None
        protocol = Protocol()
        protocol.dataReceived = self.octets.append
        return protocol


class World:
    def __init__(self, *networks):
        self.clock, self.wrapped, self.reports = Clock(), Recorder(), []
        parsed = [ipaddress.ip_network(one) for one in networks]
        self.factory = ProxyFactory(self.wrapped, parsed, self.clock, self.reports.append)

    def connect(self, address=BALANCER):
        transport = StringTransport()
        transport.protocol = self.factory.buildProtocol(address)
        if transport.protocol is not None:
            transport.protocol.makeConnection(transport)
        return transport

    def reasons(self):
        return [one.reason for one in self.reports]


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", True),
        ("::1", False),
    ],
)
def test_a_balancer_is_trusted_by_its_address_however_it_is_written(host, trusted):
    world = World("10.0.0.0/8", "127.0.0.1", "2001:db8::/32", "fe80::/64")
    kind = IPv6Address if ":" in host else IPv4Address
    assert (world.factory.buildProtocol(kind("TCP", host, 1)) is not None) == trusted
    assert len(world.reports) == (not trusted)


def test_a_unix_socket_is_in_no_network():
    world = World("0.0.0.0/0", "::/0")
    assert world.factory.buildProtocol(UNIXAddress(b"/run/x")) is None
    assert world.reasons() == ["the peer is in none of the networks of proxy_protocol"]


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (HEADER, IPv4Address("TCP", "192.0.2.7", 56324)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 5 6\r\n", IPv6Address("TCP", "2001:db8::7", 5)),
        (b"PROXY UNKNOWN\r\n", BALANCER),
    ],
)
def test_the_wrapped_factory_gets_the_address_and_its_protocol_the_rest_and_all_that_follows(header, address):
    world = World("10.0.0.0/8")
    transport = world.connect()
    transport.protocol.dataReceived(header[:9])
    assert world.wrapped.addresses == []
    transport.protocol.dataReceived(header[9:] + b"first")
    transport.protocol.dataReceived(b"second")
    assert world.wrapped.addresses == [address]
    assert world.wrapped.octets == [b"first", b"second"]
    assert transport.protocol.transport is transport
    assert world.clock.getDelayedCalls() == []


def test_what_follows_a_header_alone_is_nothing():
    world = World("10.0.0.0/8")
    world.connect().protocol.dataReceived(HEADER)
    assert world.wrapped.octets == []


def test_the_deadline_counts_from_the_connection_and_not_from_the_last_octet():
    world = World("10.0.0.0/8")
    transport = world.connect()
    for octet in HEADER[:5]:
        world.clock.advance(HEADER_SECONDS / 5.01)
        assert not transport.disconnecting
        transport.protocol.dataReceived(bytes([octet]))
    world.clock.advance(HEADER_SECONDS / 5)
    assert transport.disconnecting
    assert world.reasons() == ["no whole PROXY header in time"]


def test_a_connection_that_ends_within_its_header_is_reported_and_one_without_a_word_is_not():
    world = World("10.0.0.0/8")
    silent, early = world.connect(), world.connect()
    early.protocol.dataReceived(HEADER[:-1])
    for transport in (silent, early):
        transport.protocol.connectionLost()
    assert world.reasons() == ["closed before the PROXY header was whole"]
    assert world.clock.getDelayedCalls() == []


def test_a_refused_connection_is_reported_once():
    world = World("10.0.0.0/8")
    transport = world.connect()
    transport.protocol.dataReceived(b"EHLO client.test\r\n")
    transport.protocol.connectionLost()
    world.clock.advance(2 * HEADER_SECONDS)
    assert transport.disconnecting
    assert world.reasons() == ["no PROXY header"]


def test_a_wrapped_factory_that_wants_no_connection_gets_none():
    world = World("10.0.0.0/8")
    world.wrapped.refuses = True
    transport = world.connect()
    transport.protocol.dataReceived(HEADER + b"first")
    assert transport.disconnecting
    assert world.wrapped.octets == []
