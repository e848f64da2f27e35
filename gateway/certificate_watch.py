"""Notices when the files of a certificate change, and puts the new one in use for the next handshakes.

A renewal writes a certificate and its key one after the other, so between the two they do not fit. What does not fit is
not taken, and is worth an alarm only when it stays so until the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.certificate import CertificateError, ServerCertificate
from gateway.events import Alarm, CertificateTaken, Reporter
from gateway.tables import SettingsError
from gateway.tls import ServerContexts

LOOK_SECONDS = 2.0  # a look is a stat() for each file; nobody waits longer than this for a renewed certificate


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates of a listener: its own, and those for names that clients ask for."""

    own: ServerCertificate
    by_name: Mapping[str, ServerCertificate]


@dataclass(slots=True)
class Watched:
    """The contexts of one listener, the files that they were made of, and how to read these again."""

    contexts: ServerContexts
    files: Sequence[Path]
    read: Callable[[], Certificates]
    seen: tuple[object, ...] = ()
    bad: tuple[object, ...] = field(default=())

    def __post_init__(self) -> None:
        """What is there now is in use already."""
        self.seen = _state(self.files)


class CertificateWatch:
    """Looks every LOOK_SECONDS while it runs."""

    def __init__(self, clock: Any, report: Reporter) -> None:
        self._clock = clock
        self._report = report
        self._watched: list[Watched] = []
        self._next: Any = None

    def watch(self, watched: Iterable[Watched]) -> None:
        """Look after these from now on, and no longer after others."""
        self._watched = list(watched)
        if self._next is None:
            self._next = self._clock.callLater(LOOK_SECONDS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _look(self) -> None:
        for one in self._watched:
            state = _state(one.files)
            if state != one.seen:
                self._take(one, state)
        self._next = self._clock.callLater(LOOK_SECONDS, self._look)

    def _take(self, watched: Watched, state: tuple[object, ...]) -> None:
        try:
            certificates = watched.read()
            watched.contexts.replace(certificates.own, certificates.by_name)
        except (CertificateError, SettingsError) as error:
            if state == watched.bad:  # as it was at the last look
                watched.seen = state
                self._report(Alarm(f"{error}; the certificate from before stays in use"))
            watched.bad = state
            return
        # Files that changed while they were read are read again at the next look
        watched.seen, watched.bad = state, ()
        for one in (certificates.own, *certificates.by_name.values()):
            until = one.chain[0].not_valid_after_utc.isoformat(timespec="seconds")
            self._report(CertificateTaken(str(one.path), until))


def _state(files: Sequence[Path]) -> tuple[object, ...]:
    """What changes when a file does: it is written, replaced, or another one that a link leads to."""
    return tuple(_stat(file) for file in files)


def _stat(file: Path) -> object:
    try:
        found = file.stat()
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
