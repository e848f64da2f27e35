"""The TCP connection of a client, whose replies leave at the end of the reactor's turn, together with those of others.

Twisted's own waits until the reactor finds the socket writable: two calls of epoll_ctl(2), a turn and a dispatch for
each reply, and a socket that nobody has written to takes a reply always. To send in the middle of a turn wakes that
client up on our processor, while the next session's octets wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.tcp import Port, Server


class TurnEnd:
    """Lets connections send at the end of the turn of the reactor in which they were written to."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._connections: list[PromptServer] = []

    def add(self, connection: PromptServer) -> None:
        """It has something to send."""
        if not self._connections:
            self._clock.callLater(0, self._send)
        self._connections.append(connection)

    def _send(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.send()


class PromptServer(Server):
    """Twisted's Server; only what the socket does not take waits for the reactor."""

    def __init__(self, turn_end: TurnEnd, *made_of: Any) -> None:
        super().__init__(*made_of)
        self._turn_end = turn_end
        self._unsent: list[bytes] = []
        self._waiting = False  # for the reactor to find the socket writable

    def startWriting(self) -> None:
        """Wait until the socket takes more."""
        self._waiting = True
        super().startWriting()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def stopWriting(self) -> None:
        """All was sent."""
        self._waiting = False
        super().stopWriting()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def write(self, data: bytes) -> None:
        """Send at the end of the turn. What is written to a connection that is closing is lost, as Twisted has it."""
        if not data or not self.connected or self.disconnecting:
            return
        if not self._unsent:
            self._turn_end.add(self)
        self._unsent.append(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send several pieces at the end of the turn."""
        self.write(b"".join(iovec))

    def send(self) -> None:
        """Send what was written, unless other octets wait already, or the writing is a producer's."""
        data = b"".join(self._unsent)
        self._unsent.clear()
        if not data or not self.connected:
            return
        sent = 0
        if not self._waiting and self.producer is None:
            try:
                sent = self.socket.send(data)
            except OSError:
                sent = 0  # the socket is full, or gone: the reactor meets that again, and does what it always does
        if sent < len(data):
            super().write(data[sent:])  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def loseConnection(self) -> None:
        """Close behind what was written."""
        self.send()
        super().loseConnection()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def abortConnection(self) -> None:
        """Cut off; what was written before is given to the socket yet."""
        self.send()
        super().abortConnection()  # type: ignore[no-untyped-call]  # Twisted's is untyped


def send_promptly(port: IListeningPort) -> None:
    """Let the connections of a TCP port be PromptServers. Others, such as those of a UNIX socket, stay as they are."""
    if isinstance(port, Port) and port.transport is Server:
        turn_end = TurnEnd(cast(IReactorTime, port.reactor))
        port.transport = partial(PromptServer, turn_end)  # type: ignore[assignment]  # Twisted calls it, and no more
