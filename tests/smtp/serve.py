"""Runs SubmissionFactory listeners on free loopback ports, over a world that answers late, for tests on real sockets.

Reads commands, one JSON list a line, and prints one JSON value for each: ["listen", kind, {limits}, enhanced] opens a
listener and gives its port; ["facts", port] tells what happened there; ["drain", port] drains it (facts tell the end).
Arguments: a folder for the certificate.
"""

from __future__ import annotations

import datetime
import json
import random
import sys
import threading
from pathlib import Path
from typing import Any

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.mail.smtp import IMessageDelivery
from zope.interface import implementer

from gateway.accounts.throttle import FailedLoginCount
from gateway.certificate import ServerCertificate, read_server_certificate
from gateway.events import COUNTED_ONLY
from gateway.smtp.interfaces import IMailMessage
from gateway.smtp.listener import SessionCount, Shared, SubmissionFactory
from gateway.smtp.reception import Reception, Receptions
from gateway.smtp.tcp_transport import send_promptly
from gateway.smtp.tls_first import TlsFirstFactory
from gateway.smtp.tls_transport import TlsFactory
from gateway.tls import ServerContexts, TlsPolicy, self_made_certificate
from tests.smtp.scripted import TAKEN, check_login, check_place, session_rules

WAITS_SECONDS = (0, 0, 0.001, 0.004)  # some answers come at once, most in the next turns of the reactor
NO_DELAY_SECONDS = 0.0
SLOW_SECONDS = 0.4  # an answer that comes after the test has done something else


def later(call: Any, *arguments: Any, slow: bool = False) -> Deferred[Any]:
    return deferLater(reactor, SLOW_SECONDS if slow else random.choice(WAITS_SECONDS), call, *arguments)


class Listening:
    """One listener and what happened on it; it is the checker, the realm, and the maker of messages too."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, folder: Path, kind: str, limits: dict[str, int], enhanced: bool) -> None:
        self.rules = session_rules(kind, enhanced=enhanced, **limits)
        self.facts: dict[str, Any] = {"logins": 0, "logouts": 0, "lost": 0, "reports": [], "messages": [], "chunks": 0}
        one = self.rules.limits
        failed = FailedLoginCount(
            one.failed_logins_per_address, one.failed_login_window_seconds, NO_DELAY_SECONDS, reactor.seconds
        )
        shared = Shared(reactor, self.report, failed, SessionCount(one), lambda: "session-1")
        contexts = None if kind == "none" else ServerContexts(certificate(folder), TlsPolicy())
        portal = Portal(self, [self])
        self.factory = SubmissionFactory(
            Receptions(Reception(self.rules, portal)), contexts, shared, implicit_tls=kind == "implicit"
        )
        wire = self.factory
        if kind == "implicit":
            wire = TlsFirstFactory(TlsFactory(contexts, self.factory), self.factory)
        self.port = reactor.listenTCP(0, wire, interface="127.0.0.1")
        send_promptly(self.port)

    def report(self, event: Any) -> None:
        if type(event) not in COUNTED_ONLY:
            self.facts["reports"].append(repr(event))

    def requestAvatarId(self, credentials: Any) -> Deferred[str]:
        name = credentials.username.decode()
        if name == "slow":
            return later(lambda: b"slow", slow=True)
        return later(lambda: check_login(name, "") or credentials.username)

    def requestAvatar(self, name: bytes, mind: Any, *interfaces: Any) -> Any:
        self.facts["logins"] += 1
        return IMessageDelivery, Delivery(self), self.log_out

    def log_out(self) -> None:
        self.facts["logouts"] += 1

    def drain(self) -> None:
        self.facts["drained"] = False
        self.factory.drain().addCallback(lambda _: self.facts.update(drained=True))


def certificate(folder: Path) -> ServerCertificate:
    return read_server_certificate(*self_made_certificate(folder, "gateway.test", datetime.datetime.now(datetime.UTC)))


@implementer(IMessageDelivery)
class Delivery:
    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.recipients: list[str] = []
        self.message: Message | None = None

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b""

    def validateFrom(self, helo: Any, origin: Any) -> Deferred[Any]:
        self.recipients, self.message = [], None
        return later(lambda: check_place("mail", str(origin), self.listening.rules), slow="slow-mail" in str(origin))

    def validateTo(self, user: Any) -> Deferred[Any]:
        return later(self._take, str(user.dest), slow="slow-rcpt" in str(user.dest))

    def _take(self, address: str) -> Any:
        check_place("rcpt", address, self.listening.rules)
        self.recipients.append(address)
        return self._shared_message

    def _shared_message(self) -> Message:
        for address in self.recipients:
            check_place("data", address, self.listening.rules)
        if self.message is None:
            self.message = Message(self.listening, tuple(self.recipients))
        return self.message


@implementer(IMailMessage)
class Message:
    message_id = "message-1"

    def __init__(self, listening: Listening, recipients: tuple[str, ...]) -> None:
        self.listening = listening
        self.recipients = recipients
        self.size_octets = 0
        self.head = b""

    def _check(self, place: str) -> None:
        for address in self.recipients:
            check_place(place, address, self.listening.rules)

    def lineReceived(self, line: bytes) -> None:
        raise AssertionError("chunks are asked for")

    def chunkReceived(self, octets: bytes) -> None:
        self._check("chunk")
        self.listening.facts["chunks"] += 1
        self.size_octets += len(octets)
        self.head = (self.head + octets)[:2000]

    def eomReceived(self) -> Deferred[Any]:
        if any(one.startswith("now.") for one in self.recipients):
            raise RuntimeError("told to break at once")
        slow = any(one.startswith("slow-end") for one in self.recipients)
        return later(self._take, slow=slow)

    def _take(self) -> Any:
        self._check("end")
        taken = [self.size_octets, self.head.decode("latin-1"), *self.recipients]
        self.listening.facts["messages"].append(taken)
        return TAKEN

    def connectionLost(self) -> None:
        self.listening.facts["lost"] += 1
        self._check("lost")


class Commands:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listenings: dict[int, Listening] = {}

    def obey(self, command: list[Any]) -> None:
        name, *rest = command
        try:
            answer = getattr(self, name)(*rest)
        except Exception as error:  # the test waits for a line, and fails by this one
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)

    def listen(self, kind: str, limits: dict[str, int], enhanced: bool) -> int:
        listening = Listening(self.folder, kind, limits, enhanced)
        number: int = listening.port.getHost().port
        self.listenings[number] = listening
        return number

    def facts(self, port: int) -> dict[str, Any]:
        return {**self.listenings[port].facts, "sessions": self.listenings[port].factory._shared.sessions._total}

    def drain(self, port: int) -> None:
        self.listenings[port].drain()

    def read_all(self) -> None:
        for line in sys.stdin:
            reactor.callFromThread(self.obey, json.loads(line))
        reactor.callFromThread(reactor.stop)


def main() -> None:
    commands = Commands(Path(sys.argv[1]))
    threading.Thread(target=commands.read_all, daemon=True).start()
    reactor.run()


main()
