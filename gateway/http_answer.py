"""The octets of an HTTP/1.1 answer -> its head and its body (RFC 9112), strictly: what is in doubt is no answer.

No I/O. Texts of faults are our own and quote nothing: a server may repeat in its answer the key it was called with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from twisted.web.http import _ChunkedTransferDecoder, _MalformedChunkedDataError

from gateway.quickly import quickly_made

# Twisted's server takes 16 KiB a line; answers of APIs behind several proxies have some 2 KiB of header fields.
HEAD_OCTETS = 64 * 1024
NO_BODY = frozenset({204, 304})  # RFC 9112 §6.3
SWITCHING_PROTOCOLS = 101
FRAMING = (b"connection", b"transfer-encoding", b"content-length")
BEGINNING = b"HTTP/"

# A line end may be a bare LF, which servers are known to write and RFC 9112 §2.2 allows to read
_HEAD_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: ([^\0\r]*))?")
_FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\0\r]*)")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class BadAnswerError(Exception):
    """What came is no HTTP answer; the text says what is wrong and quotes nothing of it."""


@quickly_made
@dataclass(frozen=True, slots=True)
class AnswerHead:
    """Status line and header fields. minor_version is that of HTTP/1; names are in lower case, in their order."""

    minor_version: int
    status: int
    phrase: bytes
    fields: tuple[tuple[bytes, bytes], ...]

    def framing(self) -> dict[bytes, list[bytes]]:
        """The members of fields that tell where the body ends and what follows (RFC 9110 §5.6.1: all are lists)."""
        members: dict[bytes, list[bytes]] = {}
        for name, value in self.fields:
            if name in FRAMING:
                members.setdefault(name, []).extend([one.strip(b" \t") for one in value.split(b",")])
        return members


class AnswerParser:
    """Reads one answer. has_body is False for the answer to HEAD.

    head is None until it is whole; ended tells that the body is whole; reusable, once it has ended, that the connection
    can carry another request.
    """

    def __init__(self, *, has_body: bool = True) -> None:
        self.head: AnswerHead | None = None
        self.ended = False
        self.reusable = False
        self._has_body = has_body
        self._held = b""
        self._head_octets = 0
        self._body: list[bytes] = []
        self._left_octets: int | None = None  # None: until the connection ends
        self._chunks: _ChunkedTransferDecoder | None = None

    def feed(self, octets: bytes) -> None:
        """Take the next octets. BadAnswerError when they cannot be of an answer, or are more than it."""
        if self.head is None:
            octets = self._feed_head(octets)
        if self.head is None or not octets:
            return
        if self.ended:
            self.reusable = False  # octets that nobody has asked for
        elif self._chunks is not None:
            self._feed_chunks(octets)
        elif self._left_octets is None:
            self._body.append(octets)
        else:
            self._feed_counted(octets, self._left_octets)

    def take(self) -> bytes:
        """The octets of the body that have come since the last call."""
        octets = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        return octets

    def connection_ended(self) -> None:
        """Nothing more will come, which is the end of a body that has neither length nor chunks."""
        if self.head is not None and self._chunks is None and self._left_octets is None:
            self.ended = True

    def _feed_head(self, octets: bytes) -> bytes:
        """What is left behind the head, once that is whole; interim answers are passed over (RFC 9110 §15.2)."""
        block = self._held + octets
        if not block.startswith(BEGINNING[: len(block)]):
            raise BadAnswerError("it does not begin as HTTP does")
        start = max(0, len(self._held) - 2)
        while end := _HEAD_END.search(block, start):
            start = 0
            head = _read_head(block[: end.start()])
            self._head_octets += end.end()
            block = block[end.end() :]
            if head.status >= 200:
                self._held = b""
                self._begin_body(head)
                return block
            if head.status == SWITCHING_PROTOCOLS:
                raise BadAnswerError("it switches to a protocol that was not asked for")
        if self._head_octets + len(block) > HEAD_OCTETS:
            raise BadAnswerError(f"its header section has more than {HEAD_OCTETS} octets")
        self._held = block
        return b""

    def _begin_body(self, head: AnswerHead) -> None:
        """How long the body is (RFC 9112 §6.3), and whether another request may follow (§9.3)."""
        self.head = head
        framing = head.framing()
        connection, codings, lengths = (framing.get(name, []) for name in FRAMING)
        self.reusable = head.minor_version > 0 and b"close" not in map(bytes.lower, connection)
        if not self._has_body or head.status in NO_BODY:
            self.ended = True
        elif codings:
            if [one.lower() for one in codings] != [b"chunked"]:
                raise BadAnswerError("it has a transfer coding that was not asked for")
            self.reusable = self.reusable and not lengths  # §6.1: such a framing is not to be built upon
            self._chunks = _ChunkedTransferDecoder(self._body.append, self._finish_chunks)
        elif lengths:
            self._left_octets = _length(lengths)
            self.ended = self._left_octets == 0
        else:
            self.reusable = False

    def _feed_counted(self, octets: bytes, left_octets: int) -> None:
        if len(octets) > left_octets:
            self.reusable = False
            octets = octets[:left_octets]
        self._body.append(octets)
        self._left_octets = left_octets - len(octets)
        self.ended = not self._left_octets

    def _feed_chunks(self, octets: bytes) -> None:
        assert self._chunks is not None
        try:
            self._chunks.dataReceived(octets)
        except _MalformedChunkedDataError:
            raise BadAnswerError("its chunks are malformed") from None

    def _finish_chunks(self, rest: bytes) -> None:
        self.ended = True
        self.reusable = self.reusable and not rest


def _read_head(block: bytes) -> AnswerHead:
    """A status line and header fields, without the empty line behind them."""
    first, *lines = block.removesuffix(b"\r").replace(b"\r\n", b"\n").split(b"\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise BadAnswerError("its status line is none")
    fields: list[tuple[bytes, bytes]] = []
    for line in lines:
        folded = line[0] in b" \t" and fields  # RFC 9112 §5.2
        field = _FIELD_LINE.fullmatch(b"%b: %b %b" % (*fields.pop(), line.strip(b" \t")) if folded else line)
        if field is None:
            raise BadAnswerError("a line of its header section is no field")
        fields.append((field[1].lower(), field[2].rstrip(b" \t")))
    return AnswerHead(int(status[1]), int(status[2]), status[3] or b"", tuple(fields))


def _length(values: list[bytes]) -> int:
    """Content-Length; several that are equal are one (RFC 9110 §8.6)."""
    if not all(map(_LENGTH.fullmatch, values)) or len(set(map(int, values))) > 1:
        raise BadAnswerError("its Content-Length is no number, or several")
    return int(values[0])
