"""What the store keeps for mechanisms that show no password, as an exchange asks for it.

For a name that has none of it there is something false in its place, made and opened the same way, so that neither the
answer nor its time tells whether the name exists (RFC 5802 §7 lets a server hide that).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.accounts.seal import Seal
from gateway.scram import ScramVerifier
from gateway.smtp.mechanisms.exchange import Lookup, Needs
from gateway.store.sqlite import Credential, SqliteStore

InThread = Callable[[Callable[[], object]], Awaitable[object]]


class StoredProofs:
    """The proofs of the credentials; in_thread runs a blocking call beside the reactor. OSError as the store raises."""

    def __init__(self, store: SqliteStore, seal: Seal, in_thread: InThread) -> None:
        self._store = store
        self._seal = seal
        self._in_thread = in_thread

    async def lookup(self, lookup: Lookup) -> object:
        """The ScramVerifier or the secret of a user name, or a false one."""
        found = self._verifier if lookup.kept is Needs.SCRAM_VERIFIER else self._secret
        return await self._in_thread(lambda: found(lookup.user_name))

    async def credential(self, user_name: str) -> Credential | None:
        """The active credential of that user name; None when there is none."""
        credential = await self._in_thread(lambda: self._active(user_name))
        return credential if isinstance(credential, Credential) else None

    def _verifier(self, user_name: str) -> ScramVerifier:
        false = self._seal.false_verifier(user_name)
        credential = self._active(user_name)
        return credential.scram if credential and credential.scram else false

    def _secret(self, user_name: str) -> str:
        false = self._seal.false_sealed_secret(user_name)
        credential = self._active(user_name)
        sealed = credential.sealed_secret if credential else None
        return self._seal.open(user_name, sealed or false)

    def _active(self, user_name: str) -> Credential | None:
        credential = self._store.credential(user_name)
        return credential if credential is not None and credential.active else None
