"""The exceptions that cross from one room to another.

GatewayError
 ├── Rejection            an SMTP reply instead of what was asked for
 ├── LoginRefused         a login is not good (also cred's UnauthorizedLogin)
 └── LoginUndecided       nobody can say now whether a login is good
"""

from __future__ import annotations

from twisted.cred.error import UnauthorizedLogin

from gateway.outcome import Cause, Reply


class GatewayError(Exception):
    """What all of them are."""


class Rejection(GatewayError):
    """Carries the reply that the client gets instead of a positive one."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.code} {reply.text}")
        self.reply = reply


class LoginRefused(GatewayError, UnauthorizedLogin):
    """The credentials are not good; cause says which of them, as far as the dialect tells the client."""

    def __init__(self, cause: Cause = Cause.AUTHENTICATION_FAILED) -> None:
        super().__init__(cause.name)
        self.cause = cause


class LoginUndecided(GatewayError):
    """The credentials could not be checked; the text is for the log and holds no secret."""
