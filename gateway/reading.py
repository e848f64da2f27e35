"""One reading of the settings: what was in the file, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.settings import Settings, embedded, parse_settings, read_octets


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings with the text of their file; both None stand for the embedded default.

    Workers are given the text, because the file may have changed by the time they would read it.
    """

    settings: Settings
    path: Path | None
    text: str | None

    @classmethod
    def of(cls, path: Path | None) -> Reading:
        """What the file has now. SettingsError when it cannot be used."""
        if path is None:
            return cls(embedded(), None, None)
        octets = read_octets(path)
        return cls(parse_settings(octets, path), path, octets.decode())

    def again(self) -> Reading:
        """What the same file has now."""
        return Reading.of(self.path)

    @property
    def name(self) -> str:
        """What problems with it are told by; empty without a file."""
        return str(self.path) if self.path is not None else ""
