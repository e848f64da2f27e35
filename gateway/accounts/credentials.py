"""SMTP credentials of the gateway's own: a user name and a secret that stand for a vendor's key of the settings.

The secret is made here and shown once. Kept are an Argon2id hash and a SCRAM verifier, and the secret itself only when
asked for, sealed. Checking a password takes a thread, not the reactor.
"""

from __future__ import annotations

import datetime
import re
import secrets
import string
from collections.abc import Awaitable, Callable
from dataclasses import replace

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.accounts.remembered import RememberedAnswers
from gateway.accounts.seal import Seal
from gateway.scram import SALT_OCTETS, make_verifier
from gateway.smtp.mechanisms.exchange import Needs
from gateway.smtp.sasl import MECHANISMS
from gateway.store.credential import Credential
from gateway.store.interface import Store
from gateway.user_names import USER_NAMES, UserNames

STREAM = re.compile(r"[!-~]{1,64}")  # no vendor documents more than 30; a name with a blank could not be asked for
GENERATED_CHARACTERS = 8  # with a prefix, what RelayPost shows of its own; a name is no secret
SECRET_CHARACTERS = 32  # 190 random bits: the hash need not be slow, only one-way
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's least for Argon2id: 19 MiB


def make_credential(
    store: Store,
    user_name: str,
    vendor: str,
    now: datetime.datetime,
    seal: Seal | None = None,
    *,
    names: UserNames = USER_NAMES,
    stream: str = "",
) -> str:
    """Store a new credential and give its secret. ValueError for a bad or taken user name, or a bad stream.

    With a seal the secret is kept too, for the mechanisms that compute with it; else it is kept nowhere. names: the
    vendor's rule. stream binds the credential to one message stream.
    """
    if not names.pattern.fullmatch(user_name):
        raise ValueError(f"a user name has {names.rule}")
    if stream and not STREAM.fullmatch(stream):
        raise ValueError("a message stream has 1 to 64 characters of ASCII and no blank")
    secret = _new_secret()
    credential = replace(_with_secret(user_name, vendor, now, secret, seal), stream=stream)
    store.run(lambda transaction: transaction.add_credential(credential))
    return secret


def new_user_name(names: UserNames) -> str:
    """A user name made up by the vendor's rule."""
    return names.prefix + _random(string.ascii_lowercase + string.digits, GENERATED_CHARACTERS)


def regenerate_credential(store: Store, user_name: str, now: datetime.datetime, seal: Seal | None = None) -> str:
    """Give a credential a new secret in place of the old one. ValueError when there is none, or it is deactivated."""
    old = store.look(lambda transaction: transaction.credential(user_name))
    secret = _new_secret()
    new = _with_secret(old.user_name, old.vendor, now, secret, seal) if old is not None else None
    if new is None or not store.run(lambda transaction: transaction.replace_secret(new)):
        raise ValueError(f"there is no active credential with the user name {user_name}")
    return secret


def _with_secret(user_name: str, vendor: str, now: datetime.datetime, secret: str, seal: Seal | None) -> Credential:
    return Credential(
        user_name,
        HASHER.hash(secret),
        vendor,
        active=True,
        created_at=now.isoformat(timespec="seconds"),
        scram=make_verifier(secret, secrets.token_bytes(SALT_OCTETS)),
        sealed_secret=seal.seal(user_name, secret) if seal is not None else None,
    )


def mechanisms_of(credential: Credential) -> list[str]:
    """The SASL mechanisms that a credential can log in with, as far as it depends on what is kept of it."""
    has = {
        Needs.NAME: True,
        Needs.HASH: True,
        Needs.SCRAM_VERIFIER: credential.scram is not None,
        Needs.SECRET: credential.sealed_secret is not None,
    }
    return [name for name, one in MECHANISMS.items() if has.get(one.needs, False)]


def _new_secret() -> str:
    """Letters and digits only: a secret that begins with "-" is an option to the tools it is typed into."""
    return _random(string.ascii_letters + string.digits, SECRET_CHARACTERS)


def _random(characters: str, count: int) -> str:
    return "".join(secrets.choice(characters) for _ in range(count))


class StoredCredentials:
    """The credentials as a login asks for them; in_thread runs a call that takes long beside the reactor."""

    def __init__(
        self,
        store: Store,
        remembered: RememberedAnswers,
        in_thread: Callable[[Callable[[], object]], Awaitable[object]],
    ) -> None:
        self._store = store
        self._remembered = remembered
        self._in_thread = in_thread

    async def check(self, user_name: str, secret: str) -> Credential | None:
        """The credential; None for a wrong secret, or when it is deactivated. LookupError: no such user name."""
        credential = await self._store.read(lambda transaction: transaction.credential(user_name))
        if credential is None:
            raise LookupError(user_name)
        if not credential.active:
            return None

        async def verify() -> bool:
            return bool(await self._in_thread(lambda: _verify(credential.secret_hash, secret)))

        # The hash is part of the question, so a secret made anew is not judged by an old answer
        good = await self._remembered.ask(credential.secret_hash, secret, question=verify)
        return credential if good else None


def _verify(secret_hash: str, secret: str) -> bool:
    try:
        return HASHER.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False
