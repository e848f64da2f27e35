"""The TLS layer over memory: in how many pieces octets travel, and how each side of it ends."""

from __future__ import annotations

import ssl

import pytest
from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from gateway.smtp.tls_transport import BLOCK_OCTETS, TlsFactory
from gateway.tls import ServerContexts, TlsPolicy
from tests.smtp.certificates import Authority
from tests.smtp.test_tls_contexts import MemoryClient, server_certificate

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class PieceTransport(StringTransport):
    """Keeps each write apart."""

    def __init__(self):
        super().__init__()
        self.pieces = []

    def write(self, data):
        self.pieces.append(data)
        super().write(data)


@implementer(IHandshakeListener)
class Recorder(Protocol):
    """Keeps what it was told, and answers by its script."""

    def __init__(self):
        self.heard = []
        self.lost = 0
        self.handshakes = 0
        self.answer = lambda: None

    def connectionMade(self):
        self.transport.write(b"220 hello\r\n")

    def handshakeCompleted(self):
        self.handshakes += 1

    def dataReceived(self, data):
        self.heard.append(data)
        self.answer()

    def connectionLost(self, reason):
        self.lost += 1


class Silent(Recorder):
    """Says nothing of itself."""

    def connectionMade(self):
        pass


class Wire:
    """A client and the layer, joined by hand."""

    def __init__(self, authority, version=ssl.TLSVersion.TLSv1_3, protocol=Recorder):
        contexts = ServerContexts(server_certificate(authority), TlsPolicy())
        self.tls = TlsFactory(contexts, Factory.forProtocol(protocol)).buildProtocol(None)
        self.protocol = self.tls.protocol
        self.transport = PieceTransport()
        self.client = MemoryClient(version=version)
        self.tls.makeConnection(self.transport)

    def shake_hands(self):
        octets = self.client.step()
        while octets:
            self.tls.dataReceived(octets)
            octets = self.client.step(self.sent(consume=False))
        return self

    def sent(self, *, consume=True):
        octets = self.transport.value()
        self.transport.clear()
        if consume:
            self.client.incoming.write(octets)
        return octets

    def send(self, *texts):
        """Each text in a record of its own, and all in one read of the server."""
        for text in texts:
            self.client.tls.write(text)
        self.transport.pieces.clear()
        self.tls.dataReceived(self.client.outgoing.read())


@pytest.fixture(params=VERSIONS, ids=["1.2", "1.3"])
def wire(request, tmp_path):
    return Wire(Authority(tmp_path, "authority"), request.param).shake_hands()


def test_what_is_written_before_the_handshake_comes_behind_it(tmp_path):
    wire = Wire(Authority(tmp_path, "authority"))
    assert wire.transport.pieces == []
    wire.shake_hands()
    assert wire.protocol.handshakes == 1
    assert wire.client.tls.version() == "TLSv1.3"
    assert len(wire.transport.pieces) == 2, "one flight, then tickets and greeting together"


def test_all_records_of_one_read_are_heard_in_one_piece(wire):
    wire.send(b"MAIL\r\n", b"RCPT\r\n", b"DATA\r\n")
    assert wire.protocol.heard == [b"MAIL\r\nRCPT\r\nDATA\r\n"]


