"""The mail data of a message that is kept in the store, read for the pages. What reading costs is done in a thread."""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from gateway.console.steering import Steering
from gateway.content.reading import read_content
from gateway.content.spool import Spool
from gateway.message import Base64Source, Content, TextSource

InThread = Callable[[Callable[[], Any]], Deferred[Any]]


class KeptContent:
    """Reads what messages of the log are made of. folder is where large ones are put meanwhile."""

    def __init__(self, steering: Steering, folder: Path, in_thread: InThread) -> None:
        self._steering = steering
        self._folder = folder
        self._in_thread = in_thread

    @asynccontextmanager
    async def opened(self, message_id: str) -> AsyncIterator[Content]:
        """A message, read. LookupError when its content is not kept, UnreadableError when it is no message.

        Its texts and attachments can be read until this is left.
        """
        spool = Spool(self._folder)
        try:
            number = 0
            while (piece := await self._steering.content_piece(message_id, number)) is not None:
                spool.write(piece)
                number += 1
            if not number:
                raise LookupError(message_id)
            yield await self._in_thread(lambda: read_content(spool))
        finally:
            spool.close()

    async def beginning(self, message_id: str, octets: int) -> bytes:
        """The first octets of the mail data. LookupError when it is not kept."""
        piece = await self._steering.content_piece(message_id, 0)
        if piece is None:
            raise LookupError(message_id)
        return piece[:octets]

    async def text(self, source: TextSource, characters: int) -> str:
        """The beginning of a text, and at least one character more than that when there is more."""
        text: str = await self._in_thread(lambda: _beginning(source, characters))
        return text


def _beginning(source: TextSource, characters: int) -> str:
    text = ""
    for piece in source.pieces():
        text += piece
        if len(text) > characters:
            break
    return text


def octets_of(source: TextSource) -> Iterator[bytes]:
    """A text in UTF-8; what is none is replaced."""
    for piece in source.pieces():
        yield piece.encode("utf-8", "replace")


def decoded(source: Base64Source) -> Iterator[bytes]:
    """An attachment's octets."""
    rest = b""
    for piece in source.pieces():
        block = rest + piece
        whole = len(block) - len(block) % 4
        rest = block[whole:]
        yield binascii.a2b_base64(block[:whole])
    yield binascii.a2b_base64(rest)
