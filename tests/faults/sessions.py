"""Client sessions that break off after a given octet, in five ways; and the scripts of what they would have said.

An octet here is one of a step: a command or mail data as the client says it, or the client's octets of a TLS handshake.
"""

from __future__ import annotations

import base64
import enum
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE_SECONDS = 30
KEY = "ps_test_soak"
PLAIN = base64.b64encode(f"\0postscale\0{KEY}".encode()) + b"\r\n"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Way(enum.Enum):
    """How a client goes away."""

    FIN = "close"
    RST = "reset"
    HALF = "close the sending side, and wait"
    SILENT = "say nothing more, and wait"
    TORN = "close in the middle of a TLS record"


QUICK_WAYS = (Way.FIN, Way.RST, Way.HALF, Way.TORN)  # the server sees them at once, and needs no deadline


@dataclass(frozen=True, slots=True)
class Step:
    """What is said in one go, and how many replies follow. No octets: only the reading. tls: a handshake instead.

    ends_message: the last octet of the step ends the message with this subject.
    """

    octets: bytes = b""
    replies: int = 1
    tls: bool = False
    ends_message: str = ""


HANDSHAKE = Step(replies=0, tls=True)
EHLO = Step(b"EHLO client.test\r\n")
MAIL = Step(b"MAIL FROM:<shop@shop.example>\r\n")
DATA = Step(b"DATA\r\n")
QUIT = Step(b"QUIT\r\n")


def rcpt(address: str = "ann@cust.example") -> Step:
    return Step(f"RCPT TO:<{address}>\r\n".encode())


def letter(subject: str, lines: int) -> bytes:
    head = f"From: shop@shop.example\r\nTo: ann@cust.example\r\nSubject: {subject}\r\n\r\n"
    return head.encode() + b"A line of text.\r\n" * lines


def data(subject: str, lines: int) -> Step:
    return Step(letter(subject, lines) + b".\r\n", ends_message=subject)


def chunks(subject: str, lines: int) -> list[Step]:
    text = letter(subject, lines)
    first, last = text[:50], text[50:]
    return [
        Step(b"BDAT %d\r\n" % len(first) + first),
        Step(b"BDAT %d LAST\r\n" % len(last) + last, ends_message=subject),
    ]


def over_starttls(number: int) -> list[Step]:
    """AUTH PLAIN, one message that fits in memory, one that is given up."""
    opening = [Step(), EHLO, Step(b"STARTTLS\r\n"), HANDSHAKE, EHLO, Step(b"AUTH PLAIN " + PLAIN)]
    message = [MAIL, rcpt(), DATA, data(f"{number}-memory", 4)]
    return [*opening, *message, MAIL, rcpt(), Step(b"RSET\r\n"), QUIT]


def over_implicit_tls(number: int) -> list[Step]:
    """AUTH LOGIN, one message that goes to a file, one in chunks."""
    name, secret = (base64.b64encode(one.encode()) + b"\r\n" for one in ("postscale", KEY))
    opening = [HANDSHAKE, Step(), EHLO, Step(b"AUTH LOGIN\r\n"), Step(name), Step(secret)]
    in_file = [MAIL, rcpt(), DATA, data(f"{number}-file", 50)]
    return [*opening, *in_file, MAIL, rcpt(), *chunks(f"{number}-chunks", 50), QUIT]


def slow_vendor(number: int) -> list[Step]:
    """Pipelined; the API takes three seconds, so that clients go away while their message is under way."""
    transaction = MAIL.octets + rcpt("slow@sandbox.example").octets + DATA.octets
    opening = [HANDSHAKE, Step(), EHLO, Step(b"AUTH PLAIN " + PLAIN), Step(transaction, replies=3)]
    return [*opening, data(f"{number}-slow", 50), QUIT]


Script = Callable[[int], list[Step]]


class EarlyEndError(Exception):
    """The server has ended the session, or refused something, before the client broke off."""


class Session:
    """One connection, and what the client knows about its messages.

    finished holds the subjects of messages whose end was sent, acknowledged those of messages that got 250.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.finished: set[str] = set()
        self.acknowledged: set[str] = set()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._unread = b""

    def take(self, step: Step) -> int:
        """Do the whole step; gives how many octets the client sent in a handshake."""
        sent = self.handshake(None) if step.tls else 0
        if step.octets:
            self.send(step.octets)
            self.finished |= {step.ends_message} - {""}
        for _ in range(step.replies):
            self.read_reply()
        self.acknowledged |= {step.ends_message} - {""}
        return sent

    def begin(self, step: Step, octets: int, *, torn: bool) -> None:
        """Send only so many octets of the step, and read nothing. torn: the TLS record around them lacks its end."""
        if step.tls:
            self.handshake(octets)
        elif octets:
            self.send(step.octets[:octets], torn=torn)
            if octets == len(step.octets) and not (torn and self._tls):
                self.finished |= {step.ends_message} - {""}

    def go(self, way: Way) -> bool:
        """Go away; True when the socket stays open, so that the server has to end the connection."""
        if way is Way.SILENT:
            return True
        if way is Way.HALF:
            self.socket.shutdown(socket.SHUT_WR)
            return True
        if way is Way.RST:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self.socket.close()
        return False

    def wait_for_end(self) -> None:
        """Return when the server has closed; TimeoutError when it does not."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        finally:
            self.socket.close()

    def handshake(self, limit: int | None) -> int:
        """The whole handshake, or only the client's first octets of it; gives how many were sent."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        sent, done = 0, False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            octets = self._outgoing.read()[: None if limit is None else limit - sent]
            self.socket.sendall(octets)
            sent += len(octets)
            if sent == limit:
                return sent
            if not done:
                self._incoming.write(self._receive())
        return sent

    def send(self, octets: bytes, *, torn: bool = False) -> None:
        if self._tls is not None:
            self._tls.write(octets)
            octets = self._outgoing.read()[: -1 if torn else None]
        self.socket.sendall(octets)

    def read_reply(self) -> bytes:
        """The last line of the next reply; EarlyEndError unless it is a good one."""
        while True:
            while b"\r\n" not in self._unread:
                self._unread += self._read()
            line, _, self._unread = self._unread.partition(b"\r\n")
            if line[:1] not in (b"2", b"3"):
                raise EarlyEndError(line)
            if line[3:4] != b"-":
                return line

    def _read(self) -> bytes:
        while self._tls is not None:
            try:
                octets = self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._incoming.write(self._receive())
            else:
                if not octets:
                    raise EarlyEndError("TLS closed")
                return octets
        return self._receive()

    def _receive(self) -> bytes:
        octets = self.socket.recv(65536)
        if not octets:
            raise EarlyEndError("closed")
        return octets
