"""What has been agreed so far in one session, and the moves that change it. All changes of state go through here."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from gateway.outcome import Reply
from gateway.smtp import events, sasl
from gateway.smtp.extensions import SessionRules, Situation
from gateway.smtp.lines import LineBuffer
from gateway.smtp.replies import write_reply


class State(Enum):
    """Where the conversation is."""

    GREETED = auto()
    """No EHLO or HELO yet, or none since STARTTLS (RFC 3207 §4.2)."""
    READY = auto()
    TRANSACTION = auto()
    """A reverse-path is accepted, maybe forward-paths too."""
    MAIL_DATA = auto()
    AUTHENTICATING = auto()
    """A challenge was sent: the next line is a SASL response, no command (RFC 4954 §4)."""
    CLOSED = auto()


class Conversation:
    """The state of a session, without the reading of octets.

    output holds reply octets not yet sent, ready the events not yet taken, exchange the SASL mechanism that runs.
    """

    def __init__(self, rules: SessionRules, *, secure: bool) -> None:
        self.rules = rules
        self.secure = secure
        self.state = State.GREETED
        self.hello_name = ""
        self.extended = False
        self.authenticated = False
        self.lines = LineBuffer()
        self.output: list[bytes] = []
        self.ready: deque[events.Event] = deque()
        self.mechanism = ""
        self.exchange: sasl.Exchange | None = None
        self.recipients = 0
        self.smtputf8 = False
        self._errors = 0
        self._failed_logins = 0

    def write(self, reply: Reply) -> None:
        """Add a reply to the output."""
        self.output.append(write_reply(reply, enhanced=self.rules.enhanced))

    def ask(self, event: events.Event) -> None:
        """Bring an event before the world outside."""
        self.ready.append(event)

    def situation(self) -> Situation:
        """Where the session stands, for the extensions."""
        return Situation(self.rules, self.secure, self.authenticated)

    def greeted(self, hello_name: str, *, extended: bool) -> None:
        """EHLO or HELO: whatever was open is given up (RFC 5321 §4.1.4)."""
        self.hello_name = hello_name
        self.extended = extended
        self.end_transaction()
        self.state = State.READY

    def begin_transaction(self, *, smtputf8: bool) -> None:
        """MAIL is accepted."""
        self.state = State.TRANSACTION
        self.smtputf8 = smtputf8

    def end_transaction(self) -> None:
        """The transaction is over, or given up. Before EHLO and after the hangup there is none."""
        if self.state in (State.TRANSACTION, State.MAIL_DATA):
            self.state = State.READY
        self.recipients = 0
        self.smtputf8 = False

    def stop_authenticating(self) -> None:
        """The SASL exchange is over, however it ended."""
        self.exchange = None
        if self.state is State.AUTHENTICATING:
            self.state = State.READY

    def secured(self) -> None:
        """TLS is up: what was said before counts no more (RFC 3207 §4.2); what is held against the client does."""
        self.end_transaction()
        self.state = State.GREETED
        self.secure = True
        self.authenticated = False
        self.hello_name = ""
        self.extended = False
        self.lines.clear()

    def count_error(self, limit: int, otherwise: Reply) -> None:
        """One more command that had to be refused; at the limit the session ends."""
        self._errors += 1
        if self._errors >= limit:
            self.shut(otherwise)

    def count_failed_login(self, limit: int, otherwise: Reply) -> None:
        """One more login that was refused for good; at the limit the session ends."""
        self._failed_logins += 1
        if self._failed_logins >= limit:
            self.shut(otherwise)

    def forgive_errors(self) -> None:
        """A client that got a message through is a real one."""
        self._errors = 0

    def shut(self, reply: Reply) -> None:
        """Say a last word and hang up; nothing that was asked or received counts any more (RFC 5321 §3.8)."""
        if self.state is not State.CLOSED:
            self.write(reply)
            self.state = State.CLOSED
            self.lines.clear()
            self.ready.clear()
            self.ready.append(events.Hangup())
