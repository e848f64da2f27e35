"""Runs Postmark's bounce API over a store that holds a few bounces, for the vendor's own library.

Argument: the store's file, which is made. Prints the port; ends when its input does. The key "token-of-ann" is good,
and "token-of-nobody" cannot be asked about.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from gateway.accounts.account import fingerprint
from gateway.accounts.checkers import ApiKeyChecker, CredentialChecker, StoredAccounts
from gateway.accounts.remembered import RememberedAnswers
from gateway.accounts.server_tokens import ServerTokenChecker
from gateway.accounts.throttle import FailedLoginCount
from gateway.console.bounces_api import BouncesApi
from gateway.message import SendOptions
from gateway.notices.dsn import Sender
from gateway.notices.notices import Notices
from gateway.store.credential import Credential
from gateway.store.sqlite import SqliteStore
from tests.notices.messages import NOW, ORIGINAL, refused, stored

ANN, SHOP = f"postmark/key-{fingerprint('token-of-ann')}", "postmark/user-shop"
PIECES = [ORIGINAL, "Gr\u00fc\u00df".encode()[:3], "Gr\u00fc\u00df".encode()[3:] + b"e \xff\x00\r\n"]


class Credentials:
    """One credential: shop, with the secret "sesame"."""

    async def check(self, user_name: str, secret: str) -> Credential | None:
        if user_name != "shop":
            raise LookupError(user_name)
        made = Credential("shop", "hash", "postmark", active=True, created_at="2026-01-31T12:00:00+00:00")
        return made if secret == "sesame" else None


async def ask_vendor(key: str) -> bool | None:
    return None if key == "token-of-nobody" else key == "token-of-ann"


def fill(transaction) -> None:
    notices = Notices(Sender("smtp.gateway.example", "p@gateway.example"), (), str, lambda *_: b"", 1.0)
    for number, (account, path, tag) in enumerate(
        ((ANN, "ann@mail.example", "receipt"), (SHOP, "sue@mail.example", ""), (ANN, "bob@mail.example", ""))
    ):
        message = stored(refused(path), account_name=account, message_id=f"01k9message00000000{number}a")
        content = PIECES if number < 2 else None
        transaction.add_message(replace(message, has_content=content is not None), content, ())
        options = SendOptions(tags=(tag,) if tag else ())
        notices.of(transaction, message, message.recipients, ("bounce",), NOW + number, options)


def wait_for_the_end() -> None:
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


store = SqliteStore(Path(sys.argv[1]), reactor)
store.open()
store.run(fill)
keys = ApiKeyChecker("postmark", "postmark", ask_vendor, RememberedAnswers(reactor.seconds))
accounts = StoredAccounts(frozenset({"postmark"}), lambda vendor: "postmark", lambda user_name: None)
tokens = ServerTokenChecker(keys, CredentialChecker(Credentials(), accounts))
api = BouncesApi(store, tokens, FailedLoginCount(5, 60.0, 0.1, reactor.seconds), reactor)
root = Resource()
below = root
for name in (b"api", b"v1"):
    above, below = below, Resource()
    above.putChild(name, below)
below.putChild(b"postmark", api.resource())
port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
print(port.getHost().port, flush=True)
threading.Thread(target=wait_for_the_end, daemon=True).start()
reactor.run()
store.close()
