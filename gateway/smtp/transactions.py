"""The mail transactions of one login, as Twisted's IMessageDelivery sees them: each path, then one message.

An avatar answers at once or with a Deferred; Rejection and Twisted's SMTPServerError carry the reply of a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail.smtp import SMTPServerError, User

from gateway.errors import Rejection
from gateway.outcome import Reply, printable
from gateway.smtp import events, replies
from gateway.smtp.interfaces import IMailMessage
from gateway.smtp.path import Path

Answer = Reply | Deferred[Reply]


class Recipient(User):
    """Twisted's User with a path that the grammar has accepted; User would parse it again, and only ASCII."""

    def __init__(self, destination: Path, helo: tuple[bytes, bytes], protocol: Any, orig: Path) -> None:
        self.dest = destination
        self.helo = helo
        self.protocol = protocol
        self.orig = orig


class Transactions:
    """Asks the delivery of one login. protocol is what its Users name; peer the client's address."""

    def __init__(self, delivery: Any, protocol: Any, peer: str) -> None:
        self._delivery = delivery
        self._protocol = protocol
        self._peer = peer.encode()
        self._hello = (b"", self._peer)
        self._origin = Path("", {})
        self._recipients: list[Callable[[], Any]] = []

    def begin(self, event: events.ReversePath, hello_name: str) -> Answer:
        """A new transaction, if the avatar takes its reverse-path."""
        self._hello = (hello_name.encode(), self._peer)
        self._origin = Path(event.address, event.parameters)
        return _answer(self._delivery.validateFrom(self._hello, self._origin), self._begun)

    def add(self, event: events.ForwardPath) -> Answer:
        """One more recipient, if the avatar takes it."""
        path = Path(event.address, event.parameters)
        user = Recipient(path, self._hello, self._protocol, self._origin)
        return _answer(self._delivery.validateTo(user), self._added)

    def make_message(self) -> Any:
        """The avatar makes the same message for each recipient of a transaction, so that the data is kept once."""
        made = {id(message): message for message in [make() for make in self._recipients]}
        (message,) = made.values()
        return IMailMessage(message)

    def _begun(self, _: Any) -> Reply:
        self._recipients = []
        return replies.REVERSE_PATH_OK

    def _added(self, make_message: Callable[[], Any]) -> Reply:
        self._recipients.append(make_message)
        return replies.FORWARD_PATH_OK


def _answer(told: Any, taken: Callable[[Any], Reply]) -> Answer:
    """What the avatar tells, as a reply; the interface lets it tell that later."""
    return told.addCallback(taken) if isinstance(told, Deferred) else taken(told)


def refusal(fault: Exception) -> Reply | None:
    """The reply that an avatar's exception carries; None for any other."""
    if isinstance(fault, Rejection):
        return fault.reply
    if isinstance(fault, SMTPServerError):
        text = fault.resp.decode("ascii", "replace") if isinstance(fault.resp, bytes) else fault.resp
        return Reply(fault.code, printable(text))
    return None
