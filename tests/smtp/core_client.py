"""A session core driven without a wire: feeds octets, answers events, collects what a client would read."""

from __future__ import annotations

from gateway.smtp import events
from gateway.smtp.session import Session
from tests.smtp.scripted import ScriptedWorld, session_rules

DATA = b"DATA\r\n"


class CoreClient:
    """messages holds the clean mail data of each message that came to its end, heard every event in order."""

    def __init__(self, listener: str = "starttls", *, enhanced: bool = False, **limits: int) -> None:
        self.rules = session_rules(listener, enhanced=enhanced, **limits)
        self.session = Session(self.rules, secure=listener == "implicit")
        self.world = ScriptedWorld(self.rules)
        self.messages: list[bytes] = []
        self.heard: list[events.Event] = []
        self.wants_tls = False
        self.closed = False
        self.patient = True  # False: events are left unanswered
        self._data: list[bytes] = []
        self.session.greet()

    def feed(self, octets: bytes, piece_octets: int = 0) -> bytes:
        """Send octets, in pieces of that many octets each, and give the reply octets."""
        pieces = [octets]
        if piece_octets:
            pieces = [octets[start : start + piece_octets] for start in range(0, len(octets), piece_octets)]
        return self.feed_pieces(pieces)

    def feed_pieces(self, pieces: list[bytes]) -> bytes:
        said = []
        for piece in pieces:
            self.session.receive(piece)
            self.pump()
            said.append(self.session.take_output())
        return b"".join(said)

    def pump(self) -> None:
        while (event := self.session.next_event()) is not None:
            self.heard.append(event)
            match event:
                case events.Hangup():
                    self.closed = True
                case events.TlsWanted():
                    self.wants_tls = True
                case events.MailData(octets):
                    self._data.append(octets)
                case events.MailDataDropped():
                    self._data.clear()
                case _ if self.patient:
                    self._answer(event)

    def _answer(self, event: events.Event) -> None:
        if isinstance(event, events.MailDataEnd):
            self.messages.append(b"".join(self._data))
            self._data.clear()
        self.session.answer(self.world.reply(event))

    def start_tls(self) -> None:
        assert self.wants_tls, "the server has not asked for TLS"
        self.wants_tls = False
        self.session.tls_started()

    def log_in(self) -> None:
        """From the greeting to the state after AUTH, on a listener that needs no STARTTLS."""
        self.feed(b"EHLO client.test\r\nAUTH PLAIN AGdvb2QAcGFzcw==\r\n")
