"""A request body that can be read at any place in small pieces, without being in memory and without being mapped.

Mapped pages would count as the process's memory. What the octets mean is json_document.py's and json_strings.py's.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from io import BytesIO
from typing import IO

# Large enough that Python's cost per piece does not count, small enough to be written to a socket as it is.
PIECE_OCTETS = 65536


class RequestBody:
    """The octets of a BytesIO, or of a real file through a descriptor of its own.

    So it outlives the file object and even the file's name, and may be read in any thread. The descriptor is closed
    when nothing refers to the body any more.
    """

    def __init__(self, content: IO[bytes]) -> None:
        self._octets = content.getvalue() if isinstance(content, BytesIO) else None
        self.length_octets = 0 if self._octets is None else len(self._octets)
        if self._octets is None:
            content.flush()
            self._descriptor = os.dup(content.fileno())
            weakref.finalize(self, os.close, self._descriptor)
            self.length_octets = os.fstat(self._descriptor).st_size

    @property
    def in_memory(self) -> bool:
        """Whether the octets are in memory already, because they are few."""
        return self._octets is not None

    def read(self, start: int, end: int) -> bytes:
        """The octets from start up to end, fewer where the body ends before. OSError when the disk fails."""
        if self._octets is not None:
            return self._octets[start:end]
        return os.pread(self._descriptor, max(end - start, 0), start)

    def pieces(self) -> Iterator[bytes]:
        """All octets from the beginning."""
        for start in range(0, self.length_octets, PIECE_OCTETS):
            yield self.read(start, min(start + PIECE_OCTETS, self.length_octets))

    def part(self, start: int, end: int) -> RequestBody:
        """The octets from start up to end as a body of their own."""
        return _Part(self, start, end)


class _Part(RequestBody):
    """A part of a body, which it keeps alive."""

    def __init__(self, whole: RequestBody, start: int, end: int) -> None:
        self._whole = whole
        self._start = start
        self.length_octets = end - start

    @property
    def in_memory(self) -> bool:
        return self._whole.in_memory

    def read(self, start: int, end: int) -> bytes:
        return self._whole.read(self._start + start, self._start + min(end, self.length_octets))
