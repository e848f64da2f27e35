"""A secret of the settings: never in the file itself, but in a file, the environment, or systemd's credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FORMS = '{ file = "..." }, { env = "..." } or { credential = "..." }'


class SecretError(Exception):
    """A secret is written wrongly or cannot be had; the text never holds the secret."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is. kind is file (a path), env (a variable) or credential (a name in CREDENTIALS_DIRECTORY)."""

    kind: str
    place: str

    @classmethod
    def from_setting(cls, value: object) -> Secret:
        """A secret from its table in the settings."""
        if isinstance(value, str):
            raise SecretError(f"a secret does not belong in this file; expected {FORMS}")
        if not isinstance(value, Mapping) or len(value) != 1:
            raise SecretError(f"expected {FORMS}")
        ((kind, place),) = value.items()
        if kind not in ("file", "env", "credential") or not isinstance(place, str) or not place:
            raise SecretError(f"expected {FORMS}")
        return cls(kind, place)

    def reveal(self) -> str:
        """The secret, without the line end that editors add."""
        secret = (os.environ.get(self.place, "") if self.kind == "env" else self._read()).strip("\r\n ")
        if not secret:
            raise SecretError(f"{self.kind} {self.place} is empty or not there")
        if any(c.isspace() or not c.isprintable() for c in secret):
            raise SecretError(f"{self.kind} {self.place}: expected one line without blanks")
        return secret

    def _read(self) -> str:
        folder = (
            Path(os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials")) if self.kind == "credential" else Path()
        )
        try:
            return (folder / self.place).read_text("utf-8")
        except OSError as error:
            raise SecretError(f"{self.kind} {self.place}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretError(f"{self.kind} {self.place}: not text") from None
