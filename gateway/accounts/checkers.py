"""cred's checkers: a vendor's API key as password, and credentials of the gateway's own.

Both are IUsernamePassword, and a portal takes one checker for an interface, so the user name decides which; on a
listener of several dialects it decides the dialect too.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gateway.accounts.account import Account, fingerprint
from gateway.accounts.remembered import RememberedAnswers
from gateway.content.addresses import folded
from gateway.errors import LoginRefused, LoginUndecided
from gateway.outcome import Cause
from gateway.store.credential import Credential

KEY = re.compile(r"[!-~]{1,4096}\Z")
"""What can be an API key at all: the vendor's own rule, so that nothing else gets into a request's header."""


class CredentialLookup(Protocol):
    """The credential store, as far as a login needs it."""

    async def check(self, user_name: str, secret: str) -> Credential | None:
        """The credential; None for a wrong secret. LookupError: no such user name."""


class MailboxLookup(Protocol):
    """The vendor's mail host, as far as a login needs it."""

    async def check(self, address: str, password: str) -> Account:
        """The account of a mailbox, or LoginRefused or LoginUndecided."""


class ApiKeyChecker:
    """Takes a key that the vendor takes."""

    def __init__(
        self,
        dialect: str,
        vendor: str,
        ask_vendor: Callable[[str], Awaitable[bool | None]],
        remembered: RememberedAnswers,
    ) -> None:
        self._dialect = dialect
        self._vendor = vendor
        self._ask_vendor = ask_vendor
        self._remembered = remembered

    async def check(self, key: str) -> Account:
        """The account of whoever has this key."""
        if not KEY.match(key):
            raise LoginRefused
        good = await self._remembered.ask(self._vendor, key, question=lambda: self._ask_vendor(key))
        if good is None:
            raise LoginUndecided(f"{self._vendor} could not be asked about the key")
        if not good:
            raise LoginRefused
        return Account(f"{self._vendor}/key-{fingerprint(key)}", self._dialect, self._vendor, key)


@dataclass(frozen=True, slots=True)
class KeyLogin:
    """How a dialect's clients log in with an API key: under its constant user name, or with the key in both fields."""

    keys: ApiKeyChecker
    user_name: str = ""
    key_twice: bool = False

    def has_name(self, user_name: str) -> bool:
        """Whether this is the constant user name, which is compared without case."""
        return bool(self.user_name) and folded(user_name) == folded(self.user_name)

    def fits(self, user_name: str, password: str) -> bool:
        """Whether this is such a login, good or not."""
        twice = self.key_twice and hmac.compare_digest(user_name.encode(), password.encode())
        return twice or self.has_name(user_name)


class StoredAccounts:
    """What the credentials that the operator has made stand for.

    vendors_with_key: the vendor entries that one can stand for. dialect_of tells which dialect the clients of an entry
    speak. note_use hears the user name of each login.
    """

    def __init__(
        self, vendors_with_key: frozenset[str], dialect_of: Callable[[str], str], note_use: Callable[[str], None]
    ) -> None:
        self._vendors_with_key = vendors_with_key
        self._dialect_of = dialect_of
        self._note_use = note_use

    def account(self, credential: Credential) -> Account:
        """The account of a credential whose proof was seen; LoginUndecided when its vendor entry has no key."""
        vendor = credential.vendor
        if vendor not in self._vendors_with_key:
            raise LoginUndecided(f"the credential stands for vendors.{vendor}, which has no key in the settings")
        # User names compare without case, so the account has one name however it is written
        name = credential.user_name.lower()
        self._note_use(name)
        told = f"{vendor}/user-{name}"
        return Account(told, self._dialect_of(vendor), vendor, user_name=name, own_stream=credential.stream)


class CredentialChecker:
    """Takes a user name and secret that the operator has made."""

    def __init__(self, credentials: CredentialLookup, accounts: StoredAccounts) -> None:
        self._credentials = credentials
        self._accounts = accounts

    async def check(self, user_name: str, secret: str) -> Account:
        """The account of this credential; a user name that nobody made is told apart, as the dialect does."""
        try:
            credential = await self._credentials.check(user_name, secret)
        except LookupError:
            raise LoginRefused(Cause.USER_NAME_INVALID) from None
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None
        if credential is None:
            raise LoginRefused
        return self._accounts.account(credential)


@implementer(ICredentialsChecker)
class DialectChecker:
    """Sends a login to the right checker: one with a key to that of its dialect, any other to the stored credentials,
    and what is none of them to the mailboxes, if it has the form of an address.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self,
        key_logins: Sequence[KeyLogin],
        credentials: CredentialChecker,
        mailboxes: MailboxLookup | None = None,
    ) -> None:
        self._key_logins = key_logins
        self._credentials = credentials
        self._mailboxes = mailboxes

    def requestAvatarId(self, credentials: UsernamePassword) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._check(credentials.username.decode(), credentials.password.decode()))

    async def _check(self, user_name: str, password: str) -> Account:
        with_key = next((one for one in self._key_logins if one.fits(user_name, password)), None)
        if with_key is not None:
            return await with_key.keys.check(password)
        try:
            return await self._credentials.check(user_name, password)
        except LoginRefused as refused:
            if self._mailboxes is None or refused.cause is not Cause.USER_NAME_INVALID or "@" not in user_name:
                raise
        return await self._mailboxes.check(user_name, password)
