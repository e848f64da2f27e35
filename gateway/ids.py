"""Ids of sessions and messages: sortable by time, unguessable, short enough to be read out on the telephone.

And nonces, which are unguessable and nothing more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32 keeps the order and has no letters that look alike


def new_id(seconds: Callable[[], float]) -> str:
    """Twenty characters: milliseconds since 1970 in ten, then fifty random bits in ten."""
    return _base32(int(seconds() * 1000), 10) + _base32(secrets.randbits(50), 10)


def new_nonce() -> str:
    """Twenty-four printable characters that nobody has seen before: 144 random bits."""
    return secrets.token_urlsafe(18)


def _base32(number: int, characters: int) -> str:
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (characters - 1), -1, -5))
