"""Builders shared by the tests of gateway.content: spools of octets, and messages written with LF for reading ease."""

from __future__ import annotations

from pathlib import Path

from gateway.content.spool import Spool


def spooled(octets: bytes, folder: Path | None = None, memory_octets: int = 1 << 26) -> Spool:
    """A spool that holds these octets."""
    spool = Spool(folder, memory_octets)
    spool.write(octets)
    return spool


def crlf(text: str) -> bytes:
    """A message written with LF, as it comes over the wire."""
    return text.encode("utf-8", "surrogateescape").replace(b"\n", b"\r\n")


class CountingSpool(Spool):
    """A spool that counts how often it is asked and how many octets it gives or searches."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(None, len(octets))
        self.write(octets)
        self.calls = 0
        self.octets = 0

    def read(self, start: int, stop: int) -> bytes:
        found = super().read(start, stop)
        self.calls += 1
        self.octets += len(found)
        return found

    def find(self, needle: bytes, start: int, stop: int) -> int:
        hit = super().find(needle, start, stop)
        self.calls += 1
        self.octets += (hit if hit >= 0 else min(stop, self.size_octets)) - start
        return hit
