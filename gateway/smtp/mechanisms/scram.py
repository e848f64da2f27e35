"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): both sides prove that they know, and nothing is shown."""

from __future__ import annotations

import binascii
import hmac
import re
from dataclasses import dataclass

from gateway.scram import ScramVerifier, is_proof, server_signature
from gateway.smtp.mechanisms.exchange import (
    Circumstances,
    Exchange,
    Lookup,
    Needs,
    RefusedLogin,
    SaslError,
    VerifiedLogin,
    name_of,
)

# RFC 5802 §7. An extension that must be understood ("m=" first) fits neither, and others are ignored, as asked there.
# A nonce comes back in a reply line of 512 octets; clients send about 24.
CLIENT_FIRST = re.compile(
    rb"(?P<header>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<authorization>[^,\0]+))?,)"
    rb"(?P<bare>n=(?P<user>[^,\0]+),r=(?P<nonce>[!-+\--~]{1,128})(?:,[A-Za-z]=[^,\0]+)*)"
)
CLIENT_FINAL = re.compile(
    rb"(?P<bare>c=(?P<binding>[A-Za-z0-9/+]+=*),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,\0]+)*)"
    rb",p=(?P<proof>[A-Za-z0-9/+]+=*)"
)


@dataclass(frozen=True, slots=True)
class _ClientFirst:
    """The client's first message. binding is the channel binding type, "" for none; bare is it without header."""

    header: bytes
    flag: bytes
    binding: str
    authorization: bytes
    user: bytes
    nonce: bytes
    bare: bytes


def scram_sha_256(initial: bytes | None, circumstances: Circumstances) -> Exchange:
    """Without channel binding."""
    first = _read_first((yield b"") if initial is None else initial)
    if first.binding:
        raise SaslError("channel binding belongs to the -PLUS mechanism")
    if first.flag == b"y" and circumstances.offers_plus:
        # RFC 5802 §6: the client could bind and saw no -PLUS, so somebody has taken it out of our offer
        return RefusedLogin(name_of(first.user), "channel binding was taken out of the offer on the way")
    return (yield from _converse(first, b"", circumstances))


def scram_sha_256_plus(initial: bytes | None, circumstances: Circumstances) -> Exchange:
    """With the TLS channel bound in, so that nobody in the middle can pass it on."""
    first = _read_first((yield b"") if initial is None else initial)
    if not first.binding:
        raise SaslError("the -PLUS mechanism needs channel binding")
    data = circumstances.channel.bindings.get(first.binding)
    if data is None:
        return RefusedLogin(name_of(first.user), f"no channel binding of type {first.binding[:32]}")
    return (yield from _converse(first, data, circumstances))


def _converse(first: _ClientFirst, binding_data: bytes, circumstances: Circumstances) -> Exchange:
    """The rest of RFC 5802 §5: server-first, client-final, server-final, and an empty response (RFC 4954 §4)."""
    user_name = name_of(first.user)
    verifier: ScramVerifier = yield Lookup(user_name, Needs.SCRAM_VERIFIER)
    nonce = first.nonce + circumstances.nonce.encode()
    server_first = b"r=%s,s=%s,i=%d" % (nonce, _base64(verifier.salt), verifier.iterations)
    final = CLIENT_FINAL.fullmatch((yield server_first))
    if final is None or final["nonce"] != nonce:
        raise SaslError("not the message that ends the exchange")
    conversation = b",".join((first.bare, server_first, final["bare"]))
    proved = is_proof(verifier, conversation, _octets(final["proof"]))
    bound = hmac.compare_digest(_octets(final["binding"]), first.header + binding_data)
    if not (proved and bound):
        return RefusedLogin(user_name, "wrong channel binding" if proved else "wrong proof")
    if first.authorization and name_of(first.authorization) != user_name:
        return RefusedLogin(user_name, "authorization identity differs from the user name")
    if (yield b"v=" + _base64(server_signature(verifier, conversation))) != b"":
        raise SaslError("expected an empty response")
    return VerifiedLogin(user_name)


def _read_first(message: bytes) -> _ClientFirst:
    found = CLIENT_FIRST.fullmatch(message)
    if found is None:
        raise SaslError("not the message that begins the exchange")
    return _ClientFirst(
        header=found["header"],
        flag=found["flag"],
        binding=(found["binding"] or b"").decode("ascii"),
        authorization=saslname(found["authorization"] or b""),
        user=saslname(found["user"]),
        nonce=found["nonce"],
        bare=found["bare"],
    )


def saslname(octets: bytes) -> bytes:
    """A name with "," and "=" unescaped (RFC 5802 §5.1); SaslError for any other "="."""
    if re.search(rb"=(?!2C|3D)", octets):
        raise SaslError("= stands for nothing")
    return octets.replace(b"=2C", b",").replace(b"=3D", b"=")


def _base64(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False)


def _octets(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise SaslError("not base64") from None
