"""The peer that ratios are taken of: stock twisted.mail.smtp, the email package with policy.default, and treq.

As its users write it: one list of lines a message, the parsed message as JSON, nothing tuned.
"""

from __future__ import annotations

import argparse
import base64
import email
import email.policy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import treq
from twisted.cred.checkers import ANONYMOUS, ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.mail.imap4 import PLAINCredentials
from twisted.mail.smtp import ESMTP, IMessage, IMessageDelivery, SMTPFactory, SMTPServerError
from zope.interface import implementer


@implementer(ICredentialsChecker)
class AnyKey:
    """Takes any user name and password, as the API takes any key."""

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> bytes:
        """Whoever it is, the user name says so."""
        name: bytes = credentials.username
        return name or ANONYMOUS


@implementer(IRealm)
class DeliveryRealm:
    """Gives every user a delivery."""

    def __init__(self, api: str) -> None:
        self._api = api

    def requestAvatar(self, avatar_id: bytes, mind: object, *interfaces: Any) -> Any:
        """A new delivery for this session."""
        return IMessageDelivery, Delivery(self._api), lambda: None


@implementer(IMessageDelivery)
class Delivery:
    """Takes any mail."""

    def __init__(self, api: str) -> None:
        self._api = api

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        """No Received field."""
        return b""

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        """Any sender."""
        return origin

    def validateTo(self, user: Any) -> Callable[[], LineMessage]:
        """Any recipient."""
        return lambda: LineMessage(self._api, str(user.dest))


@implementer(IMessage)
class LineMessage:
    """Keeps the lines, parses them at the end, and posts what they say."""

    def __init__(self, api: str, recipient: str) -> None:
        self._api = api
        self._recipient = recipient
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        """One line of mail data."""
        self._lines.append(line)

    def eomReceived(self) -> Deferred[bytes]:
        """The mail data is complete: post it."""
        return Deferred.fromCoroutine(self._post())

    def connectionLost(self) -> None:
        """Forget it."""
        self._lines = []

    async def _post(self) -> bytes:
        message = email.message_from_bytes(b"\n".join(self._lines), policy=email.policy.default)
        headers = {"Authorization": "Bearer ps_test_benchmark"}
        response = await treq.post(f"{self._api}/send", json=_document(message, self._recipient), headers=headers)
        await response.json()
        if response.code >= 300:
            raise SMTPServerError(451, b"not taken")
        return b"OK"


def _document(message: Any, recipient: str) -> dict[str, Any]:
    document: dict[str, Any] = {"from": str(message["from"]), "to": [recipient], "subject": str(message["subject"])}
    for name, kind in (("text_body", "plain"), ("html_body", "html")):
        part = message.get_body(preferencelist=(kind,))
        if part is not None:
            document[name] = part.get_content()
    document["headers"] = {name: str(value) for name, value in message.items() if name.lower().startswith("x-")}
    document["attachments"] = [
        {
            "filename": part.get_filename(),
            "content": base64.b64encode(part.get_content()).decode(),
            "content_type": part.get_content_type(),
        }
        for part in message.iter_attachments()
    ]
    return document


class Factory(SMTPFactory):
    """Builds stock ESMTP protocols."""

    noisy = False
    protocol = ESMTP

    def buildProtocol(self, address: Any) -> Any:
        """One that knows AUTH PLAIN."""
        built = super().buildProtocol(address)
        built.challengers = {b"PLAIN": PLAINCredentials}
        built.noisy = False
        return built


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--port", "--certificate", "--private-key", "--api"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    pem = Path(options.private_key).read_text(encoding="ascii") + Path(options.certificate).read_text(encoding="ascii")
    contexts = ssl.PrivateCertificate.loadPEM(pem).options()
    factory = Factory(Portal(DeliveryRealm(options.api), [AnyKey()]))
    listen: Any = reactor
    listen.listenSSL(int(options.port), factory, contexts, backlog=512, interface="127.0.0.1")
    listen.run()


if __name__ == "__main__":
    main()
