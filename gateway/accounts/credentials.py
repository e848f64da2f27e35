"""SMTP credentials of the gateway's own: a user name and a secret that stand for a vendor's key of the settings.

The secret is made here, shown once and kept as an Argon2id hash. Checking one takes a thread, not the reactor.
"""

from __future__ import annotations

import datetime
import re
import secrets
from collections.abc import Awaitable, Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.accounts.remembered import RememberedAnswers
from gateway.store.sqlite import Credential, SqliteStore

USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}\Z")
SECRET_OCTETS = 24  # 192 random bits: the hash need not be slow, only one-way
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's least for Argon2id: 19 MiB


def make_credential(store: SqliteStore, user_name: str, vendor: str, now: datetime.datetime) -> str:
    """Store a new credential and give its secret, which is kept nowhere. ValueError for a bad or taken user name."""
    if not USER_NAME.match(user_name):
        raise ValueError("a user name has 3 to 64 letters, digits and . _ @ + - and begins with a letter or digit")
    secret = secrets.token_urlsafe(SECRET_OCTETS)
    created_at = now.isoformat(timespec="seconds")
    store.add_credential(Credential(user_name, HASHER.hash(secret), vendor, active=True, created_at=created_at))
    return secret


class StoredCredentials:
    """The credentials as a login asks for them; in_thread runs a blocking call beside the reactor."""

    def __init__(
        self,
        store: SqliteStore,
        remembered: RememberedAnswers,
        in_thread: Callable[[Callable[[], object]], Awaitable[object]],
    ) -> None:
        self._store = store
        self._remembered = remembered
        self._in_thread = in_thread

    async def check(self, user_name: str, secret: str) -> str | None:
        """The vendor entry that the credential stands for; None for a wrong secret. LookupError: no such user name."""
        credential = await self._in_thread(lambda: self._store.credential(user_name))
        if not isinstance(credential, Credential):
            raise LookupError(user_name)
        if not credential.active:
            return None

        async def verify() -> bool:
            return bool(await self._in_thread(lambda: _verify(credential.secret_hash, secret)))

        # The hash is part of the question, so a secret made anew is not judged by an old answer
        good = await self._remembered.ask(credential.secret_hash, secret, question=verify)
        return credential.vendor if good else None


def _verify(secret_hash: str, secret: str) -> bool:
    try:
        return HASHER.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False
