"""cred's credentials for what SASL exchanges end in; by its interface the portal finds the checker.

PLAIN and LOGIN end in cred's own UsernamePassword. The checkers are elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.cred.credentials import ICredentials, UsernamePassword
from zope.interface import Attribute, implementer

from gateway.errors import LoginRefused
from gateway.smtp.mechanisms.exchange import (
    BearerLogin,
    CertificateLogin,
    Login,
    Lookup,
    PasswordLogin,
    RefusedLogin,
    VerifiedLogin,
)


class IVerifiedLogin(ICredentials):
    """A user name whose secret was proved in the exchange, by what this interface's checker gave to its lookup()."""

    user_name = Attribute("The user name, prepared.")


class IBearerToken(ICredentials):
    """A token that is good for whoever bears it (RFC 6750)."""

    user_name = Attribute("What the client calls itself; may be empty.")
    token = Attribute("The token, in ASCII.")


class ICertificateLogin(ICredentials):
    """The name in a client certificate that TLS has verified."""

    user_name = Attribute("The certificate's name.")


class LookupChecker(Protocol):
    """What the checker of IVerifiedLogin can do besides."""

    def lookup(self, lookup: Lookup) -> Awaitable[object]:
        """What is kept for a user name, or something false that looks alike; LoginUndecided when nobody can say."""


@implementer(IVerifiedLogin)
@dataclass(frozen=True, slots=True)
class VerifiedUser:
    """What SCRAM, CRAM-MD5 and DIGEST-MD5 end in."""

    user_name: str


@implementer(IBearerToken)
@dataclass(frozen=True, slots=True)
class BearerToken:
    """What OAUTHBEARER and XOAUTH2 end in."""

    user_name: str
    token: str = field(repr=False)


@implementer(ICertificateLogin)
@dataclass(frozen=True, slots=True)
class CertificateUser:
    """What EXTERNAL ends in."""

    user_name: str


def credentials_of(login: Login) -> Any:
    """The credentials to show to the portal; LoginRefused when the exchange itself has shown that they are not good."""
    match login:
        case PasswordLogin(user_name, password):
            return UsernamePassword(user_name.encode(), password.encode())
        case VerifiedLogin(user_name):
            return VerifiedUser(user_name)
        case BearerLogin(user_name, token):
            return BearerToken(user_name, token)
        case CertificateLogin(user_name):
            return CertificateUser(user_name)
        case RefusedLogin():
            raise LoginRefused
