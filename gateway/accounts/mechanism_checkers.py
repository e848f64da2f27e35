"""cred's checkers of the mechanisms beside PLAIN and LOGIN, one for each of their interfaces.

They never tell an unknown user name from a wrong proof, whatever the dialect does about passwords.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gateway.accounts.account import Account
from gateway.accounts.checkers import ApiKeyChecker, KeyLogin, StoredAccounts
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
from gateway.store.credential import Credential


class Proofs(Protocol):
    """The credential store, as far as these logins need it; both raise OSError when it cannot be used."""

    def lookup(self, lookup: Lookup) -> Awaitable[object]:
        """What is kept for a user name, or something false that looks alike."""

    def credential(self, user_name: str) -> Awaitable[Credential | None]:
        """The active credential of that user name."""


class _ByName:
    """The accounts of stored credentials, by user name alone: whoever asks has seen the proof."""

    def __init__(self, proofs: Proofs, accounts: StoredAccounts) -> None:
        self._proofs = proofs
        self._accounts = accounts

    async def _account(self, user_name: str) -> Account:
        try:
            credential = await self._proofs.credential(user_name)
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None
        if credential is None:
            raise LoginRefused
        return self._accounts.account(credential)


@implementer(ICredentialsChecker)
class VerifiedChecker(_ByName):
    """Takes a user name whose secret was proved, and gives before that what to prove it with.

    keys: given where the dialect's clients have the same key as user name and as password. A name that is no
    credential's is taken for such a key then: it is its own secret, and the vendor is asked about it.
    """

    credentialInterfaces = (IVerifiedLogin,)

    def __init__(self, proofs: Proofs, accounts: StoredAccounts, keys: ApiKeyChecker | None = None) -> None:
        super().__init__(proofs, accounts)
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
            return await self._proofs.credential(user_name) is None
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None


@implementer(ICredentialsChecker)
class CertificateChecker(_ByName):
    """Takes the name of a verified client certificate when a credential has it as its user name."""

    credentialInterfaces = (ICertificateLogin,)

    def requestAvatarId(self, credentials: CertificateUser) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._account(credentials.user_name))


@implementer(ICredentialsChecker)
class BearerChecker:
    """Takes a bearer token that is a key the vendor takes, of a dialect whose clients log in with keys at all.

    Of several dialects, the one whose constant user name the client calls itself by, else the first: a key must not be
    shown to vendors whose it is not. With one, what the client calls itself makes no difference.
    """

    credentialInterfaces = (IBearerToken,)

    def __init__(self, key_logins: Sequence[KeyLogin]) -> None:
        self._key_logins = key_logins

    def requestAvatarId(self, credentials: BearerToken) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._check(credentials.user_name, credentials.token))

    async def _check(self, user_name: str, token: str) -> Account:
        named = (one for one in self._key_logins if one.has_name(user_name))
        login = next(named, self._key_logins[0] if self._key_logins else None)
        if login is None:
            raise LoginRefused
        return await login.keys.check(token)
