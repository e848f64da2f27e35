"""What has been agreed so far in one session, and the moves that change it. All changes of state go through here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, auto

from gateway.outcome import Reply
from gateway.smtp import events
from gateway.smtp.extensions import SessionRules, Situation
from gateway.smtp.lines import LineBuffer
from gateway.smtp.maildata import ChunkedData, MailData
from gateway.smtp.mechanisms.exchange import Exchange, SecureChannel
from gateway.smtp.replies import write_reply

UNASKED = "none"
"""What a reply answers that no command has asked for: the greeting, and a last word out of our own mind."""
OTHER = "other"
"""What a reply to no known command answers."""
END_OF_DATA = "end-of-data"
"""What the reply behind the mail data of DATA answers."""


class State(Enum):
    """Where the conversation is."""

    GREETED = auto()
    """No EHLO or HELO yet, or none since STARTTLS (RFC 3207 §4.2)."""
    READY = auto()
    TRANSACTION = auto()
    """A reverse-path is accepted, maybe forward-paths too."""
    MAIL_DATA = auto()
    CHUNK = auto()
    """The octets of a BDAT command are awaited (RFC 3030 §2)."""
    AUTHENTICATING = auto()
    """A challenge was sent: the next line is a SASL response, no command (RFC 4954 §4)."""
    CLOSED = auto()


class Conversation:
    """The state of a session, without the reading of octets.

    certificate_name says who the client is by its verified TLS certificate, for SASL EXTERNAL (RFC 4422 appendix A).
    channel_bindings is what TLS gives for SASL's -PLUS mechanisms, by type, and new_nonce makes the server's nonces.
    output holds reply octets not yet sent, ready the events not yet taken, exchange the SASL mechanism that runs;
    refusal is the reply that waits for the client's response to a refusal challenge.
    data_open: outside has begun to take mail data that has not ended. replies counts them by what they answer, a verb
    or one of UNASKED, OTHER and END_OF_DATA, and by code; last_word is the one that ended the session.
    """

    def __init__(self, rules: SessionRules, new_nonce: Callable[[], str], *, secure: bool) -> None:
        self.rules = rules
        self.secure = secure
        self.state = State.GREETED
        self.hello_name = ""
        self.extended = False
        self.authenticated = False
        self.certificate_name: str | None = None
        self.channel_bindings: Mapping[str, bytes] = {}
        self.new_nonce = new_nonce
        self.lines = LineBuffer()
        self.output: list[bytes] = []
        self.ready: deque[events.Event] = deque()
        self.mechanism = ""
        self.exchange: Exchange | None = None
        self.refusal: Reply | None = None
        self.messages = 0
        self.recipients = 0
        self.smtputf8 = False
        self.body = ""
        self.data: MailData | None = None
        self.chunks: ChunkedData | None = None
        self.state_after_chunk = State.READY
        self.data_open = False
        self.verb = UNASKED
        self.replies: dict[tuple[str, int], int] = {}
        self.last_word: Reply | None = None
        self._errors = 0
        self._failed_logins = 0

    def write(self, reply: Reply) -> None:
        """Add a reply to the output."""
        self.output.append(write_reply(reply, enhanced=self.rules.enhanced))
        counted = (self.verb, reply.code)
        self.replies[counted] = self.replies.get(counted, 0) + 1

    def ask(self, event: events.Event) -> None:
        """Bring an event before the world outside."""
        self.ready.append(event)

    def situation(self) -> Situation:
        """Where the session stands, for the extensions."""
        channel = SecureChannel(self.channel_bindings, self.certificate_name)
        return Situation(self.rules, self.secure, self.authenticated, channel)

    def greeted(self, hello_name: str, *, extended: bool) -> None:
        """EHLO or HELO: whatever was open is given up (RFC 5321 §4.1.4)."""
        self.hello_name = hello_name
        self.extended = extended
        self.end_transaction()
        self.state = State.READY

    def begin_transaction(self, *, smtputf8: bool, body: str) -> None:
        """MAIL is accepted; body is its BODY parameter in upper case, empty for none."""
        self.state = State.TRANSACTION
        self.messages += 1
        self.smtputf8 = smtputf8
        self.body = body

    def end_transaction(self) -> None:
        """The transaction is over, or given up. Before EHLO and after the hangup there is none."""
        if self.state in (State.TRANSACTION, State.MAIL_DATA, State.CHUNK):
            self.state = State.READY
        self.drop_data()
        self.data = None
        self.chunks = None
        self.recipients = 0
        self.smtputf8 = False
        self.body = ""

    def drop_data(self) -> None:
        """Mail data that has begun will come to nothing."""
        if self.data_open:
            self.data_open = False
            self.ask(events.MailDataDropped())

    def stop_authenticating(self) -> None:
        """The SASL exchange is over, however it ended."""
        self.exchange = None
        self.refusal = None
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
            self.last_word = reply
            self.state = State.CLOSED
            self.lines.clear()
            self.ready.clear()
            self.ready.append(events.Hangup())
