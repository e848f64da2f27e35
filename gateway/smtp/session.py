"""The session core: octets in, events and reply octets out. No I/O, no clock, no Twisted.

Theory of operation. Outside feeds receive() and calls next_event() until it gives None, which means: more octets are
needed. Most events stop the session until answer() brings a reply; meanwhile octets wait in order, so replies keep
the order of the commands however these were pipelined (RFC 2920 §3.2). take_output() gives the octets to send.
Whatever comes in, the only results are events, replies and a hangup, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.ids import new_nonce
from gateway.outcome import Reply
from gateway.smtp import authentication, events, replies, transfer, verbs
from gateway.smtp.conversation import OTHER, UNASKED, Conversation, State
from gateway.smtp.extensions import SessionRules
from gateway.smtp.grammar import GrammarError, parse_command
from gateway.smtp.lines import EndlessLineError

TLS_HANDSHAKE_RECORD = b"\x16\x03"  # how a TLS client begins; no command does (RFC 8446 §5.1)

IN_TRANSACTION = (State.TRANSACTION, State.MAIL_DATA, State.CHUNK)
SASL_EVENTS = (events.LoginWanted, events.LookupWanted)
UNANSWERED = frozenset({events.MailData, events.MailDataDropped, events.Hangup})


class Session:
    """One SMTP session, from the greeting to the hangup."""

    def __init__(self, rules: SessionRules, *, secure: bool, new_nonce: Callable[[], str] = new_nonce) -> None:
        self._conversation = Conversation(rules, new_nonce, secure=secure)
        self._pending: events.Event | None = None
        self._commands = 0
        self._heard = False  # nothing yet that was a line

    # -- what outside sees and calls

    @property
    def rules(self) -> SessionRules:
        """What holds for this session; others may take their place once it is known whose it is."""
        return self._conversation.rules

    @rules.setter
    def rules(self, rules: SessionRules) -> None:
        self._conversation.rules = rules

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
    def certificate_name(self) -> str | None:
        """Who the client is by its verified TLS certificate; None without one."""
        return self._conversation.certificate_name

    @certificate_name.setter
    def certificate_name(self, name: str | None) -> None:
        self._conversation.certificate_name = name

    @property
    def channel_bindings(self) -> Mapping[str, bytes]:
        """What TLS gives for SASL's -PLUS mechanisms, by type (RFC 5056); empty without TLS."""
        return self._conversation.channel_bindings

    @channel_bindings.setter
    def channel_bindings(self, bindings: Mapping[str, bytes]) -> None:
        self._conversation.channel_bindings = bindings

    @property
    def in_transaction(self) -> bool:
        """Whether a message is on its way: from the MAIL accepted to the reply behind its data."""
        return self._conversation.state in IN_TRANSACTION

    @property
    def receiving_data(self) -> bool:
        """Whether mail data of a transaction is awaited, be it to keep or to throw away."""
        conversation = self._conversation
        chunk = conversation.state is State.CHUNK and conversation.state_after_chunk is State.TRANSACTION
        return chunk or conversation.state is State.MAIL_DATA

    @property
    def transmission_type(self) -> str:
        """How the client speaks, for the Received field (RFC 3848; with SMTPUTF8: RFC 6531 §4.3)."""
        kind = "ESMTP" if self._conversation.extended else "SMTP"
        if self._conversation.smtputf8:
            kind = "UTF8SMTP"
        return kind + "S" * self.secure + "A" * self._conversation.authenticated

    @property
    def unread_octets(self) -> int:
        """How many received octets wait for their turn."""
        return len(self._conversation.lines)

    @property
    def last_word(self) -> Reply | None:
        """The reply with which the session ended; None while it runs, and when the client has just gone."""
        return self._conversation.last_word

    def counted_replies(self) -> Iterator[tuple[str, int, int]]:
        """What was answered (a verb, or UNASKED, OTHER, END_OF_DATA), the code, and how often."""
        return ((verb, code, times) for (verb, code), times in self._conversation.replies.items())

    def greet(self) -> None:
        """Write the greeting (RFC 5321 §3.1), unless the client was turned away already."""
        if self.state is not State.CLOSED:
            self._conversation.write(Reply(220, f"{self.rules.hostname} ESMTP"))

    def receive(self, octets: bytes) -> None:
        """Take octets from the client. After the hangup they are ignored."""
        conversation = self._conversation
        if conversation.state is not State.CLOSED:
            conversation.lines.append(octets)

    def take_output(self) -> bytes:
        """The reply octets written since the last call."""
        written = self._conversation.output
        output = written[0] if len(written) == 1 else b"".join(written)
        written.clear()
        return output

    def next_event(self) -> events.Event | None:
        """The next event, or None when more octets or an answer are needed first."""
        conversation = self._conversation
        ready = conversation.ready
        while not ready:
            if self._pending is not None or not self._read(conversation):
                return None
        event = ready.popleft()
        if type(event) not in UNANSWERED:
            self._pending = event
        return event

    def answer(self, reply: Reply) -> None:
        """Answer the event that waits; the reply's code decides what becomes of the session."""
        conversation = self._conversation
        event, self._pending = self._pending, None
        if event is None:
            return  # shut while outside was thinking
        if reply.code == 421:
            conversation.shut(reply)
            return
        if isinstance(event, SASL_EVENTS):
            authentication.settle(conversation, reply)
            return
        if conversation.state is not State.CHUNK:  # the reply to BDAT comes behind its chunk
            conversation.write(reply)
        self._settle(event, reply)

    def found(self, kept: object) -> None:
        """Answer LookupWanted: the ScramVerifier, or the secret, which there always is (see Lookup)."""
        if isinstance(self._pending, events.LookupWanted):
            try:
                authentication.found(self._conversation, kept)
            except GrammarError as error:
                self._refuse(error)
            self._pending = None

    def tls_started(self) -> None:
        """Answer TlsWanted: the handshake begins, and octets received from now on are the client's under TLS."""
        self._pending = None
        self._conversation.secured()

    def shut(self, reply: Reply) -> None:
        """End the session from our side (RFC 5321 §3.8)."""
        self._pending = None
        self._conversation.verb = UNASKED
        self._conversation.shut(reply)

    # -- octets to events; each reader tells whether it got anywhere

    def _read(self, conversation: Conversation) -> bool:
        state = conversation.state
        if state is State.MAIL_DATA:
            return transfer.read_data(conversation)
        if state is State.CHUNK:
            return transfer.read_chunk(conversation)
        start = conversation.lines.peek(5)
        if not start and not conversation.lines:
            return False  # as after each command that is not pipelined
        if not self._heard and start.startswith(TLS_HANDSHAKE_RECORD):
            conversation.shut(replies.TLS_ON_PLAIN_PORT)
            return True
        limits = conversation.rules.limits
        in_auth = state is State.AUTHENTICATING or start.upper() == b"AUTH "
        return self._read_line(conversation, limits.auth_response_octets if in_auth else limits.command_octets)

    def _read_line(self, conversation: Conversation, maximum_octets: int) -> bool:
        try:
            line = conversation.lines.next_line(maximum_octets)
            if line is None:
                return False
            self._heard = True
            self._obey_line(conversation, line)
        except EndlessLineError:
            conversation.shut(replies.LINE_TOO_LONG._replace(code=421, enhanced="4.5.0"))
        except GrammarError as error:
            self._refuse(error)
        return True

    def _refuse(self, error: GrammarError) -> None:
        self._heard = True
        self._conversation.stop_authenticating()
        self._conversation.write(error.reply)
        self._conversation.count_error(self.rules.limits.protocol_errors, replies.TOO_MANY_ERRORS)

    def _obey_line(self, conversation: Conversation, line: bytes) -> None:
        self._commands += 1
        if self._commands > conversation.rules.limits.commands_between_messages:
            conversation.shut(replies.TOO_MANY_COMMANDS)
        elif conversation.state is State.AUTHENTICATING:
            authentication.respond(conversation, line)
        else:
            conversation.verb = OTHER  # until it is known for one that we have
            verbs.obey(conversation, parse_command(line))

    # -- answers to state

    def _settle(self, event: events.Event, reply: Reply) -> None:
        conversation = self._conversation
        positive = reply.code < 400
        match event:
            case events.ReversePath() if positive:
                body = (event.parameters.get("BODY") or "").upper()
                conversation.begin_transaction(smtputf8="SMTPUTF8" in event.parameters, body=body)
            case events.ForwardPath() if positive:
                conversation.recipients += 1
            case events.MailDataWanted():
                self._settle_data(reply)
            case events.MailDataEnd():
                conversation.end_transaction()
                if positive:
                    self._commands = 0
                    conversation.forgive_errors()

    def _settle_data(self, reply: Reply) -> None:
        conversation = self._conversation
        conversation.data_open = reply.code < 400
        if conversation.chunks is not None:
            conversation.chunks.rules.fault = None if conversation.data_open else reply
        elif conversation.data_open:
            transfer.begin_data(conversation)
