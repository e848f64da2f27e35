"""TLS between a TCP transport and a protocol: it is the protocol of the one, and the transport of the other.

In place of Twisted's TLSMemoryBIOProtocol, for what that costs a session: there each TLS record of 16 KiB wakes the
protocol, each reply waits for the next turn of the reactor, and each step is flushed by itself. Here all records of
one read are handed on in one piece, and all that a read gives rise to, replies, tickets and the close_notify, leaves in
one piece behind it. A server only, and without producers: replies are short, and what a client sends is bounded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

RECORD_OCTETS = 16 * 1024  # what one record holds at most (RFC 8446 §5.1), and SSL_read(3) gives at once
HEADER_OCTETS = 5  # of a record; the last two say how many follow
BLOCK_OCTETS = 64 * 1024  # what OpenSSL is given at once: it never gives back the memory that it takes for that
READ_OCTETS = 120 * 1024  # where a client sends much: a read costs 30 microseconds, and memory beyond 128 KiB a mmap(2)
FLIGHT_OCTETS = 4 * 1024  # what is taken from OpenSSL at once: a reply, or the answer of a handshake with a usual chain


class TlsFactory(Factory):
    """Puts TLS before each protocol that the wrapped factory builds."""

    noisy = False

    def __init__(self, contexts: IOpenSSLServerConnectionCreator, wrapped: IProtocolFactory) -> None:
        self.wrapped = wrapped
        self._contexts = contexts

    def doStart(self) -> None:
        """Start the wrapped factory too."""
        self.wrapped.doStart()
        super().doStart()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def doStop(self) -> None:
        """Stop the wrapped factory too."""
        self.wrapped.doStop()
        super().doStop()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def buildProtocol(self, addr: IAddress | None) -> TlsTransport | None:
        """The protocol for a new connection, or None when the wrapped factory wants none."""
        protocol = self.wrapped.buildProtocol(cast(IAddress, addr))
        return None if protocol is None else TlsTransport(self._contexts, protocol)


class TlsTransport(Protocol):
    """One TLS connection, from the server's side. It tells the protocol when TLS is up, if that listens for it."""

    transport: Any  # a TCP transport; Twisted's ITransport knows no abortConnection

    def __init__(self, contexts: IOpenSSLServerConnectionCreator, protocol: IProtocol) -> None:
        self._contexts = contexts
        self.protocol: Any = protocol
        self._connection: Any = None  # OpenSSL's, from makeConnection() on
        self._to_record_end: int | None = 0  # octets of the record that has begun; None: not known any more
        self._unsent: list[bytes] = []  # what was written before TLS is up
        self._up = False
        self._reading = False  # what is written now leaves behind the read
        self._ended = False  # the client has said that nothing follows, or what came is no TLS
        self._over = False  # so have we
        self.disconnecting = False

    # -- the protocol of TCP

    def connectionMade(self) -> None:
        """A new connection: the protocol may speak, and is heard when TLS is up."""
        self._begin()
        self.protocol.makeConnection(self)

    def take_over(self, transport: Any) -> None:
        """Begin TLS on a connection that the protocol has used without (STARTTLS)."""
        transport.protocol = self
        self.transport = transport
        self.connected = True
        self._begin()
        self.protocol.transport = self

    def dataReceived(self, data: bytes) -> None:
        """Go on with the handshake, and hand over what there is in clear."""
        if self._over:
            return
        self._reading = True
        try:
            self._take(data)
        finally:
            self._reading = False
            self._send()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone, however TLS stood."""
        self.connected = False
        self._over = True
        protocol, self.protocol = self.protocol, None
        protocol.connectionLost(reason)
        self._connection = None  # it refers to us

    # -- the transport of the protocol

    def write(self, data: bytes) -> None:
        """Send octets, behind the read that is being worked on if there is one."""
        if self._over or self.disconnecting:
            return
        if not self._up:
            self._unsent.append(data)
            return
        self._encrypt(data)
        self._send()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send octets from several pieces."""
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        """Say close_notify behind what was written, and close when the client has said it too (RFC 8446 §6.1)."""
        if self.disconnecting or not self.connected:
            return
        self.disconnecting = True
        if self._up:
            self._close()
        elif not self._unsent:
            self.abortConnection()  # without a handshake there is nobody to take leave of

    def abortConnection(self) -> None:
        """Cut the connection off."""
        self.disconnecting = True
        self._over = True
        self.connected = False
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self.transport.resumeProducing()

    def getHandle(self) -> SSL.Connection:
        """OpenSSL's connection, for what it knows of the client."""
        connection: SSL.Connection = self._connection
        return connection

    def getPeer(self) -> IAddress:
        """The client's address."""
        address: IAddress = self.transport.getPeer()
        return address

    def getHost(self) -> IAddress:
        """Our address."""
        address: IAddress = self.transport.getHost()
        return address

    # -- TLS

    def _begin(self) -> None:
        self._connection = self._contexts.serverConnectionForTLS(cast(Any, self))
        self._connection.set_accept_state()

    def _take(self, data: bytes) -> None:
        """Put octets into TLS, and hand over what comes out."""
        blocks: list[bytes] = []
        if len(data) <= BLOCK_OCTETS:
            self._put(data, blocks)
        else:
            whole = memoryview(data)
            for start in range(0, len(data), BLOCK_OCTETS):
                self._put(whole[start : start + BLOCK_OCTETS], blocks)
        if blocks and not self._over:
            self.protocol.dataReceived(blocks[0] if len(blocks) == 1 else b"".join(blocks))
        if self._ended and not self._over:
            self._end()
        self.transport.bufferSize = READ_OCTETS if len(data) >= BLOCK_OCTETS else BLOCK_OCTETS

    def _put(self, data: bytes | memoryview, blocks: list[bytes]) -> None:
        alone = self._is_one_record(data)
        self._connection.bio_write(data)
        if not self._over and (self._up or self._shake_hands()):
            self._decrypt(blocks, len(data) if alone else 0)

    def _is_one_record(self, data: bytes | memoryview) -> bool:
        """Whether these octets are one record, whole, and no other; counts where records end (RFC 8446 §5.1)."""
        end, length = self._to_record_end, len(data)
        if end is None:
            return False
        if end == 0 and length > HEADER_OCTETS and data[3] * 256 + data[4] == length - HEADER_OCTETS:
            return True  # as a command is
        start = end
        while end < length:
            if end + HEADER_OCTETS > length:  # cut within a header: this client is read in the general way from now on
                self._to_record_end = None
                return False
            start, end = end, end + HEADER_OCTETS + int.from_bytes(data[end + 3 : end + HEADER_OCTETS], "big")
        self._to_record_end = end - length
        return end == length and start == 0

    def _shake_hands(self) -> bool:
        """A step of the handshake; whether it is done."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error:
            self._end()
            return False
        self._up = True
        if IHandshakeListener.providedBy(self.protocol):
            self.protocol.handshakeCompleted()
        unsent, self._unsent = self._unsent, []
        if unsent:
            self._encrypt(b"".join(unsent))
        if self.disconnecting:
            self._close()
        return True

    def _decrypt(self, blocks: list[bytes], record_octets: int) -> None:
        """Add what the records received so far hold; the last may tell that there will be no more.

        record_octets: it is one record of that length, which is given whole, so that nothing is left to ask for.
        """
        try:
            blocks.append(self._connection.recv(record_octets or RECORD_OCTETS))
            while not record_octets:
                blocks.append(self._connection.recv(RECORD_OCTETS))
        except SSL.WantReadError:
            pass
        except SSL.Error:  # ZeroReturnError, which is a close_notify, or a fault
            self._ended = True

    def _encrypt(self, data: bytes) -> None:
        sent = 0
        try:
            while sent < len(data):  # a record at a time
                sent += self._connection.send(data[sent:])
        except SSL.Error:
            self._end()

    def _close(self) -> None:
        """Our close_notify; if the client's was there before, all is said."""
        try:
            is_done = self._connection.shutdown()
        except SSL.Error:
            is_done = False  # nothing can be said any more; the client closes, or is cut off
        if is_done:
            self._end()
        else:
            self._send()

    def _end(self) -> None:
        """TLS is over: send what OpenSSL has left to say, an alert or a close_notify, and close."""
        if not self._over:
            self._over = True
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
            self._reading = False
            self._send()
            self.transport.loseConnection()

    def _send(self) -> None:
        if self._reading or not self.connected:
            return
        octets = b""
        try:
            while not octets or len(octets) == FLIGHT_OCTETS:
                octets = self._connection.bio_read(FLIGHT_OCTETS)
                self.transport.write(octets)
        except SSL.WantReadError:
            pass  # there is nothing, or nothing more
