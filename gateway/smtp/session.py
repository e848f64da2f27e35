"""The session core: octets in, events and reply octets out. No I/O, no clock, no Twisted.

Theory of operation. Outside feeds receive() and calls next_event() until it gives None, which means: more octets are
needed. Most events stop the session until answer() brings a reply; meanwhile octets wait in order, so replies keep
the order of the commands however these were pipelined (RFC 2920 §3.2). take_output() gives the octets to send.
Whatever comes in, the only results are events, replies and a hangup, never an exception.
"""

from __future__ import annotations

from gateway.outcome import Reply
from gateway.smtp import authentication, events, replies, verbs
from gateway.smtp.conversation import Conversation, State
from gateway.smtp.extensions import SessionRules
from gateway.smtp.grammar import GrammarError, parse_command
from gateway.smtp.lines import EndlessLineError
from gateway.smtp.maildata import MailData

TLS_HANDSHAKE_RECORD = b"\x16\x03"  # how a TLS client begins; no command does (RFC 8446 §5.1)


class Session:
    """One SMTP session, from the greeting to the hangup."""

    def __init__(self, rules: SessionRules, *, secure: bool) -> None:
        self.rules = rules
        self._conversation = Conversation(rules, secure=secure)
        self._pending: events.Event | None = None
        self._data: MailData | None = None
        self._data_dropped = False
        self._commands = 0

    # -- what outside sees and calls

    @property
    def hello_name(self) -> str:
        """What the client called itself in EHLO or HELO."""
        return self._conversation.hello_name

    @property
    def state(self) -> State:
        """Where the conversation is."""
        return self._conversation.state

    @property
    def secure(self) -> bool:
        """Whether TLS is up."""
        return self._conversation.secure

    @property
    def in_transaction(self) -> bool:
        """Whether a message is on its way: from the MAIL accepted to the reply behind its data."""
        return self.state in (State.TRANSACTION, State.MAIL_DATA)

    @property
    def unread_octets(self) -> int:
        """How many received octets wait for their turn."""
        return len(self._conversation.lines)

    def greet(self) -> None:
        """Write the greeting (RFC 5321 §3.1), unless the client was turned away already."""
        if self.state is not State.CLOSED:
            self._conversation.write(Reply(220, f"{self.rules.hostname} ESMTP"))

    def receive(self, octets: bytes) -> None:
        """Take octets from the client. After the hangup they are ignored."""
        if self.state is not State.CLOSED:
            self._conversation.lines.append(octets)

    def take_output(self) -> bytes:
        """The reply octets written since the last call."""
        output = b"".join(self._conversation.output)
        self._conversation.output.clear()
        return output

    def next_event(self) -> events.Event | None:
        """The next event, or None when more octets or an answer are needed first."""
        ready = self._conversation.ready
        while not ready:
            if self._pending is not None or self.state is State.CLOSED:
                return None
            if not (self._read_mail_data() if self.state is State.MAIL_DATA else self._read_line()):
                return None
        event = ready.popleft()
        if not isinstance(event, events.MailData | events.MailDataDropped | events.Hangup):
            self._pending = event
        return event

    def answer(self, reply: Reply) -> None:
        """Answer the event that waits; the reply's code decides what becomes of the session."""
        event, self._pending = self._pending, None
        if event is None or self.state is State.CLOSED:
            return  # shut while outside was thinking
        if reply.code == 421:
            self.shut(reply)
            return
        self._conversation.write(reply)
        self._settle(event, reply)

    def tls_started(self) -> None:
        """Answer TlsWanted: the handshake begins, and octets received from now on are the client's under TLS."""
        self._pending = None
        self._conversation.secured()

    def shut(self, reply: Reply) -> None:
        """End the session from our side (RFC 5321 §3.8)."""
        self._pending = None
        self._conversation.shut(reply)

    # -- octets to events; each reader tells whether it got anywhere

    def _read_line(self) -> bool:
        conversation = self._conversation
        if conversation.lines.peek(2) == TLS_HANDSHAKE_RECORD:
            conversation.shut(replies.TLS_ON_PLAIN_PORT)
            return True
        try:
            line = conversation.lines.next_line(self._line_limit())
            if line is None:
                return False
            self._obey_line(line)
        except EndlessLineError:
            conversation.shut(replies.LINE_TOO_LONG._replace(code=421))
        except GrammarError as error:
            conversation.stop_authenticating()
            conversation.write(error.reply)
            conversation.count_error(self.rules.limits.protocol_errors, replies.TOO_MANY_ERRORS)
        return True

    def _line_limit(self) -> int:
        limits = self.rules.limits
        in_auth = self.state is State.AUTHENTICATING or self._conversation.lines.peek(5).upper() == b"AUTH "
        return limits.auth_response_octets if in_auth else limits.command_octets

    def _obey_line(self, line: bytes) -> None:
        self._commands += 1
        if self._commands > self.rules.limits.commands_between_messages:
            self._conversation.shut(replies.TOO_MANY_COMMANDS)
        elif self.state is State.AUTHENTICATING:
            authentication.respond(self._conversation, line)
        else:
            verbs.obey(self._conversation, parse_command(line))

    def _read_mail_data(self) -> bool:
        octets = self._conversation.lines.take_all()
        if self._data is None or not octets:
            return False
        text = self._data.feed(octets)
        if text:
            self._conversation.ask(events.MailData(text))
        if self._data.fault and not self._data_dropped:
            self._data_dropped = True
            self._conversation.ask(events.MailDataDropped())
        if self._data.rest is not None:
            self._end_mail_data(self._data.rest, self._data.fault)
        return True

    def _end_mail_data(self, rest: bytes, fault: Reply | None) -> None:
        self._data = None
        self._conversation.lines.append(rest)
        if fault is None:
            self._conversation.ask(events.MailDataEnd())
        else:
            self._conversation.write(fault)
            self._conversation.end_transaction()

    # -- answers to state

    def _settle(self, event: events.Event, reply: Reply) -> None:
        conversation, limits = self._conversation, self.rules.limits
        positive = reply.code < 400
        match event:
            case events.LoginWanted():
                conversation.authenticated = positive
                if reply.code >= 500:
                    conversation.count_failed_login(limits.failed_logins, replies.TOO_MANY_LOGINS)
            case events.ReversePath() if positive:
                conversation.begin_transaction(smtputf8="SMTPUTF8" in event.parameters)
            case events.ForwardPath() if positive:
                conversation.recipients += 1
            case events.MailDataWanted() if positive:
                self._data = MailData(limits.message_octets, limits.text_line_octets)
                self._data_dropped = False
                conversation.state = State.MAIL_DATA
            case events.MailDataEnd():
                conversation.end_transaction()
                if positive:
                    self._commands = 0
                    conversation.forgive_errors()
