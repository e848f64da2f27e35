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
        self._refused = False  # a bare LF was told; what follows up to CRLF is the rest of that line

    def append(self, octets: bytes) -> None:
        """Take what has been received."""
        self._octets = self._octets[self._position :] + octets
        self._position = 0

    def take_all(self) -> bytes:
        """Everything that is not yet a line; the buffer is empty then."""
        octets = self._octets[self._position :]
        self.clear()
        return octets

    def take(self, octets: int) -> bytes:
        """At most so many octets; the rest stays."""
        taken = self._octets[self._position : self._position + octets]
        self._position += len(taken)
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._octets = b""
        self._position = 0
        self._dropped_octets = 0
        self._refused = False

    def __len__(self) -> int:
        return len(self._octets) - self._position

    def peek(self, octets: int) -> bytes:
        """The first octets of the next line, as far as they have come; none in the middle of a refused line."""
        if self._dropped_octets or self._refused:
            return b""
        return self._octets[self._position : self._position + octets]

    def next_line(self, maximum_octets: int) -> bytes | None:
        """The next line without its CRLF, or None until there is one.

        GrammarError for a line that is too long, or that holds a bare LF (RFC 5321 §2.3.8): it is told once, and
        nothing up to the next CRLF may be obeyed. EndlessLineError when the line has gone on for ENDLESS_OCTETS.
        """
        while (end := self._octets.find(b"\n", self._position)) >= 0:
            line = self._octets[self._position : end]
            line_octets = self._dropped_octets + len(line) + 1
            self._position = end + 1
            self._dropped_octets = 0
            told, self._refused = self._refused, not line.endswith(b"\r")
            if line_octets > ENDLESS_OCTETS + 1:
                raise EndlessLineError
            if told:
                continue
            if line_octets > maximum_octets:
                raise GrammarError(replies.LINE_TOO_LONG)
            if self._refused:
                raise GrammarError(replies.BARE_LINE_END)
            return line[:-1]
        self._drop_excess(maximum_octets)
        return None

    def _drop_excess(self, maximum_octets: int) -> None:
        if self._dropped_octets + len(self) > ENDLESS_OCTETS:
            raise EndlessLineError
        if len(self) > maximum_octets:
            self._dropped_octets += len(self) - 1
            self._octets = self._octets[-1:]  # it may be the CR of the line end
            self._position = 0
