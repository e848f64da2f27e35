"""What the SASL mechanisms share: what an exchange is told at its start, may ask for, and can end in (RFC 4422 §3).

An exchange only reads and compares. Whether the login is good is decided outside, by cred's portal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from gateway.quickly import quickly_made


class SaslError(Exception):
    """A response that the mechanism's grammar does not allow."""


class Needs(Enum):
    """What the credential store must hold for a mechanism."""

    NOTHING = "nothing"
    """The client shows a vendor's key, and the vendor is asked."""
    NAME = "name"
    """A user name that equals the name in the client's certificate."""
    HASH = "hash"
    SCRAM_VERIFIER = "verifier"
    SECRET = "secret"  # noqa: S105 - no secret, but the word
    """The secret itself, encrypted: both sides compute with it."""


@quickly_made
@dataclass(frozen=True, slots=True)
class SecureChannel:
    """What TLS tells of a connection.

    bindings: channel binding data by type (RFC 5929, RFC 9266), empty without TLS or where the stack gives none.
    certificate_name: the name in the client's verified certificate, None when it has shown none.
    """

    bindings: Mapping[str, bytes] = field(default_factory=dict)
    certificate_name: str | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an exchange is told at its start. offers_plus: the client was offered a -PLUS.

    nonce is for this exchange alone, empty where the client shows a password and so proves nothing by one.
    """

    hostname: str
    nonce: str
    channel: SecureChannel = field(default_factory=SecureChannel)
    offers_plus: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question: what is kept for this user name? The answer is a ScramVerifier, or for SECRET the secret as str.

    There always is one: for a name that nobody has it is false, so that the client cannot tell it from a wrong proof.
    """

    user_name: str
    kept: Needs


@quickly_made
@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """What PLAIN and LOGIN end in: an authentication identity and its password."""

    user_name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedLogin:
    """The client has proved that it has the secret that the lookup told of."""

    user_name: str


@dataclass(frozen=True, slots=True)
class BearerLogin:
    """A bearer token (RFC 6750). user_name is what the client calls itself, maybe nothing; the token alone counts."""

    user_name: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateLogin:
    """The identity is that of the client's verified certificate."""

    user_name: str


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """The exchange itself shows that the login is not good; reason is for the log."""

    user_name: str
    reason: str


Login: TypeAlias = PasswordLogin | VerifiedLogin | BearerLogin | CertificateLogin | RefusedLogin
Exchange: TypeAlias = Generator[bytes | Lookup, Any, Login]
"""Yields a challenge and is sent the response, or yields a Lookup and is sent what it found."""
Begin: TypeAlias = Callable[[bytes | None, Circumstances], Exchange]
"""Begins an exchange with the client's initial response, None when it sent none."""


def text_of(octets: bytes) -> str:
    """Octets of a response as text; SaslError when they are none."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("not UTF-8") from None


def name_of(octets: bytes) -> str:
    """A user name, prepared for comparison; SaslError when it cannot be one.

    In place of SASLprep (RFC 4013), whose tables stop at Unicode 3.2, this is NFKC and no control, unassigned or
    private character, which is what RFC 8265 §3.3 keeps of it. Right-to-left rules are left out: names are only
    compared, and the store has none but ASCII ones.
    """
    name = unicodedata.normalize("NFKC", text_of(octets))
    if not name or any(unicodedata.category(one)[0] == "C" for one in name):
        raise SaslError("not a user name")
    return name


def no_initial_response(initial: bytes | None) -> None:
    """For mechanisms in which the server speaks first (RFC 4422 §3, RFC 4954 §4)."""
    if initial is not None:
        raise SaslError("the server speaks first in this mechanism")
