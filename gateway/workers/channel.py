"""One end of the pair of Unix sockets between the main process and a worker: messages, and descriptors of ports."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IFileDescriptorReceiver
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.workers.messages import Message, decode, encode


@implementer(IFileDescriptorReceiver)
class Channel(LineOnlyReceiver):
    """Calls heard for each message, and lost when the other end has gone."""

    transport: Any  # a Unix transport; Twisted's ITransport knows no sendFileDescriptor
    delimiter = b"\n"
    MAX_LENGTH = 16 * 1024 * 1024  # settings have 1 MiB at most, and grow in JSON

    def __init__(self, heard: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._descriptors: list[int] = []

    def tell(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message, and descriptors with it, which have to stay open meanwhile."""
        if self.transport is None or not self.connected:
            return  # the other end has gone, which is told by lost()
        for one in descriptors:
            self.transport.sendFileDescriptor(one)
        self.transport.write(encode(message))

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """They arrive before the message that they belong to."""
        self._descriptors.append(descriptor)

    def take_descriptors(self) -> list[int]:
        """Those that came with this message; whoever takes them closes them."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def lineReceived(self, line: bytes) -> None:
        """One message."""
        self._heard(decode(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other end has gone."""
        for one in self.take_descriptors():
            os.close(one)
        self._lost()


def open_channel(reactor: Any, descriptor: int, heard: Callable[[Message], None], lost: Callable[[], None]) -> Channel:
    """The channel on one of a pair of sockets; the descriptor is closed, for the channel has its own copy."""
    channel = Channel(heard, lost)
    factory = Factory.forProtocol(lambda: channel)
    factory.noisy = False
    os.set_blocking(descriptor, False)
    reactor.adoptStreamConnection(descriptor, socket.AF_UNIX, factory)
    os.close(descriptor)
    return channel
