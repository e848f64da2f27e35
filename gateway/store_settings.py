"""The [store] table of the settings: where the store is, and how long it keeps what has ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from gateway.secret import FORMS, Secret

EXPECTED = 'expected "sqlite:" and a path, or "postgresql://USER@HOST/DATABASE"'
IN_THE_FILE = f"a password does not belong in this file; expected password = {FORMS} beside the url"


@dataclass(frozen=True, slots=True)
class Store:
    """Where the queue, the message log and credentials are kept: url is sqlite: and a path, or a postgresql:// URL as
    libpq reads it. Empty: store.sqlite in the state folder. password is PostgreSQL's. key encrypts the secrets in the
    store, 32 octets in base64; without it credentials.key in the state folder does, which is made at first use.

    content_days: how long the content of a message is kept after its end; log_days: how long the rest of it is, and
    events and bounce records.
    """

    url: str = ""
    password: Secret | None = None
    key: Secret | None = None
    content_days: float = 3.0
    log_days: float = 30.0

    def problems(self) -> Iterator[tuple[str, str]]:
        """A URL that we know, without a password in it. What may hold one is not shown."""
        if self.url.startswith(("postgresql://", "postgres://")):
            if problem := _postgresql_problem(self.url):
                yield "url", problem
        elif self.url and not self.url.removeprefix("sqlite:").strip():
            yield "url", EXPECTED
        elif self.url and not self.url.startswith("sqlite:"):
            yield "url", EXPECTED if "@" in self.url else f'{EXPECTED}, got "{self.url}"'
        elif self.password is not None:
            yield "password", "goes with a postgresql:// URL only"


def _postgresql_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        has_password = parts.password is not None
    except ValueError:
        return EXPECTED
    if has_password or names & {"password", "sslpassword"}:
        return IN_THE_FILE
    return EXPECTED if any(c.isspace() or not c.isprintable() for c in url) else None
