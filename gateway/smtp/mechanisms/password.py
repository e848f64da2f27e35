"""PLAIN and LOGIN: the client shows its password."""

from __future__ import annotations

from gateway.smtp.grammar import upper_ascii
from gateway.smtp.mechanisms.exchange import (
    Circumstances,
    Exchange,
    PasswordLogin,
    RefusedLogin,
    SaslError,
    text_of,
)


def plain(initial: bytes | None, _: Circumstances) -> Exchange:
    """RFC 4616: message = [authzid] NUL authcid NUL passwd."""
    response = (yield b"") if initial is None else initial
    parts = response.split(b"\0")
    if len(parts) != 3:
        raise SaslError("PLAIN needs authorization identity, user name and password")
    authorization, user_name, password = (text_of(part) for part in parts)
    if authorization and upper_ascii(authorization) != upper_ascii(user_name):
        # RFC 4616 §2: acting for another identity is a right that nobody has here
        return RefusedLogin(user_name, "the authorization identity is not the user name")
    return PasswordLogin(user_name, password)


def login(initial: bytes | None, _: Circumstances) -> Exchange:
    """The LOGIN mechanism, never a standard; these prompts are the ones that clients match on."""
    user_name = (yield b"Username:") if initial is None else initial
    password = yield b"Password:"
    return PasswordLogin(text_of(user_name), text_of(password))