def test_more_than_openssl_is_given_at_once_comes_through_whole(wire):
    text = bytes(range(256)) * (3 * BLOCK_OCTETS // 256)
    wire.send(text)
    assert b"".join(wire.protocol.heard) == text
    assert wire.transport.bufferSize > BLOCK_OCTETS
    wire.send(b"QUIT\r\n")
    assert wire.transport.bufferSize == BLOCK_OCTETS


def test_octets_one_by_one_are_heard_too(wire):
    wire.client.tls.write(b"NOOP\r\n")
    for octet in wire.client.outgoing.read():
        wire.tls.dataReceived(bytes([octet]))
    assert wire.protocol.heard == [b"NOOP\r\n"]


def test_replies_and_the_farewell_leave_in_one_piece(wire):
    def answer():
        wire.tls.write(b"250 OK\r\n")
        wire.tls.write(b"221 Bye\r\n")
        wire.tls.loseConnection()

    wire.protocol.answer = answer
    wire.send(b"QUIT\r\n")
    assert len(wire.transport.pieces) == 1
    wire.sent()
    assert wire.client.tls.read(8) + wire.client.tls.read(9) == b"250 OK\r\n221 Bye\r\n"
    assert wire.client.tls.read(1) == b"", "close_notify"
    assert not wire.transport.disconnecting, "the client has not said close_notify yet"


def test_a_reply_that_comes_later_leaves_at_once(wire):
    wire.send(b"DATA\r\n")
    wire.sent()
    wire.tls.write(b"354 go on\r\n")
    wire.sent()
    assert wire.client.tls.read(100) == b"354 go on\r\n"


def test_when_both_have_said_close_notify_the_connection_is_closed(wire):
    wire.tls.loseConnection()
    wire.sent()
    wire.client.tls.unwrap()
    wire.tls.dataReceived(wire.client.outgoing.read())
    assert wire.transport.disconnecting


def test_a_client_that_takes_its_leave_is_heard_to_the_end_and_answered(wire):
    wire.protocol.answer = lambda: wire.tls.write(b"221 Bye\r\n")
    wire.client.tls.write(b"QUIT\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        wire.client.tls.unwrap()
    wire.tls.dataReceived(wire.client.outgoing.read())
    assert wire.protocol.heard == [b"QUIT\r\n"]
    assert wire.transport.disconnecting
    assert len(wire.sent()) > len(b"221 Bye\r\n")


def test_what_is_no_tls_ends_the_connection_with_an_alert(tmp_path):
    wire = Wire(Authority(tmp_path, "authority"))
    wire.tls.dataReceived(b"EHLO me\r\n" * 5)
    assert wire.transport.disconnecting
    assert wire.sent(consume=False)[:1] in (b"\x15", b"")
    wire.tls.dataReceived(b"more")  # nobody listens any more
    assert wire.protocol.heard == []


def test_a_forged_record_ends_the_connection_and_nothing_of_it_is_heard(wire):
    wire.client.tls.write(b"NOOP\r\n")
    wire.client.tls.write(b"RSET\r\n")
    octets = bytearray(wire.client.outgoing.read())
    octets[-1] ^= 1
    wire.tls.dataReceived(bytes(octets))
    assert wire.protocol.heard == [b"NOOP\r\n"]
    assert wire.transport.disconnecting


def test_closing_before_the_handshake_cuts_off_unless_there_is_something_to_say(tmp_path):
    wire = Wire(Authority(tmp_path, "authority"))
    wire.tls.loseConnection()
    assert not wire.transport.disconnected, "the greeting waits for the handshake"
    wire.shake_hands()
    assert wire.client.tls.read(1) == b"", "close_notify"
    silent = Wire(Authority(tmp_path, "other"), protocol=Silent)
    silent.tls.loseConnection()
    assert silent.transport.disconnected


def test_after_an_abort_nothing_is_heard_or_sent(wire):
    wire.protocol.answer = wire.tls.abortConnection
    wire.send(b"one", b"two")
    wire.send(b"three")
    wire.tls.write(b"250 OK\r\n")
    wire.tls.loseConnection()
    assert wire.protocol.heard == [b"onetwo"]
    assert wire.transport.pieces == []


def test_the_protocol_is_told_once_that_the_connection_is_gone(wire):
    wire.tls.connectionLost(None)
    assert wire.protocol.lost == 1
    wire.tls.write(b"250 OK\r\n")
    wire.tls.loseConnection()


def test_openssls_connection_can_be_asked(wire):
    assert isinstance(wire.tls.getHandle(), SSL.Connection)
