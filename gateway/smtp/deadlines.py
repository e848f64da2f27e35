"""How long a session may wait for its client: for the next command, for the mail data, and altogether.

One delayed call a session, armed anew only when it fires, because most deadlines are moved long before they pass.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.outcome import Reply
from gateway.smtp import replies
from gateway.smtp.limits import Limits


class Deadlines:
    """Calls expire(reply) when the client has let a deadline pass. While the session is busy it waits for us."""

    def __init__(self, clock: IReactorTime, limits: Limits, expire: Callable[[Reply], None]) -> None:
        self._clock = clock
        self._limits = limits
        self._expire = expire
        now = clock.seconds()
        self._busy = False
        self._handshaking = False
        self._idle_at = now + limits.idle_seconds
        self._session_at = now + limits.session_seconds
        self._data_at: float | None = None
        first_seconds = min(limits.idle_seconds, limits.handshake_seconds)  # so that a handshake needs no other call
        self._call: IDelayedCall | None = clock.callLater(first_seconds, self._look)

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
        if self._call is None or self._call.getTime() > self._idle_at:
            self.stop()
            self._call = self._clock.callLater(self._limits.handshake_seconds, self._look)

    def handshake_done(self) -> None:
        """TLS is up."""
        self._handshaking = False
        self.progress()

    def stop(self) -> None:
        """The session is over."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _look(self) -> None:
        now = self._clock.seconds()
        idle_at = min(self._idle_at, self._data_at or self._idle_at)
        due_at = min(idle_at, self._session_at)
        if self._busy:
            self._call = self._clock.callLater(self._limits.idle_seconds, self._look)
        elif due_at > now:
            self._call = self._clock.callLater(due_at - now, self._look)
        else:
            self._call = None
            self._expire(replies.TIMED_OUT if idle_at <= now else replies.SESSION_TOO_LONG)
