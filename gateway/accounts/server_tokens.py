"""Who an application is by the one token that Postmark's HTTP API knows: the key, or "user:secret" of a credential."""

from __future__ import annotations

from gateway.accounts.account import Account
from gateway.accounts.checkers import ApiKeyChecker, CredentialChecker
from gateway.errors import LoginRefused
from gateway.outcome import Cause
from gateway.user_names import USER_NAMES


class ServerTokenChecker:
    """Takes what the application logs in with over SMTP, so that it is the same account. keys: None where none fit."""

    def __init__(self, keys: ApiKeyChecker | None, credentials: CredentialChecker) -> None:
        self._keys = keys
        self._credentials = credentials

    async def check(self, token: str) -> Account:
        """The account, or LoginRefused or LoginUndecided."""
        user_name, colon, secret = token.partition(":")
        if colon and USER_NAMES.pattern.fullmatch(user_name):
            try:
                return await self._credentials.check(user_name, secret)
            except LoginRefused as refused:
                if refused.cause is not Cause.USER_NAME_INVALID:
                    raise
        if self._keys is None:
            raise LoginRefused
        return await self._keys.check(token)
