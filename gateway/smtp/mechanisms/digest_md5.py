"""DIGEST-MD5 (RFC 2831, made historic by RFC 6331), for devices that know nothing better.

Initial authentication and qop=auth only: no subsequent authentication, and no security layer, which TLS is for.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import md5

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

RESPONSE_OCTETS = 4096  # RFC 2831 §2.1.2: digest-response is shorter than that
TOKEN = rb"[!#-'*+\-.0-9A-Z^-z|~]+"  # RFC 2616 §2.2: no separators, no controls
DIRECTIVE = re.compile(
    rb"[ \t\r\n]*(" + TOKEN + rb")[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|(" + TOKEN + rb"))[ \t\r\n]*(?:,|\Z)",
    re.DOTALL,
)
HEX = re.compile(rb"[0-9a-f]{32}")
NEEDED = (b"username", b"nonce", b"cnonce", b"nc", b"digest-uri", b"response")


def digest_md5(initial: bytes | None, circumstances: Circumstances) -> Exchange:
    """RFC 2831 §2.1: digest-challenge, digest-response, rspauth, and an empty response to end it."""
    no_initial_response(initial)
    fields = read_response((yield _challenge(circumstances)))
    _check(fields, circumstances)
    user_name = name_of(fields[b"username"])
    secret: str = yield Lookup(user_name, Needs.SECRET)
    if not hmac.compare_digest(fields[b"response"], response_digest(secret, fields)):
        return RefusedLogin(user_name, "wrong digest")
    if fields.get(b"authzid", b"") not in (b"", fields[b"username"]):
        return RefusedLogin(user_name, "authorization identity differs from the user name")
    if (yield b"rspauth=" + response_digest(secret, fields, b"")) != b"":
        raise SaslError("expected an empty response")
    return VerifiedLogin(user_name)


def _challenge(circumstances: Circumstances) -> bytes:
    realm, nonce = _quoted(circumstances.hostname.encode()), _quoted(circumstances.nonce.encode())
    return b"realm=" + realm + b",nonce=" + nonce + b',qop="auth",charset=utf-8,algorithm=md5-sess'


def _quoted(text: bytes) -> bytes:
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text) + b'"'


def read_response(response: bytes) -> Mapping[bytes, bytes]:
    """The directives of a digest-response (RFC 2831 §2.1.2), names in lower case; none may stand twice."""
    if len(response) >= RESPONSE_OCTETS:
        raise SaslError("a digest-response is shorter than this")
    fields: dict[bytes, bytes] = {}
    place = 0
    while place < len(response):
        found = DIRECTIVE.match(response, place)
        if found is None or found[1].lower() in fields:
            raise SaslError("not a list of directives")
        quoted, plain = found[2], found[3]
        fields[found[1].lower()] = plain if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL)
        place = found.end()
    if any(name not in fields for name in NEEDED):
        raise SaslError("a directive is missing")
    return fields


def _check(fields: Mapping[bytes, bytes], circumstances: Circumstances) -> None:
    """What has to be as the challenge said it. Only the service of digest-uri counts: a host has many names."""
    right = (
        hmac.compare_digest(fields[b"nonce"], circumstances.nonce.encode())
        and fields[b"nc"] == b"00000001"  # initial authentication
        and fields.get(b"qop", b"auth") == b"auth"
        and fields.get(b"realm", b"") in (b"", circumstances.hostname.encode())
        and fields.get(b"charset", b"utf-8").lower() == b"utf-8"
        and fields[b"digest-uri"].lower().startswith(b"smtp/")
        and HEX.fullmatch(fields[b"response"])
        and fields[b"cnonce"]
    )
    if not right:
        raise SaslError("a directive differs from the challenge")


def response_digest(secret: str, fields: Mapping[bytes, bytes], method: bytes = b"AUTHENTICATE") -> bytes:
    """response-value (RFC 2831 §2.1.2.1), in hexadecimal; of rspauth when the method is empty (§2.1.3).

    Its rule to hash ISO 8859-1 where that is enough is left out: our user names and secrets are ASCII.
    """
    user = b":".join((fields[b"username"], fields.get(b"realm", b""), secret.encode()))
    a1 = b":".join((md5(user, usedforsecurity=False).digest(), fields[b"nonce"], fields[b"cnonce"]))
    if b"authzid" in fields:
        a1 += b":" + fields[b"authzid"]
    a2 = method + b":" + fields[b"digest-uri"]
    qop = fields.get(b"qop", b"auth")
    return _hex(b":".join((_hex(a1), fields[b"nonce"], fields[b"nc"], fields[b"cnonce"], qop, _hex(a2))))


def _hex(text: bytes) -> bytes:
    return md5(text, usedforsecurity=False).hexdigest().encode()
