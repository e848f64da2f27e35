"""The avatar: Twisted's IMessageDelivery and IMessage, filled with an account, a spool and the dispatch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail.smtp import IMessageDelivery, User
from zope.interface import implementer

from gateway.accounts.account import Account
from gateway.content.addresses import folded
from gateway.content.spool import Spool
from gateway.dispatch import Dispatch
from gateway.errors import Rejection
from gateway.incoming import Incoming
from gateway.message import Envelope
from gateway.outcome import Cause, Reply, reply_for
from gateway.smtp.interfaces import IMailMessage
from gateway.smtp.path import Path
from gateway.smtp.protocol import SubmissionProtocol
from gateway.trace import Hop

SPOOL_FULL = Reply(452, "Insufficient system storage, try again later", "4.3.1")  # RFC 5321 §4.2.2
TOO_LARGE_FOR_VENDOR = Reply(552, "Message size exceeds the limit of the account", "5.3.4")  # RFC 1870 §6
TOLD_OCTETS = 1024 * 1024  # a two-thousandth of the limit; small messages come and go without a word


class OctetsInFlight:
    """How much mail data the whole service holds at the moment, and whether there is room for more.

    told hears of changes here, for processes that count together, once they come to TOLD_OCTETS.
    """

    def __init__(self, maximum_octets: int) -> None:
        self._maximum_octets = maximum_octets
        self._octets = 0
        self._untold_octets = 0
        self.told: Callable[[int], None] | None = None

    def has_room(self, octets: int = 1) -> bool:
        """Whether so many octets more may be held."""
        return self._octets + octets <= self._maximum_octets

    def change_limit(self, maximum_octets: int) -> None:
        """From now on this is the most; what is held stays."""
        self._maximum_octets = maximum_octets

    def add(self, octets: int) -> None:
        """So many octets more are held; less, when negative."""
        self._octets += octets
        if self.told is not None:
            self._untold_octets += octets
            if abs(self._untold_octets) >= TOLD_OCTETS:
                self.told(self._untold_octets)
                self._untold_octets = 0

    def note_elsewhere(self, octets: int) -> None:
        """So many octets more are held by another process; less, when negative."""
        self._octets += octets


@dataclass(frozen=True, slots=True)
class Intake:
    """What deliveries need of the service. message_octets tells the largest message that an account may send."""

    dispatch: Dispatch
    spool_folder: FilePath
    spool_memory_octets: int
    in_flight: OctetsInFlight
    message_octets: Callable[[Account], int]
    new_id: Callable[[], str]


@implementer(IMessageDelivery)
class SubmissionDelivery:
    """Takes the mail of one account in one session, one transaction after the other."""

    def __init__(self, account: Account, intake: Intake) -> None:
        self.account = account
        self._intake = intake
        self._envelope = Envelope("", ())
        self._message: SubmissionMessage | None = None

    def __str__(self) -> str:
        """The account's name, for logs."""
        return self.account.name

    @property
    def dialect(self) -> str:
        """What the account speaks; on a shared listener its login has told."""
        return self.account.dialect

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        """Nothing to write before the mail data: the Received field travels beside it, in Incoming."""
        return b""

    def validateFrom(self, helo: Any, origin: Path) -> Path:
        """A new transaction. Any reverse-path will do: the vendor judges the From field, not the envelope."""
        declared_octets = int(origin.parameters.get("SIZE") or 0)
        if declared_octets > self._intake.message_octets(self.account):
            raise Rejection(TOO_LARGE_FOR_VENDOR)
        own = self.account.own_address
        if own and str(origin) and folded(str(origin)) != folded(own):
            raise Rejection(reply_for(Cause.NOT_OWN_ADDRESS, own, {}))
        ret, envid = origin.parameters.get("RET") or "", origin.parameters.get("ENVID") or ""
        self._envelope = Envelope(str(origin), (), ret.upper(), envid)
        self._message = None
        return origin

    def validateTo(self, user: User) -> Callable[[], SubmissionMessage]:
        """One more recipient; all recipients of a transaction share one message."""
        path = str(user.dest)
        parameters = user.dest.parameters if isinstance(user.dest, Path) else {}
        notify, orcpt = parameters.get("NOTIFY") or "", parameters.get("ORCPT") or ""
        before = self._envelope
        self._envelope = Envelope(
            before.reverse_path,
            (*before.forward_paths, path),
            before.ret,
            before.envid,
            {**before.notify, path: notify.upper()} if notify else before.notify,
            {**before.orcpt, path: orcpt} if orcpt else before.orcpt,
        )
        return lambda: self._shared_message(user.protocol)

    def _shared_message(self, protocol: SubmissionProtocol) -> SubmissionMessage:
        if self._message is None:
            if not self._intake.in_flight.has_room():
                raise Rejection(SPOOL_FULL)
            session = protocol.session
            hop = Hop(session.hello_name, protocol.peer, session.transmission_type, protocol.tls)
            self._message = SubmissionMessage(self.account, self._envelope, protocol.session_id, hop, self._intake)
        return self._message


@implementer(IMailMessage)
class SubmissionMessage:
    """Spools the mail data of one transaction and hands it on when it is complete."""

    def __init__(self, account: Account, envelope: Envelope, session_id: str, hop: Hop, intake: Intake) -> None:
        self.message_id = intake.new_id()
        self._intake = intake
        self._spool = Spool(intake.spool_folder, intake.spool_memory_octets)
        self._held_octets = 0
        self._maximum_octets = intake.message_octets(account)
        self._fault: Reply | None = None
        self._incoming = Incoming(session_id, self.message_id, account, envelope, hop, self._spool)

    def lineReceived(self, line: bytes) -> None:
        """One line, for whoever speaks only Twisted's IMessage."""
        self.chunkReceived(line + b"\r\n")

    def chunkReceived(self, octets: bytes) -> None:
        """The next octets. When there is no room for them, the client is told at the end, and nothing is kept."""
        if self._fault is not None:
            return
        try:
            if not self._intake.in_flight.has_room(len(octets)):
                raise OSError("too much mail data in flight")
            self._hold(len(octets))
            self._spool.write(octets)
        except OSError:
            self._drop(SPOOL_FULL)
        if self._held_octets > self._maximum_octets:
            self._drop(TOO_LARGE_FOR_VENDOR)

    def eomReceived(self) -> Deferred[Reply]:
        """The mail data is complete; fires with the reply to give."""
        return Deferred.fromCoroutine(self._submit())

    def connectionLost(self) -> None:
        """The mail data will never be complete."""
        self._release()

    async def _submit(self) -> Reply:
        try:
            return await self._intake.dispatch.submit(self._incoming, self._fault)
        finally:
            self._release()

    def _drop(self, fault: Reply) -> None:
        self._fault = fault
        self._release()

    def _hold(self, octets: int) -> None:
        self._held_octets += octets
        self._intake.in_flight.add(octets)

    def _release(self) -> None:
        self._spool.close()
        self._hold(-self._held_octets)
