"""Remembers which recipients of a message the vendor has taken, when it has not taken all of them.

In direct mode the client gets one reply and sends the whole message again; then only the rest may be attempted.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator

from gateway.content.spool import Spool
from gateway.message import Envelope

KEPT_SECONDS = 5 * 24 * 3600  # how long queues customarily retry (RFC 5321 §4.5.4.1)
MESSAGES = 10_000  # about 5 MB; partial success is rare, so this is weeks of it
PIECE_OCTETS = 256 * 1024


class TakenPaths:
    """The forward-paths already served, for each message of each account.

    told hears of each change here, for other processes, which have it by note(): no paths when a message is forgotten.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.told: Callable[[bytes, frozenset[str]], None] | None = None
        self._seconds = seconds
        self._taken: OrderedDict[bytes, tuple[frozenset[str], float]] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether anything is remembered: digests need not be made otherwise."""
        return bool(self._taken)

    def of(self, digest: bytes) -> frozenset[str]:
        """The forward-paths that the vendor has taken of this message."""
        paths, until = self._taken.get(digest, (frozenset(), 0.0))
        return paths if until > self._seconds() else frozenset()

    def add(self, digest: bytes, paths: frozenset[str]) -> None:
        """The vendor has taken these too."""
        self.note(digest, paths)
        if self.told is not None:
            self.told(digest, paths)

    def forget(self, digest: bytes) -> None:
        """Everybody has been served."""
        self.add(digest, frozenset())

    def note(self, digest: bytes, paths: frozenset[str], age_seconds: float = 0.0) -> None:
        """These too were taken, here or in another process; no paths when everybody has been served."""
        if not paths:
            self._taken.pop(digest, None)
            return
        self._taken[digest] = (self.of(digest) | paths, self._seconds() + KEPT_SECONDS - age_seconds)
        self._taken.move_to_end(digest)
        if len(self._taken) > MESSAGES:
            self._taken.popitem(last=False)

    def copies(self) -> Iterator[tuple[bytes, frozenset[str], float]]:
        """All that is remembered, as note() takes it, for another process."""
        for digest, (paths, until) in self._taken.items():
            yield digest, paths, KEPT_SECONDS - (until - self._seconds())


def message_digest(account: str, envelope: Envelope, spool: Spool) -> bytes:
    """What makes two submissions the same message. Reads the whole spool: in a thread for a large one."""
    digest = hashlib.sha256("\0".join((account, envelope.reverse_path, *envelope.forward_paths, "")).encode())
    for start in range(0, spool.size_octets, PIECE_OCTETS):
        digest.update(spool.read(start, start + PIECE_OCTETS))
    return digest.digest()
