"""SCRAM-SHA-256's arithmetic (RFC 5802 §3, RFC 7677): the verifier that a server keeps, and the proofs made with it.

A verifier does not let its holder log in as the user. Who keeps it, and what the messages look like, is others' affair.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

HASH = "sha256"
HASH_OCTETS = 32
SALT_OCTETS = 16
LEAST_ITERATIONS = 4096
"""RFC 7677 §4. More would protect secrets that people make up; ours are 192 random bits, which no search finds."""


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What proves a secret without being it (RFC 5802 §3): salt and iterations are told to the client, the keys not."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def make_verifier(secret: str, salt: bytes, iterations: int = LEAST_ITERATIONS) -> ScramVerifier:
    """The verifier of a secret, which is ASCII or has been prepared (RFC 5802 §2.2)."""
    salted = hashlib.pbkdf2_hmac(HASH, secret.encode(), salt, iterations)
    client_key = _keyed(salted, b"Client Key")
    return ScramVerifier(salt, iterations, hashlib.sha256(client_key).digest(), _keyed(salted, b"Server Key"))


def is_proof(verifier: ScramVerifier, conversation: bytes, proof: bytes) -> bool:
    """Whether a ClientProof fits: it hides the ClientKey behind the signature of what was said (AuthMessage)."""
    if len(proof) != HASH_OCTETS:
        return False
    signature = _keyed(verifier.stored_key, conversation)
    client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)


def server_signature(verifier: ScramVerifier, conversation: bytes) -> bytes:
    """What proves to the client that the server has its verifier."""
    return _keyed(verifier.server_key, conversation)


def _keyed(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, HASH)
