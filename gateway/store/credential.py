"""An SMTP credential of the gateway's own, as a store keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.scram import ScramVerifier


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential as it is stored; secret_hash is Argon2id's encoded form, sealed_secret the secret encrypted.

    stream is the message stream that it is bound to, empty: none; last_used_at ISO 8601, UTC, empty: never.
    """

    user_name: str
    secret_hash: str
    vendor: str
    active: bool
    created_at: str
    scram: ScramVerifier | None = field(default=None, repr=False)
    sealed_secret: bytes | None = field(default=None, repr=False)
    stream: str = ""
    last_used_at: str = ""
