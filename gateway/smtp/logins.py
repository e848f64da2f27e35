"""The logins of one connection: asks the listener's portal, reports, and makes guessing slow.

The exchange behind a login, and what becomes of the avatar, are others' affair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.cred.error import UnauthorizedLogin
from twisted.internet.task import deferLater
from twisted.mail.smtp import IMessageDelivery

from gateway.errors import LoginRefused, LoginUndecided, Rejection
from gateway.events import LoggedIn, LoginFailed
from gateway.outcome import Cause, Reply, printable, reply_for
from gateway.smtp import events, replies
from gateway.smtp.credentials import IVerifiedLogin, LookupChecker, credentials_of
from gateway.smtp.extensions import SessionRules
from gateway.smtp.interfaces import SessionHost
from gateway.smtp.mechanisms.exchange import BearerLogin, Login, Lookup, PasswordLogin, RefusedLogin

USER_NAME_CHARACTERS = 64
"""What of a user name is logged: all of one of ours, and little of what somebody makes up."""


LONGEST_NAME_CHARACTERS = 24
"""A longer one that is no address may be a key: in some dialects it is the user name, and people mix up the fields."""


class Logins:
    """Takes the logins of one session; reception is how it is received, which TLS may change."""

    def __init__(self, host: SessionHost, session_id: str, peer: str) -> None:
        self._host = host
        self._session_id = session_id
        self._peer = peer
        self.reception = host.receptions.default

    def secured(self, server_name: Callable[[], bytes | None]) -> SessionRules:
        """TLS is up, and a login in clear does not count any more: the rules from now on, by the server name."""
        if self._host.receptions.by_name:
            self.reception = self._host.receptions.named(server_name())
        return self.reception.rules

    async def look_up(self, lookup: Lookup) -> object:
        """What the credential store keeps for a user name; Rejection when nobody can say, or too much was asked."""
        self._check_throttle()
        checker = self.reception.portal.checkers.get(IVerifiedLogin)
        try:
            if checker is None:
                raise LoginUndecided("no credentials are kept for this mechanism here")
            return await cast(LookupChecker, checker).lookup(lookup)
        except LoginUndecided as error:
            raise Rejection(self._undecided(lookup.user_name, error)) from None

    async def log_in(self, event: events.LoginWanted) -> tuple[Any, Callable[[], None]]:
        """The avatar, and how it is logged out; Rejection with the reply when there is none."""
        self._check_throttle()
        try:
            credentials = credentials_of(event.login)
            _, avatar, logout = await self.reception.portal.login(credentials, None, IMessageDelivery)
        except UnauthorizedLogin as error:
            cause = error.cause if isinstance(error, LoginRefused) else Cause.AUTHENTICATION_FAILED
            reason = event.login.reason if isinstance(event.login, RefusedLogin) else cause.name.lower()
            raise Rejection(await self._refused(event, cause, reason)) from None
        except LoginUndecided as error:
            raise Rejection(self._undecided(event.login.user_name, error, event.mechanism)) from None
        self._host.report(LoggedIn(self._session_id, self._peer, str(avatar), event.mechanism))
        return avatar, logout

    def _check_throttle(self) -> None:
        if self._host.failed_logins.exceeded(self._peer):
            raise Rejection(replies.TOO_MANY_LOGINS)

    async def _refused(self, event: events.LoginWanted, cause: Cause, reason: str) -> Reply:
        login = event.login
        delay_seconds = self._host.failed_logins.add(self._peer, login.user_name, _shown_secret(login))
        await deferLater(self._host.clock, delay_seconds)
        self._report(login.user_name, reason, event.mechanism, temporary=False)
        return reply_for(cause, "", self.reception.rules.wording)

    def _undecided(self, user_name: str, error: LoginUndecided, mechanism: str = "") -> Reply:
        self._report(user_name, str(error), mechanism, temporary=True)
        return reply_for(Cause.AUTHENTICATION_UNAVAILABLE, "", self.reception.rules.wording)

    def _report(self, user_name: str, reason: str, mechanism: str, *, temporary: bool) -> None:
        shown = printable(user_name)[:USER_NAME_CHARACTERS]
        if len(user_name) > LONGEST_NAME_CHARACTERS and "@" not in user_name:
            shown = f"{printable(user_name)[:4]}..."
        self._host.report(LoginFailed(self._session_id, self._peer, shown, temporary, reason, mechanism))


def _shown_secret(login: Login) -> str | None:
    """What the client tried, where its mechanism shows it."""
    match login:
        case PasswordLogin(_, secret) | BearerLogin(_, secret):
            return secret
    return None
