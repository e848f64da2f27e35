"""Where the mail data waits while it is received, read and sent: in memory at first, then in an unnamed file.

It knows octets and offsets only; what they mean is for structure.py.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import IO

# Most mail is smaller and never touches the disk; 100 sessions at once still fit in 25 MiB.
MEMORY_OCTETS = 256 * 1024
# A search starts small, because the next delimiter is often near, and grows to what costs least per octet.
FIRST_WINDOW_OCTETS = 16 * 1024
LAST_WINDOW_OCTETS = 256 * 1024


class Spool:
    """Octets that are appended once and read at any offset, also while more are written and from other threads.

    folder is where the file is made once memory_octets are exceeded; None is the system's temporary folder.
    The file has no name, so that it is gone with the process.
    """

    def __init__(self, folder: Path | None, memory_octets: int = MEMORY_OCTETS) -> None:
        self._folder = folder
        self._memory_octets = memory_octets
        self._blocks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._size_octets = 0
        self._lock = threading.Lock()

    @property
    def size_octets(self) -> int:
        """How many octets have been written."""
        return self._size_octets

    @property
    def in_memory(self) -> bool:
        """Whether no file has been needed so far."""
        return self._file is None

    def write(self, octets: bytes) -> None:
        """Append. OSError (disk full, no permission) propagates and leaves the spool as it was before."""
        with self._lock:
            size = self._size_octets + len(octets)
            if self._file is None and size > self._memory_octets:
                self._move_to_file()
            if self._file is None:
                self._blocks.append(octets)
            else:
                _write_at(self._file.fileno(), octets, self._size_octets)
            self._size_octets = size

    def read(self, start: int, stop: int) -> bytes:
        """The octets from start up to, not including, stop; fewer where the spool ends before."""
        file = self._file
        if file is None:
            blocks = self._blocks
            if len(blocks) == 1:  # a block never changes, whatever is written meanwhile
                return blocks[0][start:stop]
            with self._lock:
                if self._file is None:
                    return self._joined()[start:stop]
                file = self._file
        return _read_at(file.fileno(), start, min(stop, self._size_octets))

    def find(self, needle: bytes, start: int, stop: int) -> int:
        """The offset of the first occurrence that lies wholly between start and stop, -1 when there is none."""
        if self._file is None:
            with self._lock:
                if self._file is None:
                    return _found(self._joined(), needle, start, stop)
        stop = min(stop, self._size_octets)
        window = FIRST_WINDOW_OCTETS
        overlap = len(needle) - 1
        while start + len(needle) <= stop:
            hit = _found(self.read(start, min(start + window + overlap, stop)), needle, 0)
            if hit >= 0:
                return start + hit
            start += window
            window = min(window * 4, LAST_WINDOW_OCTETS)
        return -1

    def close(self) -> None:
        """Give memory and file back. May be called again."""
        with self._lock:
            self._blocks = []
            self._size_octets = 0
            if self._file is not None:
                self._file.close()

    def _joined(self) -> bytes:
        """All octets in memory as one block, joined once. The lock is held."""
        if len(self._blocks) != 1:
            self._blocks = [b"".join(self._blocks)]
        return self._blocks[0]

    def _move_to_file(self) -> None:
        """From now on in a file. The lock is held."""
        file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - close() closes it
        try:
            _write_at(file.fileno(), self._joined(), 0)
        except OSError:
            file.close()
            raise
        self._file = file
        self._blocks = []


def _found(block: bytes, needle: bytes, start: int, stop: int | None = None) -> int:
    """block.find(), from where the second octet of the needle stands first: base64 has none of a delimiter's dashes.

    One octet is searched for by memchr(3), at thirty times the speed of several.
    """
    second = block.find(needle[1:2], start + 1, stop)
    return block.find(needle, second - 1, stop) if second > 0 else -1


def _write_at(descriptor: int, octets: bytes, offset: int) -> None:
    """Write all octets; the kernel may take them in several goes."""
    rest = memoryview(octets)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest = rest[written:]
        offset += written


def _read_at(descriptor: int, start: int, stop: int) -> bytes:
    """Read up to stop; fewer octets only where the file ends."""
    if stop <= start:
        return b""
    octets = os.pread(descriptor, stop - start, start)
    if len(octets) == stop - start or not octets:
        return octets
    blocks = [octets]
    start += len(octets)
    while start < stop and (octets := os.pread(descriptor, stop - start, start)):
        blocks.append(octets)
        start += len(octets)
    return b"".join(blocks)
