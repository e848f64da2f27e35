"""The SASL mechanisms (RFC 4422), one table. An exchange yields challenges, is sent responses, and returns a login.

A mechanism only reads; whether the login is good is asked outside. A new one is a generator and a line in MECHANISMS.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.smtp.mechanisms.bearer import OAUTHBEARER_REFUSAL, XOAUTH2_REFUSAL, oauthbearer, xoauth2
from gateway.smtp.mechanisms.cram_md5 import cram_md5
from gateway.smtp.mechanisms.digest_md5 import digest_md5
from gateway.smtp.mechanisms.exchange import Begin, Needs, SaslError
from gateway.smtp.mechanisms.external import external
from gateway.smtp.mechanisms.password import login, plain
from gateway.smtp.mechanisms.scram import scram_sha_256, scram_sha_256_plus

PLUS = "SCRAM-SHA-256-PLUS"
KEPT_OFFERS = 128  # a handful for each listener and dialect


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism.

    exchange begins it. shows_password: who reads the wire can log in with it, so without TLS it is offered only where
    the listener allows that. needs: what the credential store must hold. needs_bindings, needs_certificate: it can be
    had only where TLS gives channel bindings, or the client has shown a certificate. refusal is the challenge that goes
    before the reply to a refused login; most have none.
    """

    exchange: Begin
    shows_password: bool
    needs: Needs
    needs_bindings: bool = False
    needs_certificate: bool = False
    refusal: bytes = b""


MECHANISMS: Mapping[str, Mechanism] = {
    PLUS: Mechanism(scram_sha_256_plus, shows_password=False, needs=Needs.SCRAM_VERIFIER, needs_bindings=True),
    "SCRAM-SHA-256": Mechanism(scram_sha_256, shows_password=False, needs=Needs.SCRAM_VERIFIER),
    "EXTERNAL": Mechanism(external, shows_password=False, needs=Needs.NAME, needs_certificate=True),
    "OAUTHBEARER": Mechanism(oauthbearer, shows_password=True, needs=Needs.NOTHING, refusal=OAUTHBEARER_REFUSAL),
    "XOAUTH2": Mechanism(xoauth2, shows_password=True, needs=Needs.NOTHING, refusal=XOAUTH2_REFUSAL),
    "PLAIN": Mechanism(plain, shows_password=True, needs=Needs.HASH),
    "LOGIN": Mechanism(login, shows_password=True, needs=Needs.HASH),
    "DIGEST-MD5": Mechanism(digest_md5, shows_password=False, needs=Needs.SECRET),
    "CRAM-MD5": Mechanism(cram_md5, shows_password=False, needs=Needs.SECRET),
}


@lru_cache(KEPT_OFFERS)
def offered(names: tuple[str, ...], *, passwords: bool, bindings: bool, certificate: bool) -> tuple[str, ...]:
    """Those of the names that can be had on a channel.

    passwords: whether one may be shown there; bindings, certificate: whether there are channel bindings, and a verified
    client certificate.
    """
    known = ((name, MECHANISMS[name]) for name in names)
    return tuple(
        name
        for name, one in known
        if (passwords or not one.shows_password)
        and (bindings or not one.needs_bindings)
        and (certificate or not one.needs_certificate)
    )


def decode_response(line: bytes) -> bytes:
    """A response line from base64, strictly (RFC 4954 §4); SaslError when it is none."""
    try:
        return binascii.a2b_base64(line, strict_mode=True) if line else b""
    except (binascii.Error, ValueError):
        raise SaslError("not base64") from None


def encode_challenge(challenge: bytes) -> str:
    """A challenge as the text of a 334 reply."""
    return binascii.b2a_base64(challenge, newline=False).decode("ascii")
