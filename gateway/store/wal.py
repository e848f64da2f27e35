"""SQLite's write-ahead log after a crash: whether commits stood in it that can be read no more.

SQLite ends its recovery at the first frame whose checksum is wrong, without a word. Of a crash that is right: the
commit that was being written had not ended. But a commit is written after the one before it has reached the disk: where
several are unreadable, all but the last had been there, and a 250 may have followed.
The formats are those of https://sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

HEADER_OCTETS, FRAME_HEADER_OCTETS = 32, 24
MAGIC = (0x377F0682, 0x377F0683)  # the lowest bit: checksums are of big-endian numbers
PLACE_OF_FRAMES, PLACE_OF_SALTS = 16, 32  # in the index beside the log, in this machine's byte order


def unreadable_commits(path: Path, index: BinaryIO) -> int:
    """How many commits of the log beside this database were not recovered; 0 when all is well.

    To be asked under the write lock, by a connection that has read: then the index, which is the file with "-shm"
    behind its name, holds what was recovered. It must stay open as long as that connection: whoever closes a file gives
    up all locks that the process has on it (fcntl(2)), SQLite's too.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size <= HEADER_OCTETS:
        return 0
    head = index.read(PLACE_OF_SALTS + 8)
    (recovered,) = struct.unpack_from("=I", head, PLACE_OF_FRAMES)
    with log.open("rb") as file:
        header = file.read(HEADER_OCTETS)
        if not _is_header(header):
            return 1  # of all that was in it nothing can be told
        size_octets, salts = struct.unpack(">I", header[8:12])[0], header[16:24]
        if recovered and salts != head[PLACE_OF_SALTS:]:
            return 0  # the index is that of another log: this one was begun a moment ago
        found, number = 0, recovered
        while True:
            file.seek(HEADER_OCTETS + number * (FRAME_HEADER_OCTETS + size_octets))
            frame = file.read(FRAME_HEADER_OCTETS)
            if len(frame) < FRAME_HEADER_OCTETS:
                return found if found > 1 else 0  # a crash leaves one at most
            is_commit = frame[4:8] != bytes(4)
            found += is_commit and frame[8:16] == salts
            number += 1


def _is_header(header: bytes) -> bool:
    """Whether the log's header is one, by its checksum."""
    (magic,) = struct.unpack(">I", header[:4])
    order = ">" if magic & 1 else "<"
    first = second = 0
    numbers = struct.unpack(f"{order}6I", header[:24])
    for one, other in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return magic in MAGIC and struct.pack(">2I", first, second) == header[24:32]
