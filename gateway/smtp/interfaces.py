"""The seams of the SMTP side: what it asks of the avatar's messages, and of the listener that a session belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.mail.smtp import IMessage
from zope.interface import Attribute

from gateway.deadlines import Deadlines
from gateway.events import Reporter
from gateway.smtp.reception import Receptions

if TYPE_CHECKING:
    from gateway.smtp.protocol import SubmissionProtocol


class IMailMessage(IMessage):
    """A message that takes its mail data in blocks; one for a whole transaction, however many recipients it has.

    eomReceived's Deferred fires with the gateway.outcome.Reply to give; a Rejection carries one too.
    """

    message_id = Attribute("The gateway's id of the message, sortable by time.")

    def chunkReceived(octets: Any) -> None:
        """Take the next octets of the mail data: clean lines with CRLF, dot-stuffing undone."""


class FailedLogins(Protocol):
    """Counts failed logins per address and per account."""

    def exceeded(self, peer: str) -> bool:
        """Whether this address has failed with too many different secrets lately."""

    def add(self, peer: str, user_name: str, secret: str | None) -> float:
        """One more failed login; gives the seconds to wait before it is answered. None: the secret was not shown."""


class SessionHost(Protocol):
    """What a session needs from the listener it came in on."""

    receptions: Receptions
    contexts: IOpenSSLServerConnectionCreator | None
    clock: IReactorTime
    deadlines: Deadlines
    report: Reporter
    failed_logins: FailedLogins

    def session_ended(self, session: SubmissionProtocol) -> None:
        """The connection is closed."""
