"""cred's checkers of the mechanisms beside PLAIN and LOGIN, one for each of their interfaces.

They never tell an unknown user name from a wrong proof, whatever the dialect does about passwords.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gateway.accounts.account import Account
from gateway.accounts.checkers import ApiKeyChecker
from gateway.errors import LoginRefused, LoginUndecided
from gateway.smtp.credentials import (
    BearerToken,
    CertificateUser,
    IBearerToken,
    ICertificateLogin,
    IVerifiedLogin,
    VerifiedUser,
)
from gateway.smtp.mechanisms.exchange import Lookup, Needs


class Proofs(Protocol):
    """The credential store, as far as these logins need it; both raise OSError when it cannot be used."""

    def lookup(self, lookup: Lookup) -> Awaitable[object]:
        """What is kept for a user name, or something false that looks alike."""

    def vendor(self, user_name: str) -> Awaitable[str | None]:
        """The vendor entry that an active credential stands for."""


class _StoredAccounts:
    """The accounts of stored credentials, by user name alone: whoever asks has seen the proof."""

    def __init__(self, dialect: str, proofs: Proofs, vendors_with_key: frozenset[str]) -> None:
        self._dialect = dialect
        self._proofs = proofs
        self._vendors_with_key = vendors_with_key

    async def _account(self, user_name: str) -> Account:
        try:
            vendor = await self._proofs.vendor(user_name)
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None
        if vendor is None:
            raise LoginRefused
        if vendor not in self._vendors_with_key:
            raise LoginUndecided(f"the credential stands for vendors.{vendor}, which has no key in the settings")
        return Account(f"{vendor}/user-{user_name.lower()}", self._dialect, vendor, user_name=user_name.lower())


@implementer(ICredentialsChecker)
class VerifiedChecker(_StoredAccounts):
    """Takes a user name whose secret was proved, and gives before that what to prove it with.

    keys: given where the dialect's clients have the same key as user name and as password. A name that is no
    credential's is taken for such a key then: it is its own secret, and the vendor is asked about it.
    """

    credentialInterfaces = (IVerifiedLogin,)

    def __init__(
        self, dialect: str, proofs: Proofs, vendors_with_key: frozenset[str], keys: ApiKeyChecker | None = None
    ) -> None:
        super().__init__(dialect, proofs, vendors_with_key)
        self._keys = keys

    async def lookup(self, lookup: Lookup) -> object:
        """What is kept for a user name, or something false; LoginUndecided when the store cannot be used."""
        try:
            if self._keys is not None and lookup.kept is Needs.SECRET and await self._is_key(lookup.user_name):
                return lookup.user_name
            return await self._proofs.lookup(lookup)
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None

    def requestAvatarId(self, credentials: VerifiedUser) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._check(credentials.user_name))

    async def _check(self, user_name: str) -> Account:
        if self._keys is not None and await self._is_key(user_name):
            return await self._keys.check(user_name)
        return await self._account(user_name)

    async def _is_key(self, user_name: str) -> bool:
        try:
            return await self._proofs.vendor(user_name) is None
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None


@implementer(ICredentialsChecker)
class CertificateChecker(_StoredAccounts):
    """Takes the name of a verified client certificate when a credential has it as its user name."""

    credentialInterfaces = (ICertificateLogin,)

    def requestAvatarId(self, credentials: CertificateUser) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._account(credentials.user_name))


@implementer(ICredentialsChecker)
class BearerChecker:
    """Takes a bearer token that is a key the vendor takes; what the client calls itself makes no difference."""

    credentialInterfaces = (IBearerToken,)

    def __init__(self, keys: ApiKeyChecker | None) -> None:
        self._keys = keys

    def requestAvatarId(self, credentials: BearerToken) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._check(credentials.token))

    async def _check(self, token: str) -> Account:
        if self._keys is None:
            raise LoginRefused
        return await self._keys.check(token)
