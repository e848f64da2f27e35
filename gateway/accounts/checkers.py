"""cred's checkers: a vendor's API key as password, and credentials of the gateway's own.

Both are IUsernamePassword, and a portal takes one checker for an interface, so the dialect's user name decides which.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
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

KEY = re.compile(r"[!-~]{1,4096}\Z")
"""What can be an API key at all: the vendor's own rule, so that nothing else gets into a request's header."""


class CredentialLookup(Protocol):
    """The credential store, as far as a login needs it."""

    async def check(self, user_name: str, secret: str) -> str | None:
        """The vendor entry that a credential stands for; None for a wrong secret. LookupError: no such user name."""


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


class CredentialChecker:
    """Takes a user name and secret that the operator has made. vendors_with_key: what a credential can stand for."""

    def __init__(self, dialect: str, credentials: CredentialLookup, vendors_with_key: frozenset[str]) -> None:
        self._dialect = dialect
        self._credentials = credentials
        self._vendors_with_key = vendors_with_key

    async def check(self, user_name: str, secret: str) -> Account:
        """The account of this credential; a user name that nobody made is told apart, as the dialect does."""
        try:
            vendor = await self._credentials.check(user_name, secret)
        except LookupError:
            raise LoginRefused(Cause.USER_NAME_INVALID) from None
        except OSError as error:
            raise LoginUndecided(f"credential store: {error}") from None
        if vendor is None:
            raise LoginRefused
        if vendor not in self._vendors_with_key:
            raise LoginUndecided(f"the credential stands for vendors.{vendor}, which has no key in the settings")
        # User names compare without case, so the account has one name however it is written
        return Account(f"{vendor}/user-{user_name.lower()}", self._dialect, vendor, user_name=user_name.lower())


@implementer(ICredentialsChecker)
class DialectChecker:
    """Sends a login to the right checker: the dialect's constant user name, or a key given twice, means a key."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self,
        user_name: str,
        keys: ApiKeyChecker | None,
        credentials: CredentialChecker,
        *,
        key_twice: bool = False,
        mailboxes: MailboxLookup | None = None,
    ) -> None:
        self._user_name = folded(user_name)
        self._key_twice = key_twice
        self._mailboxes = mailboxes
        self._keys = keys
        self._credentials = credentials

    def requestAvatarId(self, credentials: UsernamePassword) -> Deferred[Any]:
        """Fires with the Account, or fails with LoginRefused or LoginUndecided."""
        return Deferred.fromCoroutine(self._check(credentials.username.decode(), credentials.password.decode()))

    async def _check(self, user_name: str, password: str) -> Account:
        if self._keys is not None and self._is_key_login(user_name, password):
            return await self._keys.check(password)
        try:
            return await self._credentials.check(user_name, password)
        except LoginRefused as refused:
            if self._mailboxes is None or refused.cause is not Cause.USER_NAME_INVALID or "@" not in user_name:
                raise
        return await self._mailboxes.check(user_name, password)

    def _is_key_login(self, user_name: str, password: str) -> bool:
        if self._key_twice and hmac.compare_digest(user_name.encode(), password.encode()):
            return True
        return bool(self._user_name) and folded(user_name) == self._user_name
