"""The avatar: Twisted's IMessageDelivery and IMessage, filled with an account, a spool and the dispatch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail.smtp import IMessageDelivery, User
from zope.interface import implementer

from gateway.accounts.account import Account
from gateway.content.spool import Spool
from gateway.dispatch import Dispatch, Incoming
from gateway.message import Envelope
from gateway.outcome import Reply
from gateway.smtp.interfaces import IMailMessage

SPOOL_FULL = Reply(452, "Insufficient system storage, try again later", "4.3.1")  # RFC 5321 §4.2.2


@dataclass(frozen=True, slots=True)
class Intake:
    """What deliveries need of the service: where to spool, whom to hand the message to, ids."""

    dispatch: Dispatch
    spool_folder: Path
    spool_memory_octets: int
    new_id: Callable[[], str]


@implementer(IMessageDelivery)
class SubmissionDelivery:
    """Takes the mail of one account in one session, one transaction after the other."""

    def __init__(self, account: Account, intake: Intake) -> None:
        self.account = account
        self._intake = intake
        self._reverse_path = ""
        self._forward_paths: list[str] = []
        self._message: SubmissionMessage | None = None

    def __str__(self) -> str:
        """The account's name, for logs."""
        return self.account.name

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        """No Received field: the vendors' APIs build the header section themselves."""
        return b""

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        """A new transaction. Any reverse-path will do: the vendor judges the From field, not the envelope."""
        self._reverse_path = str(origin)
        self._forward_paths = []
        self._message = None
        return origin

    def validateTo(self, user: User) -> Callable[[], SubmissionMessage]:
        """One more recipient; all recipients of a transaction share one message."""
        self._forward_paths.append(str(user.dest))
        session_id = getattr(user.protocol, "session_id", "")
        return lambda: self._shared_message(session_id)

    def _shared_message(self, session_id: str) -> SubmissionMessage:
        if self._message is None:
            envelope = Envelope(self._reverse_path, tuple(self._forward_paths))
            self._message = SubmissionMessage(self.account, envelope, session_id, self._intake)
        return self._message


@implementer(IMailMessage)
class SubmissionMessage:
    """Spools the mail data of one transaction and hands it on when it is complete."""

    def __init__(self, account: Account, envelope: Envelope, session_id: str, intake: Intake) -> None:
        self.message_id = intake.new_id()
        self._intake = intake
        self._spool = Spool(intake.spool_folder, intake.spool_memory_octets)
        self._full = False
        self._incoming = Incoming(session_id, self.message_id, account, envelope, self._spool)

    def lineReceived(self, line: bytes) -> None:
        """One line, for whoever speaks only Twisted's IMessage."""
        self.chunkReceived(line + b"\r\n")

    def chunkReceived(self, octets: bytes) -> None:
        """The next octets. When the disk has no room, the client is told at the end, and nothing is kept."""
        if self._full:
            return
        try:
            self._spool.write(octets)
        except OSError:
            self._full = True
            self._spool.close()

    def eomReceived(self) -> Deferred[Reply]:
        """The mail data is complete; fires with the reply to give."""
        return Deferred.fromCoroutine(self._submit())

    def connectionLost(self) -> None:
        """The mail data will never be complete."""
        self._spool.close()

    async def _submit(self) -> Reply:
        if self._full:
            return SPOOL_FULL
        try:
            return await self._intake.dispatch.submit(self._incoming)
        finally:
            self._spool.close()
