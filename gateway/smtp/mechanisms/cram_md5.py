"""CRAM-MD5 (RFC 2195): the client keys a hash of the server's challenge with its secret.

For devices that know nothing better: it neither names the server nor keeps the secret from whoever reads the store.
"""

from __future__ import annotations

import hmac

from gateway.smtp.mechanisms.exchange import (
    Circumstances,
    Exchange,
    Lookup,
    Needs,
    RefusedLogin,
    SaslError,
    VerifiedLogin,
    name_of,
    no_initial_response,
)


def cram_md5(initial: bytes | None, circumstances: Circumstances) -> Exchange:
    """RFC 2195 §2: the challenge has the form of a msg-id; response = user SP digest in lower-case hexadecimal."""
    no_initial_response(initial)
    challenge = f"<{circumstances.nonce}@{circumstances.hostname}>".encode()
    response: bytes = yield challenge
    user, space, digest = response.rpartition(b" ")
    if not space or len(digest) != 32:
        raise SaslError("expected a user name and a digest")
    user_name = name_of(user)
    secret: str = yield Lookup(user_name, Needs.SECRET)
    if not hmac.compare_digest(digest, cram_md5_digest(secret, challenge)):
        return RefusedLogin(user_name, "wrong digest")
    return VerifiedLogin(user_name)


def cram_md5_digest(secret: str, challenge: bytes) -> bytes:
    """The digest of a response, in hexadecimal."""
    return hmac.digest(secret.encode(), challenge, "md5").hex().encode()
