"""Cuts the octets of the command phase into lines, within a bound, and never twice over the same octets."""

from __future__ import annotations

from gateway.smtp import replies
from gateway.smtp.grammar import GrammarError

ENDLESS_OCTETS = 64 * 1024
"""A line that has not ended after this many octets never will: a client that speaks no SMTP, or fills memory."""


class EndlessLineError(Exception):
    """The peer sends octets without line ends; the session has to end."""


class LineBuffer:
    """Octets in, lines out. Holds no more than the longest line allowed and what came in one read."""

    def __init__(self) -> None:
        self._octets = b""
        self._position = 0
        self._dropped_octets = 0

    def append(self, octets: bytes) -> None:
        """Take what has been received."""
        self._octets = self._octets[self._position :] + octets
        self._position = 0

    def take_all(self) -> bytes:
        """Everything that is not yet a line; the buffer is empty then."""
        octets = self._octets[self._position :]
        self.clear()
        return octets

    def clear(self) -> None:
        """Forget everything."""
        self._octets = b""
        self._position = 0
        self._dropped_octets = 0

    def __len__(self) -> int:
        return len(self._octets) - self._position

    def peek(self, octets: int) -> bytes:
        """The first octets of the next line, as far as they have come."""
        return self._octets[self._position : self._position + octets]

    def next_line(self, maximum_octets: int) -> bytes | None:
        """The next line without its CRLF, or None until there is one.

        GrammarError for a line that is too long, or that ends in a bare LF (RFC 5321 §2.3.8): it is consumed, and
        nothing of it may be obeyed. EndlessLineError when the line has gone on for ENDLESS_OCTETS.
        """
        end = self._octets.find(b"\n", self._position)
        if end < 0:
            self._drop_excess(maximum_octets)
            return None
        line = self._octets[self._position : end]
        self._position = end + 1
        too_long = self._dropped_octets or len(line) + 1 > maximum_octets
        self._dropped_octets = 0
        if too_long:
            raise GrammarError(replies.LINE_TOO_LONG)
        if not line.endswith(b"\r"):
            raise GrammarError(replies.BARE_LINE_END)
        return line[:-1]

    def _drop_excess(self, maximum_octets: int) -> None:
        if len(self) > maximum_octets:
            self._dropped_octets += len(self)
            self._octets = b""
            self._position = 0
            if self._dropped_octets > ENDLESS_OCTETS:
                raise EndlessLineError
