"""SASL mechanisms (RFC 4422) as generators: each yields challenges, is sent responses, and returns a login.

A mechanism only reads; whether the login is good is asked outside. A new one is a generator and a line in MECHANISMS.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """What PLAIN and LOGIN end in: an authentication identity and its password."""

    user_name: str
    password: str = field(repr=False)


class SaslError(Exception):
    """A response that the mechanism's grammar does not allow."""


Exchange = Generator[bytes, bytes, PasswordLogin]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism: its exchange, which is given the initial response or None, and whether it shows the password."""

    exchange: Callable[[bytes | None], Exchange]
    shows_password: bool


def plain(initial: bytes | None) -> Exchange:
    """RFC 4616: message = [authzid] NUL authcid NUL passwd."""
    response = (yield b"") if initial is None else initial
    parts = response.split(b"\0")
    if len(parts) != 3:
        raise SaslError("PLAIN needs authorization identity, user name and password")
    authorization, user_name, password = (_text(part) for part in parts)
    if authorization and authorization != user_name:
        # RFC 4616 §2: acting for another identity is a right that nobody has here
        raise SaslError("authorization identity differs from the user name")
    return PasswordLogin(user_name, password)


def login(initial: bytes | None) -> Exchange:
    """The LOGIN mechanism, never a standard; these prompts are the ones that clients match on."""
    user_name = (yield b"Username:") if initial is None else initial
    password = yield b"Password:"
    return PasswordLogin(_text(user_name), _text(password))


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("not UTF-8") from None


MECHANISMS: Mapping[str, Mechanism] = {
    "PLAIN": Mechanism(plain, shows_password=True),
    "LOGIN": Mechanism(login, shows_password=True),
}


def decode_response(line: bytes) -> bytes:
    """A response line from base64, strictly (RFC 4954 §4); SaslError when it is none."""
    try:
        return binascii.a2b_base64(line, strict_mode=True) if line else b""
    except (binascii.Error, ValueError):
        raise SaslError("not base64") from None


def encode_challenge(challenge: bytes) -> str:
    """A challenge as the text of a 334 reply."""
    return binascii.b2a_base64(challenge, newline=False).decode("ascii")
