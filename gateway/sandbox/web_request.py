"""The part of Twisted's HTTP request that the sandbox and the console use, with types.

twisted.web.server.Request is it; Twisted does not annotate these methods, so they are stated here once.
"""

from __future__ import annotations

from typing import IO, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.web.http_headers import Headers


class WebRequest(Protocol):
    """One HTTP request and its response. content is a BytesIO when the body is small, else a temporary file."""

    method: bytes
    path: bytes
    args: dict[bytes, list[bytes]]
    content: IO[bytes]
    requestHeaders: Headers

    def getHeader(self, name: str) -> str | None:  # Twisted's name
        """The last value of a request header."""

    def setHeader(self, name: str, value: str) -> None:  # Twisted's name
        """Set a response header, in place of what it was."""

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:  # Twisted's name
        """Set the response's status."""

    def write(self, data: bytes) -> None:
        """Send the head, if it is not sent yet, and a piece of the response body."""

    def loseConnection(self) -> None:  # Twisted's name
        """Close the connection once what was written is sent."""

    def notifyFinish(self) -> Deferred[None]:  # Twisted's name
        """Fires when the response is finished, fails when the client leaves before."""

    def registerProducer(self, producer: IPullProducer, streaming: bool) -> None:  # Twisted's name
        """Let the producer write when there is room."""

    def unregisterProducer(self) -> None:  # Twisted's name
        """The producer has written everything."""
