"""What the store keeps for mechanisms that show no password, as an exchange asks for it.

For a name that has none of it there is something false in its place, made and opened the same way, so that neither the
answer nor its time tells whether the name exists (RFC 5802 §7 lets a server hide that).
"""

from __future__ import annotations

from gateway.accounts.seal import Seal
from gateway.scram import ScramVerifier
from gateway.smtp.mechanisms.exchange import Lookup, Needs
from gateway.store.credential import Credential
from gateway.store.interface import Store


class StoredProofs:
    """The proofs of the credentials. OSError as the store raises."""

    def __init__(self, store: Store, seal: Seal) -> None:
        self._store = store
        self._seal = seal

    async def lookup(self, lookup: Lookup) -> object:
        """The ScramVerifier or the secret of a user name, or a false one."""
        credential = await self._active(lookup.user_name)
        found = self._verifier if lookup.kept is Needs.SCRAM_VERIFIER else self._secret
        return found(lookup.user_name, credential)

    async def vendor(self, user_name: str) -> str | None:
        """The vendor entry that an active credential stands for; None when there is no such credential."""
        credential = await self._active(user_name)
        return credential.vendor if credential is not None else None

    def _verifier(self, user_name: str, credential: Credential | None) -> ScramVerifier:
        false = self._seal.false_verifier(user_name)
        return credential.scram if credential and credential.scram else false

    def _secret(self, user_name: str, credential: Credential | None) -> str:
        false = self._seal.false_sealed_secret(user_name)
        sealed = credential.sealed_secret if credential else None
        return self._seal.open(user_name, sealed or false)

    async def _active(self, user_name: str) -> Credential | None:
        credential = await self._store.read(lambda transaction: transaction.credential(user_name))
        return credential if credential is not None and credential.active else None
