"""The TCP connection of a client, which sends at once what the socket takes.

Twisted's own waits until the reactor finds the socket writable: two calls of epoll_ctl(2), a turn and a dispatch for
each reply, and a socket that nobody has written to takes a reply always.
"""

from __future__ import annotations

from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import Port, Server


class PromptServer(Server):
    """Twisted's Server; only what the socket does not take waits for the reactor."""

    _waiting = False  # for the reactor to find the socket writable

    def startWriting(self) -> None:
        """Wait until the socket takes more."""
        self._waiting = True
        super().startWriting()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def stopWriting(self) -> None:
        """All was sent."""
        self._waiting = False
        super().stopWriting()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def write(self, data: bytes) -> None:
        """Send now, unless something waits already, or the connection is closing, or its writing is a producer's."""
        if self._waiting or not self.connected or self.disconnecting or self.producer is not None or not data:
            super().write(data)  # type: ignore[no-untyped-call]  # Twisted's is untyped
            return
        sent = self.writeSomeData(data)
        if isinstance(sent, Exception):
            sent = 0  # the reactor meets the same error, and ends the connection as it always does
        if sent < len(data):
            super().write(data[sent:])  # type: ignore[no-untyped-call]  # Twisted's is untyped


def send_promptly(port: IListeningPort) -> None:
    """Let the connections of a TCP port be PromptServers. Others, such as those of a UNIX socket, stay as they are."""
    if isinstance(port, Port) and port.transport is Server:
        port.transport = PromptServer
