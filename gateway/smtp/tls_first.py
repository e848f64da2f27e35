"""In front of TLS from the first octet: tells a client in plain text that it has come without TLS.

Such a client would be cut off without a word otherwise, and its owner would see a time-out where one setting is wrong.
The first octet decides; with TLS's the connection is TLS's alone from then on, and no layer stays between.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from gateway.deadlines import Deadline
from gateway.smtp import replies
from gateway.smtp.listener import SubmissionFactory
from gateway.smtp.replies import write_reply
from gateway.smtp.tls_transport import TlsFactory

HANDSHAKE_RECORD = 0x16  # the content type of a ClientHello (RFC 8446 §5.1); no SMTP command begins with it


class TlsFirstFactory(Factory):
    """Wraps the TLS of a listener; sessions are counted from the connection on, whatever it turns out to speak."""

    noisy = False

    def __init__(self, tls: TlsFactory, sessions: SubmissionFactory) -> None:
        rules = sessions.receptions.default.rules
        self.deadlines = sessions.deadlines
        # Nobody waits longer for the first octet than for a handshake, nor than for a command
        self.first_octet_seconds = min(rules.limits.handshake_seconds, rules.limits.idle_seconds)
        self.last_word = write_reply(replies.PLAIN_ON_TLS_PORT, enhanced=rules.enhanced)
        self._tls = tls

    def doStart(self) -> None:
        """Start the wrapped factory too."""
        self._tls.doStart()
        super().doStart()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def doStop(self) -> None:
        """Stop the wrapped factory too."""
        self._tls.doStop()
        super().doStop()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def buildProtocol(self, addr: IAddress | None) -> FirstOctet | None:
        """A connection whose first octet is awaited, with the session that it may become."""
        tls = self._tls.buildProtocol(addr)
        return None if tls is None else FirstOctet(self, tls)


class FirstOctet(Protocol):
    """Waits for the first octet of one connection."""

    transport: Any  # a TCP transport; Twisted's ITransport knows no abortConnection

    def __init__(self, factory: TlsFirstFactory, tls: Any) -> None:
        self._factory = factory
        self._tls = tls  # a TlsTransport; Twisted's methods in it have no types
        self._deadline: Deadline | None = None
        self._refused = False

    def connectionMade(self) -> None:
        """Let the session begin: its greeting waits for TLS."""
        # Before the session's own, which may pass in the same second and would not tell the client why
        self._deadline = self._factory.deadlines.begin(self._factory.first_octet_seconds, self._refuse)
        self._tls.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Hand over what begins as TLS does. What comes after our last word is not read."""
        if self._refused:
            return
        self._stop_waiting()
        if data[0] != HANDSHAKE_RECORD:
            self._refuse()
            return
        self.transport.protocol = self._tls
        self._tls.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Gone before TLS began."""
        self._stop_waiting()
        self._tls.connectionLost(reason)

    def _refuse(self) -> None:
        """Also for whoever waits for a greeting in clear and so never says anything."""
        self._refused = True
        self.transport.write(self._factory.last_word)
        self._tls.protocol.expire(replies.PLAIN_ON_TLS_PORT)
        self.transport.loseConnection()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.end()
            self._deadline = None
