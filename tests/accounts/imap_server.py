"""Twisted's own IMAP server over TLS, with two mailboxes, for the login tests.

Arguments: the certificate's file with its key, and whether AUTHENTICATE PLAIN is offered ("plain" or "login"). Prints
the port. Ends when standard input does.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.ssl import PrivateCertificate
from twisted.mail.imap4 import IAccount, IMAP4Server, MemoryAccount, PLAINCredentials

MAILBOXES = {b"ann@shop.example": b"secret", b"bob@shop.example": 'a "quoted\\" pässword'.encode()}


class Realm:
    def requestAvatar(self, avatar_id, mind, *interfaces):
        return IAccount, MemoryAccount(avatar_id), lambda: None


def main() -> None:
    certificate = PrivateCertificate.loadPEM(Path(sys.argv[1]).read_text())
    portal = Portal(Realm(), [InMemoryUsernamePasswordDatabaseDontUse(**{k.decode(): v for k, v in MAILBOXES.items()})])
    challengers = {b"PLAIN": PLAINCredentials} if sys.argv[2] == "plain" else {}

    class Server(IMAP4Server):
        def __init__(self):
            super().__init__(challengers)
            self.portal = portal

    port = reactor.listenSSL(0, Factory.forProtocol(Server), certificate.options(), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), reactor.callFromThread(reactor.stop)), daemon=True).start()
    reactor.run()


main()
