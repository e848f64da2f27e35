"""Makes, renews and deactivates credentials for the console's pages and the control API; no web in it.

A secret is given back once and kept nowhere but in the forms that logins need.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.accounts.credentials import make_credential, new_user_name, regenerate_credential
from gateway.accounts.seal import Seal
from gateway.console.kept_content import InThread
from gateway.store.credential import Credential
from gateway.store.interface import Store
from gateway.user_names import UserNames


@dataclass(frozen=True, slots=True)
class CredentialParts:
    """vendors are the entries of the settings, with their rules for user names; reserved are user names, in lower case,
    that dialects give to whoever shows an API key. seal gives what secrets are sealed with, for the
    mechanisms that need them; it blocks."""

    store: Store
    vendors: Mapping[str, UserNames]
    reserved: frozenset[str]
    seal: Callable[[], Seal]
    in_thread: InThread
    wall_seconds: Callable[[], float]


class CredentialOffice:
    """What an operator can do with credentials. ValueError says what is wrong with what was asked for."""

    def __init__(self, parts: CredentialParts) -> None:
        self._parts = parts

    @property
    def vendors(self) -> tuple[str, ...]:
        """The vendor entries that a credential can stand for."""
        return tuple(self._parts.vendors)

    async def listing(self) -> list[Credential]:
        """All of them, by user name."""
        return await self._parts.store.read(lambda transaction: transaction.credentials())

    async def add(self, user_name: str, vendor: str, stream: str, *, keeps_secret: bool) -> tuple[str, str]:
        """A new one: its user name, made up when none is given, and its secret. keeps_secret: sealed, for the
        mechanisms that compute with it."""
        parts = self._parts
        names = parts.vendors.get(vendor)
        if names is None:
            raise ValueError(f"there is no vendor {vendor}; there are: {', '.join(parts.vendors)}")
        user_name = user_name or new_user_name(names)
        if user_name.casefold() in parts.reserved:
            raise ValueError(f"{user_name} is the user name that goes with an API key; choose another one")

        def make() -> str:
            seal = parts.seal() if keeps_secret else None
            return make_credential(parts.store, user_name, vendor, self._now(), seal, names=names, stream=stream)

        return user_name, await parts.in_thread(make)

    async def regenerate(self, user_name: str) -> str:
        """A new secret; kept for challenge mechanisms when the old one was."""
        store, seal = self._parts.store, self._parts.seal
        old = await store.read(lambda transaction: transaction.credential(user_name))
        keeps = old is not None and old.sealed_secret is not None
        secret: str = await self._parts.in_thread(
            lambda: regenerate_credential(store, user_name, self._now(), seal() if keeps else None)
        )
        return secret

    async def deactivate(self, user_name: str) -> bool:
        """Let nobody log in with it any more; False when there is none of that name."""
        return await self._parts.store.write(lambda transaction: transaction.deactivate_credential(user_name))

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._parts.wall_seconds(), datetime.UTC)
