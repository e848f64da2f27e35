"""Twisted's ESMTP with its wire replaced: octets go to the session core, one coroutine a connection answers its events.

Nothing of the stock parser runs. What is kept of Twisted is its shape: the factory, the portal, IMessageDelivery.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.mail.smtp import ESMTP, SMTPServerError, User
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.certificate import certificate_name
from gateway.errors import Rejection
from gateway.events import Failed, SessionCut
from gateway.outcome import Reply, printable
from gateway.smtp import events, replies
from gateway.smtp.channel_binding import channel_bindings
from gateway.smtp.deadlines import Deadlines
from gateway.smtp.interfaces import IMailMessage, SessionHost
from gateway.smtp.logins import Logins
from gateway.smtp.path import Path
from gateway.smtp.session import Session

UNREAD_OCTETS = 64 * 1024
"""What may wait while a reply is pending before the transport is paused: one read of the reactor."""

CLOSE_SECONDS = 5
"""After our last word the peer has this long to close its side, then the connection is aborted."""


@implementer(IHandshakeListener)
class SubmissionProtocol(ESMTP):
    """One client connection. Built by SubmissionFactory, which is its host."""

    transport: Any  # a TCP or TLS transport; Twisted's ITransport knows neither startTLS nor abortConnection

    def __init__(self, host: SessionHost, session: Session, session_id: str, peer: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        self.session = session
        self.session_id = session_id
        self.peer = peer
        self.draining = False
        self._host = host
        self._logins = Logins(host, session_id, peer)
        self._delivery: Any = None
        self._logout: Callable[[], None] | None = None
        self._origin = Path("", {})
        self._recipients: list[Callable[[], Any]] = []
        self._message: Any = None
        self._octets: Deferred[None] | None = None
        self._paused = False
        self._lost = False
        self._closing: IDelayedCall | None = None
        self._deadlines = Deadlines(host.clock, session.rules.limits, self.expire)

    # -- what Twisted calls

    def connectionMade(self) -> None:
        """Greet, and start the conversation."""
        if self.session.secure:
            self._deadlines.handshake()
        Deferred.fromCoroutine(self._converse()).addErrback(self._report_failure)

    def handshakeCompleted(self) -> None:
        """TLS is up, after STARTTLS or from the first octet."""
        self._deadlines.handshake_done()
        connection = self.transport.getHandle()
        self.session.rules = self._logins.secured(connection.get_servername)
        if any(mechanism.endswith("-PLUS") for mechanism in self.session.rules.mechanisms):
            self.session.channel_bindings = channel_bindings(connection)
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            self.session.certificate_name = certificate_name(certificate)

    def dataReceived(self, data: bytes) -> None:
        """Feed the session, and wake the conversation if it waits for octets."""
        self.session.receive(data)
        waiting, self._octets = self._octets, None
        if waiting is not None:
            waiting.callback(None)
        elif self.session.unread_octets > UNREAD_OCTETS and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone. A relay under way is not broken off: its outcome is still worth knowing."""
        self._lost = True
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._deadlines.stop()
        self._drop_message()
        waiting, self._octets = self._octets, None
        if waiting is not None:
            waiting.callback(None)
        self._log_out()
        self._host.session_ended(self)

    def timeoutConnection(self) -> None:
        """Stock timers are not used; the deadlines are ours."""

    # -- what the factory calls

    def drain(self) -> None:
        """Take no further message; hang up as soon as none is in hand."""
        self.draining = True
        if self._octets is not None and not self.session.in_transaction:
            self.expire(replies.SHUTTING_DOWN)

    # -- the conversation

    async def _converse(self) -> None:
        self.session.greet()
        while not self._lost:
            event = self.session.next_event()
            if event is None:
                await self._wait_for_octets()
            elif isinstance(event, events.Hangup):
                break
            else:
                await self._meet(event)
        self._hang_up()

    async def _wait_for_octets(self) -> None:
        if self.draining and not self.session.in_transaction:
            self.session.shut(replies.SHUTTING_DOWN)
            return
        # mail data that has been refused already has to reach its end too, within the same deadline for all of it
        if self._flush() or self._message is not None or self.session.receiving_data:
            self._deadlines.progress()
        if not self.session.in_transaction:
            self._deadlines.data_ended()
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
            if self.session.unread_octets:
                return
        self._octets = Deferred()
        await self._octets

    async def _meet(self, event: events.Event) -> None:
        match event:
            case events.MailData(octets):
                if self._message is not None:
                    self._message.chunkReceived(octets)
            case events.MailDataDropped():
                self._drop_message()
            case events.TlsWanted():
                self._start_tls()
            case _:
                await self._answer(event)

    async def _answer(self, event: events.Event) -> None:
        """Ask the avatar, and tell the client what it says; whatever goes wrong here is temporary to the client."""
        self._deadlines.busy()
        try:
            reply = await self._ask(event)
        except Rejection as rejection:
            reply = rejection.reply
        except SMTPServerError as error:
            reply = Reply(error.code, printable(_text(error.resp)))
        except Exception:
            self._host.report(Failed(self.session_id, traceback.format_exc()))
            reply = replies.LOCAL_ERROR
        if isinstance(event, events.MailDataEnd):
            self._message = None
        if reply is not None:
            self.session.answer(reply)

    def _ask(self, event: events.Event) -> Awaitable[Reply | None]:
        match event:
            case events.LookupWanted():
                return self._look_up(event)
            case events.LoginWanted():
                return self._log_in(event)
            case events.ReversePath():
                return self._validate_reverse_path(event)
            case events.ForwardPath():
                return self._validate_forward_path(event)
            case events.MailDataWanted():
                return self._begin_message()
            case _:
                return self._end_message()

    # -- one method an event

    def _start_tls(self) -> None:
        self._flush()
        self._log_out()
        self.session.tls_started()
        self._deadlines.handshake()
        self.transport.startTLS(self._host.contexts)

    async def _look_up(self, event: events.LookupWanted) -> None:
        self._flush()
        self.session.found(await self._logins.look_up(event.lookup))

    async def _log_in(self, event: events.LoginWanted) -> Reply:
        self._flush()
        self._delivery, self._logout = await self._logins.log_in(event)
        self.session.rules = self._logins.reception.rules_for(self._delivery)
        if self._lost:
            self._log_out()
        return replies.AUTHENTICATED

    async def _validate_reverse_path(self, event: events.ReversePath) -> Reply:
        self._origin = Path(event.address, event.parameters)
        await maybeDeferred(self._delivery.validateFrom, self._hello(), self._origin)
        self._recipients = []
        return replies.REVERSE_PATH_OK

    async def _validate_forward_path(self, event: events.ForwardPath) -> Reply:
        path = Path(event.address, event.parameters)
        user = User(path, self._hello(), self, self._origin)
        user.dest = path  # User makes a plain Address of it, which cannot be written unless it is ASCII
        self._recipients.append(await maybeDeferred(self._delivery.validateTo, user))
        return replies.FORWARD_PATH_OK

    async def _begin_message(self) -> Reply:
        """The avatar makes the same message for each recipient of a transaction, so that the data is kept once."""
        made = {id(message): message for message in [make() for make in self._recipients]}
        (message,) = made.values()
        self._message = IMailMessage(message)
        self._deadlines.data_began()
        return replies.START_MAIL_INPUT

    async def _end_message(self) -> Reply:
        self._deadlines.data_ended()
        self._flush()
        message, self._message = self._message, None
        reply: Reply = await message.eomReceived()
        return reply

    # -- small steps

    def _hello(self) -> tuple[bytes, bytes]:
        return self.session.hello_name.encode(), self.peer.encode()

    def _flush(self) -> bool:
        output = self.session.take_output()
        if output and not self._lost:
            self.transport.write(output)
        return bool(output)

    def _drop_message(self) -> None:
        message, self._message = self._message, None
        if message is not None:
            self._run_safely(message.connectionLost)

    def _log_out(self) -> None:
        logout, self._logout = self._logout, None
        self._delivery = None
        if logout is not None:
            self._run_safely(logout)

    def _run_safely(self, farewell: Callable[[], None]) -> None:
        """A fault in the avatar must not keep the session from ending."""
        try:
            farewell()
        except Exception:
            self._host.report(Failed(self.session_id, traceback.format_exc()))

    def expire(self, reply: Reply) -> None:
        """End the session with this last word; also for who has told the client already, in front of TLS."""
        self.session.shut(reply)
        waiting, self._octets = self._octets, None
        if waiting is not None:
            waiting.callback(None)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        """Say the last word and close; a peer that does not close its side is cut off (Twisted issue 7926)."""
        self._deadlines.stop()
        self._drop_message()
        if self._lost or self._closing is not None:
            return
        output = self.session.take_output()
        last_word = output.rstrip().rpartition(b"\r\n")[2].decode("ascii")
        if not last_word.startswith(f"{replies.CLOSING.code} "):
            self._host.report(SessionCut(self.session_id, self.peer, last_word))
        self.transport.write(output)
        self.transport.loseConnection()
        self._closing = self._host.clock.callLater(CLOSE_SECONDS, self.transport.abortConnection)

    def _report_failure(self, failure: Failure) -> None:
        self.session.shut(replies.LOCAL_ERROR._replace(code=421))
        self._hang_up()
        self._host.report(Failed(self.session_id, failure.getTraceback()))


def _text(response: str | bytes) -> str:
    return response.decode("ascii", "replace") if isinstance(response, bytes) else response
