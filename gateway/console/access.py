"""Who may do what on the console's port: roles, the tokens in the state folder, and the sessions of browsers.

A token is a file that only the service's user can read; it is made at the first start. A browser shows it once, at the
login page, and gets a cookie; programs show it with every request (RFC 6750 §2.1).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

TOKEN_FILES = {"look": "console-look.token", "steer": "console-steer.token"}
TOKEN_OCTETS = 32  # of randomness: nobody guesses it, so that no login need be slowed down
SESSION_SECONDS = 12 * 3600.0  # a working day; a stolen cookie is good no longer
SESSIONS = 1000  # a few hundred octets each; the oldest makes room


class Role(IntEnum):
    """What somebody may do; a greater one may do what a smaller one may."""

    LOOK = 1
    """Read everything: mail, its story, the credentials' names."""
    STEER = 2
    """Also change things: the queue, credentials."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who made a request. csrf is what forms of this browser session have to repeat; empty for programs."""

    role: Role
    csrf: str = ""


class Access:
    """The tokens and the sessions of one console. is_open: everybody who reaches the port may steer."""

    def __init__(self, tokens: Mapping[str, Role], seconds: Callable[[], float], *, is_open: bool) -> None:
        self._roles = {_digest(token): role for token, role in tokens.items()}
        self._seconds = seconds
        self._sessions: OrderedDict[str, tuple[Visitor, float]] = OrderedDict()
        self.is_open = is_open

    def by_token(self, token: str) -> Visitor | None:
        """The program that shows this token, None for a wrong one. Takes as long for any token."""
        found = None
        for digest, role in self._roles.items():
            if hmac.compare_digest(digest, _digest(token)):
                found = Visitor(role)
        return found

    def by_session(self, name: str) -> Visitor | None:
        """The browser whose cookie says this, None when its session has ended."""
        visitor, until = self._sessions.get(name, (None, 0.0))
        return visitor if until > self._seconds() else None

    def begin_session(self, token: str) -> str | None:
        """Log a browser in: the cookie to give it, None for a wrong token."""
        visitor = self.by_token(token)
        if visitor is None:
            return None
        name = secrets.token_urlsafe(TOKEN_OCTETS)
        self._sessions[name] = Visitor(visitor.role, secrets.token_urlsafe(TOKEN_OCTETS)), self._until()
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return name

    def end_session(self, name: str) -> None:
        """Log a browser out."""
        self._sessions.pop(name, None)

    def _until(self) -> float:
        return self._seconds() + SESSION_SECONDS


OPEN = Access({}, lambda: 0.0, is_open=True)
"""For a console that holds test mail only."""


def read_tokens(folder: Path) -> dict[str, Role]:
    """The tokens of a state folder, made when they are not there. OSError when they cannot be."""
    return {_read_or_make(folder / TOKEN_FILES[role.name.lower()]): role for role in Role}


def read_token(folder: Path, role: Role) -> str:
    """One token, for programs that run as the service's user. OSError when it is not there or not to be read."""
    return (folder / TOKEN_FILES[role.name.lower()]).read_text("ascii").strip()


def _read_or_make(path: Path) -> str:
    """A token file's text; made whole under another name first, so that nobody reads half of it."""
    if not path.exists():
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_urlsafe(TOKEN_OCTETS)}\n")
        try:
            path.hardlink_to(new)
        except FileExistsError:
            pass  # another process was first, and its token counts
        finally:
            new.unlink()
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path}: others may read it; expected mode 0600")
    return path.read_text("ascii").strip()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
