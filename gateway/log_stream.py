"""Where the lines of the log go: a file, or standard output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

FILE_MODE = 0o640  # the log names addresses of senders and clients
STANDARD_OUTPUT = 1


def is_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether systemd has connected it to the journal: JOURNAL_STREAM has its device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class LogStream:
    """Whole lines, written through at once. OSError when the file cannot be opened; None is standard output."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stream = self._open()
        self.takes_priorities = path is None and is_journal(STANDARD_OUTPUT, os.environ)
        """Whether a "<3>" before a line is read as its priority, and is not seen in it (sd-daemon(3))."""

    def write(self, line: str) -> None:
        """Write a line, or whatever of it the system takes: nobody is left to be told of a log that cannot be written.

        What a full disk has refused is tried again with the next line.
        """
        try:
            self._stream.write(line.encode("utf-8", "backslashreplace"))
            self._stream.flush()
        except OSError:  # suppress() would cost half as much as the write
            pass

    def reopen(self) -> None:
        """Go on in a new file when the old one was renamed. OSError when there can be none; the old one stays then."""
        if self._path is not None:
            old, self._stream = self._stream, self._open()
            with contextlib.suppress(OSError):
                old.close()

    def _open(self) -> IO[bytes]:
        if self._path is None:
            return open(STANDARD_OUTPUT, "wb", closefd=False)
        return open(self._path, "ab", opener=lambda path, flags: os.open(path, flags, FILE_MODE))
