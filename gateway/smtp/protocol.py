"""Twisted's ESMTP with its wire replaced: octets go to the session core, their events are answered in order.

Nothing of the stock parser runs. What is kept of Twisted is its shape: the factory, the portal, IMessageDelivery.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.mail.smtp import ESMTP
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.certificate import certificate_name
from gateway.events import Failed, SessionCut
from gateway.outcome import Reply
from gateway.smtp import events, replies
from gateway.smtp.channel_binding import channel_bindings
from gateway.smtp.deadlines import SessionDeadlines
from gateway.smtp.interfaces import SessionHost
from gateway.smtp.logins import Logins
from gateway.smtp.session import Session
from gateway.smtp.tls_transport import TlsTransport
from gateway.smtp.transactions import Transactions, refusal
from gateway.tls import session_tls

UNREAD_OCTETS = 64 * 1024  # what may wait while a reply is pending, then the transport is paused: one read of it

Answer: TypeAlias = Reply | Awaitable[Reply | None]
Ask: TypeAlias = "Callable[[SubmissionProtocol, Any], Answer]"


@implementer(IHandshakeListener)
class SubmissionProtocol(ESMTP):
    """One client connection. Built by SubmissionFactory, which is its host."""

    transport: Any  # a TCP transport or a TlsTransport; Twisted's ITransport knows no abortConnection

    def __init__(self, host: SessionHost, session: Session, session_id: str, peer: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        self.session, self.session_id, self.peer = session, session_id, peer
        self.tls = ""  # in words, once it is up
        self.draining = self._working = self._paused = self._lost = False
        self._asked = self._closing = False  # an answer is being waited for; our last word is said
        self._host = host
        self._logins = Logins(host, session_id, peer)
        self._transactions: Any = None  # Transactions once somebody has logged in; the session asks for none before
        self._logout: Callable[[], None] | None = None
        self._message: Any = None
        self._deadlines = SessionDeadlines(host.deadlines, host.clock, session.rules.limits, self.expire)

    # -- what Twisted calls

    def connectionMade(self) -> None:
        """Greet, and start the conversation."""
        self._deadlines.begin()
        if self.session.secure:
            self._deadlines.handshake()
        self.session.greet()
        self._work()

    def handshakeCompleted(self) -> None:
        """TLS is up, after STARTTLS or from the first octet."""
        self._deadlines.handshake_done()
        connection = self.transport.getHandle()
        self.tls = session_tls(connection)
        self.session.rules = self._logins.secured(connection.get_servername)
        if any(mechanism.endswith("-PLUS") for mechanism in self.session.rules.mechanisms):
            self.session.channel_bindings = channel_bindings(connection)
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            self.session.certificate_name = certificate_name(certificate)

    def dataReceived(self, data: bytes) -> None:
        """Feed the session, and answer what it makes of it, unless an answer is being waited for."""
        if self._closing:
            return
        self.session.receive(data)
        if not self._asked:
            self._work()
        elif self.session.unread_octets > UNREAD_OCTETS and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone. A relay under way is not broken off: its outcome is still worth knowing."""
        self._lost = True
        self._deadlines.end()
        self._drop_message()
        self._log_out()
        self._host.session_ended(self)

    def timeoutConnection(self) -> None:
        """Stock timers are not used; the deadlines are ours."""

    # -- what the factory calls

    def drain(self) -> None:
        """Take no further message; hang up as soon as none is in hand."""
        self.draining = True
        if not self._asked and not self.session.in_transaction:
            self.expire(replies.SHUTTING_DOWN)

    # -- the conversation

    def _work(self) -> None:
        """Meet events until more octets are needed, or an answer. An answer that comes meanwhile goes on in the loop,
        so that however much is pipelined, nothing nests."""
        if self._working:
            return
        self._working = True
        try:
            self._converse()
        except Exception:
            self._report_failure(traceback.format_exc())
        finally:
            self._working = False

    def _converse(self) -> None:
        while not self._asked:
            event = None if self._lost else self.session.next_event()
            if self._lost or type(event) is events.Hangup:
                self._hang_up()
                return
            if event is not None:
                self._meet(event)
            elif self._rest():
                return

    def _rest(self) -> bool:
        """All that came is worked off: send what there is to say. False when there is something to do yet."""
        session = self.session
        in_transaction = session.in_transaction
        if self.draining and not in_transaction:
            session.shut(replies.SHUTTING_DOWN)
            return False
        # mail data that has been refused already has to reach its end too, within the same deadline for all of it
        if self._flush() or self._message is not None or session.receiving_data:
            self._deadlines.progress()
        if not in_transaction:
            self._deadlines.data_ended()
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
            return not session.unread_octets
        return True

    def _meet(self, event: events.Event) -> None:
        ask = ASKED.get(type(event))
        if ask is not None:
            self._answer(event, ask)
        elif isinstance(event, events.MailData):
            if self._message is not None:
                self._message.chunkReceived(event.octets)
        elif isinstance(event, events.MailDataDropped):
            self._drop_message()
        else:
            self._start_tls()

    def _answer(self, event: events.Event, ask: Ask) -> None:
        """Ask the avatar, and tell the client what it says, at once or when its Deferred fires."""
        answer: Answer
        try:
            answer = ask(self, event)
        except Exception as fault:
            answer = self._reply_to(fault)
        if isinstance(answer, Reply):
            self.session.answer(answer)
            return
        self._asked = True
        self._deadlines.busy()
        Deferred.fromCoroutine(self._answer_later(answer)).addErrback(
            lambda failure: self._report_failure(failure.getTraceback())
        )

    async def _answer_later(self, answer: Awaitable[Reply | None]) -> None:
        try:
            reply = await answer
        except Exception as fault:
            reply = self._reply_to(fault)
        if reply is not None:
            self.session.answer(reply)
        self._asked = False
        self._work()

    def _reply_to(self, fault: Exception) -> Reply:
        """Whatever goes wrong is temporary to the client, unless it says otherwise itself."""
        reply = refusal(fault)
        if reply is not None:
            return reply
        self._host.report(Failed(self.session_id, "".join(traceback.format_exception(fault))))
        return replies.LOCAL_ERROR

    # -- one method an event

    def _begin(self, event: events.ReversePath) -> Answer:
        answer: Answer = self._transactions.begin(event, self.session.hello_name)
        return answer

    def _add(self, event: events.ForwardPath) -> Answer:
        answer: Answer = self._transactions.add(event)
        return answer

    def _make_message(self, _: events.MailDataWanted) -> Reply:
        self._message = self._transactions.make_message()
        self._deadlines.data_began()
        return replies.START_MAIL_INPUT

    def _end_message(self, _: events.MailDataEnd) -> Awaitable[Reply]:
        message, self._message = self._message, None
        self._deadlines.data_ended()
        self._flush()
        answer: Awaitable[Reply] = message.eomReceived()
        return answer

    def _start_tls(self) -> None:
        self._flush()
        self._log_out()
        self.session.tls_started()
        self._deadlines.handshake()
        TlsTransport(self._host.contexts, self).take_over(self.transport)

    async def _look_up(self, event: events.LookupWanted) -> None:
        self._flush()
        self.session.found(await self._logins.look_up(event.lookup))

    async def _log_in(self, event: events.LoginWanted) -> Reply:
        self._flush()
        delivery, self._logout = await self._logins.log_in(event)
        self.session.rules = self._logins.reception.rules_for(delivery)
        self._transactions = Transactions(delivery, self, self.peer)
        if self._lost:
            self._log_out()
        return replies.AUTHENTICATED

    # -- small steps

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
        self._transactions = None
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
        self._hang_up()

    def _hang_up(self) -> None:
        """Say the last word and close; a peer that does not close its side is cut off (Twisted issue 7926)."""
        self._drop_message()
        if self._lost or self._closing:
            return
        output = self.session.take_output()
        last_word = output.rstrip().rpartition(b"\r\n")[2].decode("ascii")
        if not last_word.startswith(f"{replies.CLOSING.code} "):
            self._host.report(SessionCut(self.session_id, self.peer, last_word))
        self.transport.write(output)
        self.transport.loseConnection()
        self._closing = True
        self._deadlines.close(self.transport.abortConnection)

    def _report_failure(self, trace: str) -> None:
        self.session.shut(replies.LOCAL_ERROR._replace(code=421))
        self._hang_up()
        self._host.report(Failed(self.session_id, trace))


ASKED: Mapping[type[events.Event], Ask] = {
    events.ReversePath: SubmissionProtocol._begin,
    events.ForwardPath: SubmissionProtocol._add,
    events.MailDataWanted: SubmissionProtocol._make_message,
    events.MailDataEnd: SubmissionProtocol._end_message,
    events.LoginWanted: SubmissionProtocol._log_in,
    events.LookupWanted: SubmissionProtocol._look_up,
}
"""What the avatar or the portal is asked, by event."""
