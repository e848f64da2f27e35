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
from gateway.smtp.mechanisms.exchange import Lookup


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
        return Account(f"{vendor}/user-{user_name.lower()}", self._dialect, vendor)


@implementer(ICredentialsChecker)
class VerifiedChecker(_StoredAccounts):
    """Takes a user name whose secret was proved, and gives before that what to prove it with.

    A dialect whose clients have the same key as user name and as password needs another checker in this one's place:
    it answers lookup() from the user name, and asks the vendor in requestAvatarId().
    """

    credentialInterfaces = (IVerifiedLogin,)

    async def lookup(self, lookup: Lookup) -> object:
        """What is kept for a user name, or something false; LoginUndecided when the store cannot be used."""
        try:
            return await self._proofs.lookup(lookup)
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None

    def requestAvatarId(self, credentials: VerifiedUser) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._account(credentials.user_name))


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
