"""Ids of sessions and messages: sortable by time, unguessable, short enough to be read out on the telephone.

And nonces, which are unguessable and nothing more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32 keeps the order and has no letters that look alike


def new_id(seconds: Callable[[], float]) -> str:
    """Twenty characters: milliseconds since 1970 in ten, then fifty random bits in ten."""
    return _ten_characters(int(seconds() * 1000)) + secrets.token_bytes(10).translate(FIVE_BITS).decode("ascii")


def new_nonce() -> str:
    """Twenty-four printable characters that nobody has seen before: 144 random bits."""
    return secrets.token_urlsafe(18)


PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
FIVE_BITS = ALPHABET.encode("ascii") * 8  # for each octet the character of its last five bits


def _ten_characters(number: int) -> str:
    """Fifty bits, ten at a time: each digit by itself would take twice as long."""
    return (
        PAIRS[number >> 40 & 1023]
        + PAIRS[number >> 30 & 1023]
        + PAIRS[number >> 20 & 1023]
        + PAIRS[number >> 10 & 1023]
        + PAIRS[number & 1023]
    )
