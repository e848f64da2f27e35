"""OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner: the client shows a bearer token, which is a vendor's key here."""

from __future__ import annotations

import re

from gateway.smtp.mechanisms.exchange import (
    BearerLogin,
    Circumstances,
    Exchange,
    Login,
    RefusedLogin,
    SaslError,
    name_of,
)
from gateway.smtp.mechanisms.scram import saslname

# RFC 7628 §3.1: gs2-header kvsep *kvpair kvsep. A channel binding ("p=") would be a mechanism of its own
OAUTHBEARER = re.compile(rb"[ny],(?:a=(?P<user>[^,\0\x01]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[ -~\t\r\n]*\x01)*)\x01")
# https://developers.google.com/gmail/imap/xoauth2-protocol
XOAUTH2 = re.compile(rb"user=(?P<user>[^\0\x01]*)\x01auth=(?P<auth>[ -~]*)\x01\x01")
TOKEN = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)  # RFC 6750 §2.1

OAUTHBEARER_REFUSAL = b'{"status":"invalid_token","schemes":"bearer","scope":""}'
"""RFC 7628 §3.2.2: the challenge behind a refusal, which the client answers with a dummy before it gets the reply."""
XOAUTH2_REFUSAL = b'{"status":"401","schemes":"bearer","scope":""}'


def oauthbearer(initial: bytes | None, _: Circumstances) -> Exchange:
    """RFC 7628 §3.1; host and port are what the client believes to be here, and decide nothing."""
    message = OAUTHBEARER.fullmatch((yield b"") if initial is None else initial)
    if message is None:
        raise SaslError("not an OAUTHBEARER message")
    pairs: dict[bytes, bytes] = {}
    for pair in message["pairs"].split(b"\x01")[:-1]:
        key, _equals, value = pair.partition(b"=")
        if key in pairs:
            raise SaslError("a key stands twice")
        pairs[key] = value
    user = message["user"]
    return _login(name_of(saslname(user)) if user else "", pairs.get(b"auth", b""))


def xoauth2(initial: bytes | None, _: Circumstances) -> Exchange:
    """user= and auth=, each with a ^A behind it, and one more at the end."""
    message = XOAUTH2.fullmatch((yield b"") if initial is None else initial)
    if message is None:
        raise SaslError("not an XOAUTH2 message")
    return _login(name_of(message["user"]) if message["user"] else "", message["auth"])


def _login(user_name: str, authorization: bytes) -> Login:
    """RFC 7628 §3.1: without a token a client asks what it needs, and the refusal tells it."""
    token = TOKEN.fullmatch(authorization)
    return BearerLogin(user_name, token[1].decode("ascii")) if token else RefusedLogin(user_name, "no bearer token")
