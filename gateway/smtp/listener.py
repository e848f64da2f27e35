"""One listener: the factory that builds its sessions, counts them, turns away what is too much, and drains."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.mail.smtp import SMTPFactory

from gateway.deadlines import Deadlines
from gateway.events import Reporter, SessionEnded
from gateway.smtp import replies
from gateway.smtp.endings import ending
from gateway.smtp.interfaces import FailedLogins
from gateway.smtp.limits import Limits
from gateway.smtp.protocol import SubmissionProtocol
from gateway.smtp.reception import Receptions
from gateway.smtp.session import Session

KEPT_ADDRESSES = 1000  # about as many as have a session at a time; to read one costs as much as a command


class SessionCount:
    """How many sessions there are, in all and per address; one count for all listeners of the service.

    opened counts all that there have ever been, of other processes too. told hears of each change here, for processes
    that count together; they pass it on to note_elsewhere().
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._peers: dict[str, int] = {}
        self._total = 0
        self.here = 0
        self.opened = 0
        self.told: Callable[[str, int], None] | None = None

    def enter(self, peer: str) -> bool:
        """Count a session; False when it is one too many, and then it must still leave()."""
        self._change_here(peer, 1)
        return self._total <= self._limits.sessions and self._peers.get(peer, 0) <= self._limits.sessions_per_address

    def change_limits(self, limits: Limits) -> None:
        """From now on these limits hold; who is in stays in."""
        self._limits = limits

    @property
    def open(self) -> int:
        """How many there are now."""
        return self._total

    def leave(self, peer: str) -> None:
        """A session has ended."""
        self._change_here(peer, -1)

    def note_elsewhere(self, peer: str, change: int) -> None:
        """So many more sessions of this address are in another process; fewer, when negative."""
        self._total += change
        self.opened += max(0, change)
        self._peers[peer] = self._peers.get(peer, 0) + change
        if not self._peers[peer]:
            del self._peers[peer]

    def _change_here(self, peer: str, change: int) -> None:
        self.here += change
        self.note_elsewhere(peer, change)
        if self.told is not None:
            self.told(peer, change)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the listeners of a service have in common."""

    clock: IReactorTime
    report: Reporter
    failed_logins: FailedLogins
    sessions: SessionCount
    new_id: Callable[[], str]


class SubmissionFactory(SMTPFactory):
    """Builds the sessions of one listener. implicit_tls: TLS begins with the first octet (RFC 8314 §3.3)."""

    noisy = False

    def __init__(
        self,
        receptions: Receptions,
        contexts: IOpenSSLServerConnectionCreator | None,
        shared: Shared,
        *,
        implicit_tls: bool,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        self.domain = receptions.default.rules.hostname.encode()
        self.portal = receptions.default.portal
        self.receptions = receptions
        self.contexts = contexts
        self.clock = shared.clock
        self.deadlines = Deadlines(shared.clock, whole_seconds=True)
        self.report = shared.report
        self.failed_logins = shared.failed_logins
        self._implicit_tls = implicit_tls
        self._shared = shared
        self._live: set[SubmissionProtocol] = set()
        self._draining = False
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> SubmissionProtocol:
        """A session for a new connection; one too many is built too, to say 421 and hang up."""
        peer = peer_address(getattr(addr, "host", "") or "local")
        session = Session(self.receptions.default.rules, secure=self._implicit_tls)
        protocol = SubmissionProtocol(self, session, self._shared.new_id(), peer)
        protocol.factory = self
        self._live.add(protocol)
        if not self._shared.sessions.enter(peer):
            session.shut(replies.TOO_MANY_SESSIONS)
        elif self._draining:
            session.shut(replies.SHUTTING_DOWN)
        return protocol

    def session_ended(self, session: SubmissionProtocol) -> None:
        """The connection is closed."""
        core = session.session
        self.report(SessionEnded(session.session_id, ending(core.last_word), tuple(core.counted_replies())))
        self._live.discard(session)
        self._shared.sessions.leave(session.peer)
        if not self._live:
            self._tell_the_end()

    def drain(self) -> Deferred[None]:
        """Say 421 to whoever has no message in hand, and to new sessions; fires when the last session has ended."""
        self._draining = True
        for session in list(self._live):
            session.drain()
        return self.ended()

    def ended(self) -> Deferred[None]:
        """Fires when there is no session, at once when there is none now."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if not self._live:
            self._tell_the_end()
        return waiting

    def abort(self) -> None:
        """Cut off what is left."""
        for session in list(self._live):
            session.transport.abortConnection()

    def _tell_the_end(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


@lru_cache(KEPT_ADDRESSES)
def peer_address(host: str) -> str:
    """The address by which a client is counted and logged: IPv4 out of its mapped form, without IPv6 zone."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
