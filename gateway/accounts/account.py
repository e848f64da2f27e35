"""The account: who submits, and with which vendor and key. It is what a login ends in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.quickly import quickly_made

KNOWN_KEYS = 1000  # those of the sessions that are open have their keys in memory anyway


@quickly_made
@dataclass(frozen=True, slots=True)
class Account:
    """One who may submit.

    name is what logs call the account and holds no secret. vendor is a name of the [vendors] table. own_key is the
    API key that the client itself gave as its password; None when the account uses the vendor's key of the settings.
    user_name is that of a credential, empty for a key; listener the endpoint or name of where it came in; stream the
    message stream of what names none. own_address is the only one it may send from, own_stream the only message stream
    that it may send to; empty: any.
    """

    name: str
    dialect: str
    vendor: str
    own_key: str | None = field(default=None, repr=False)
    user_name: str = ""
    listener: str = ""
    stream: str = ""
    own_address: str = ""
    own_stream: str = ""

    def __str__(self) -> str:
        """The name, for logs."""
        return self.name


@lru_cache(maxsize=KNOWN_KEYS)
def fingerprint(key: str) -> str:
    """A key's name in logs: enough to tell keys apart, too little to find one (keys have far more than 32 bits)."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]
