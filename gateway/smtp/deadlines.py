"""How long a session may wait for its client: for the next command, for the mail data, and altogether.

One deadline a session among those of all, begun anew only when it passes, because most are moved long before.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from gateway.deadlines import Deadline, Deadlines
from gateway.outcome import Reply
from gateway.smtp import replies
from gateway.smtp.limits import Limits

CLOSE_SECONDS = 5
"""After our last word the peer has this long to close its side, then the connection is aborted."""


class SessionDeadlines:
    """Calls expire(reply) when the client has let a deadline pass. While the session is busy it waits for us."""

    def __init__(
        self, deadlines: Deadlines, clock: IReactorTime, limits: Limits, expire: Callable[[Reply], None]
    ) -> None:
        self._deadlines = deadlines
        self._clock = clock
        self._limits = limits
        self._expire = expire
        now = clock.seconds()
        self._busy = False
        self._handshaking = False
        self._idle_at = now + limits.idle_seconds
        self._session_at = now + limits.session_seconds
        self._data_at: float | None = None
        self._deadline: Deadline | None = None
        self._look_at = 0.0

    def begin(self) -> None:
        """The session begins. It is looked at early enough for a handshake, which needs no other look then."""
        self._look_in(min(self._limits.idle_seconds, self._limits.handshake_seconds))

    def progress(self) -> None:
        """The client has done something whole: the idle deadline begins anew."""
        self._busy = False
        if not self._handshaking:  # a greeting written before TLS is up is no progress of the client
            self._idle_at = self._clock.seconds() + self._limits.idle_seconds

    def busy(self) -> None:
        """The client waits for us."""
        self._busy = True

    def data_began(self) -> None:
        """Mail data may take its time, but not for ever."""
        self._data_at = self._clock.seconds() + self._limits.data_seconds

    def data_ended(self) -> None:
        """The end of the mail data was seen."""
        self._data_at = None

    def handshake(self) -> None:
        """A TLS handshake is awaited."""
        self._busy = False
        self._handshaking = True
        self._idle_at = self._clock.seconds() + self._limits.handshake_seconds
        if self._look_at > self._idle_at:
            self._look_in(self._limits.handshake_seconds)

    def handshake_done(self) -> None:
        """TLS is up."""
        self._handshaking = False
        self.progress()

    def close(self, abort: Callable[[], None]) -> None:
        """Our last word is said: the client has a while to close, then abort is called."""
        self.stop()
        self._deadline = self._deadlines.begin(CLOSE_SECONDS, abort)

    def end(self) -> None:
        """The connection is gone. We let go of whom we would tell, which has us: the collector comes seldom."""
        self.stop()
        self._expire = _to_nobody

    def stop(self) -> None:
        """The session is over."""
        if self._deadline is not None:
            self._deadline.end()
            self._deadline = None

    def _look_in(self, seconds: float) -> None:
        self.stop()
        self._look_at = self._clock.seconds() + seconds
        self._deadline = self._deadlines.begin(seconds, self._look)

    def _look(self) -> None:
        now = self._clock.seconds()
        idle_at = min(self._idle_at, self._data_at or self._idle_at)
        due_at = min(idle_at, self._session_at)
        if self._busy:
            self._look_in(self._limits.idle_seconds)
        elif due_at > now:
            self._look_in(due_at - now)
        else:
            self.stop()
            self._expire(replies.TIMED_OUT if idle_at <= now else replies.SESSION_TOO_LONG)


def _to_nobody(_: Reply) -> None:
    """Nobody is left to hear of it."""
