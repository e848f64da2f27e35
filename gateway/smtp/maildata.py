"""The mail data of DATA and of BDAT: finds its end, undoes dot-stuffing, and lets only clean lines go on.

Works on blocks, never on lines (RFC 5321 §4.1.1.4, §4.5.2; RFC 3030 §2). Only CRLF.CRLF ends the data of DATA. A fault
is remembered and the rest is thrown away, so that the reply comes after the end and no text is taken for a command.
"""

from __future__ import annotations

from gateway.line_ends import has_bare_line_end
from gateway.outcome import Reply
from gateway.smtp import replies

END = b"\r\n.\r\n"


class TextRules:
    """What mail data must keep to, whatever frames it. fault is the reply to give, once a rule is broken.

    binary: BODY=BINARYMIME, so that only the size counts (RFC 3030 §3).
    """

    def __init__(self, maximum_octets: int, maximum_line_octets: int, *, binary: bool = False) -> None:
        self.fault: Reply | None = None
        self.size_octets = 0
        self._maximum_octets = maximum_octets
        self._maximum_line_octets = maximum_line_octets
        self._lesser_faults = (replies.TOO_LARGE, replies.text_line_too_long(maximum_line_octets))
        self._binary = binary
        self._open_line_octets = 0

    def check_lines(self, text: bytes) -> None:
        """Text that does not end between the CR and the LF of a line end.

        The graver fault wins over the earlier one, so that the reply is the same in whatever pieces the text comes.
        """
        if self._binary:
            return
        if self.fault is None:
            self.fault = self._line_end_fault(text) or self._line_length_fault(text)
        elif self.fault is replies.NUL_IN_DATA or self.fault in self._lesser_faults:
            graver = self._line_end_fault(text) or self.fault
            if self.fault is replies.TOO_LARGE and graver is self.fault:
                graver = self._line_length_fault(text) or self.fault
            self.fault = graver

    def count(self, octets: int) -> None:
        """So many octets more of the message, as it is stored."""
        self.size_octets += octets
        if self.fault is None and self.size_octets > self._maximum_octets:
            self.fault = replies.TOO_LARGE

    def _line_end_fault(self, text: bytes) -> Reply | None:
        if has_bare_line_end(text):
            return replies.BARE_LINE_END_IN_DATA
        return replies.NUL_IN_DATA if b"\0" in text else None

    def _line_length_fault(self, text: bytes) -> Reply | None:
        """Hop from line end to line end, as far apart as the limit allows, instead of looking at every line."""
        limit = self._maximum_line_octets
        position = 0
        room = limit - self._open_line_octets
        while len(text) - position > room:
            line_end = text.rfind(b"\n", position, position + room)
            if line_end < 0:
                return replies.text_line_too_long(limit)
            position = line_end + 1
            room = limit
        last_line_end = text.rfind(b"\n", position)
        self._open_line_octets = (
            len(text) - position + limit - room if last_line_end < 0 else len(text) - last_line_end - 1
        )
        return None


class MailData:
    """The scanner of the data of one DATA command.

    rest is None until the end mark was seen, then the octets behind it.
    """

    def __init__(self, rules: TextRules) -> None:
        self.rules = rules
        self.rest: bytes | None = None
        self._held = b"\r\n"  # the end mark may come first: the data stands behind the CRLF of the DATA line
        self._virtual_octets = 2  # of what is held, never sent by the client as part of the text

    def feed(self, octets: bytes) -> bytes:
        """Take the next octets, give the clean text that is certain by now."""
        block = self._held + octets
        # Blocks of base64 hold no dot at all: neither an end mark nor a stuffed dot is in them
        end = block.find(END) if b"." in block else -1
        if end >= 0:
            self.rest = block[end + len(END) :]
            text = block[: end + 2]
            self._held = b""
        else:
            keep = _held_octets(block)
            text = block[: len(block) - keep]
            self._held = block[len(block) - keep :]
        return self._checked(text)

    def _checked(self, text: bytes) -> bytes:
        self.rules.check_lines(text)
        if b"." in text and b"\r\n." in text:  # sixty times as fast where there is none, as in base64
            text = text.replace(b"\r\n.", b"\r\n")
        if self._virtual_octets and text:
            text = text[self._virtual_octets :]
            self._virtual_octets = 0
        self.rules.count(len(text))
        return b"" if self.rules.fault else text


class ChunkedData:
    """The data of the BDAT commands of one transaction: octets by count, no dots (RFC 3030 §2).

    left_octets is what the chunk at hand still lacks.
    """

    def __init__(self, rules: TextRules) -> None:
        self.rules = rules
        self.left_octets = 0
        self.last = False
        self._held = b""

    def begin(self, octets: int, *, last: bool) -> None:
        """A BDAT command has announced a chunk."""
        self.left_octets = octets
        self.last = last

    def feed(self, octets: bytes) -> bytes:
        """Take octets of the chunk, give the clean text that is certain by now."""
        self.left_octets -= len(octets)
        text = self._held + octets
        self._held = b""
        if text.endswith(b"\r") and not (self.last and not self.left_octets):
            text, self._held = text[:-1], b"\r"  # its LF may be the first octet of what follows
        self.rules.check_lines(text)
        self.rules.count(len(text))
        return b"" if self.rules.fault else text


def _held_octets(block: bytes) -> int:
    """How many octets at the end of the block may be the beginning of the end mark."""
    for octets in (4, 3, 2, 1):
        if block.endswith(END[:octets]):
            return octets
    return 0
