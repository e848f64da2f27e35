"""Whatever a client sends, an exchange gives a challenge, a login or SaslError, and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.scram import make_verifier
from gateway.smtp.mechanisms.exchange import (
    BearerLogin,
    CertificateLogin,
    Circumstances,
    PasswordLogin,
    RefusedLogin,
    SaslError,
    SecureChannel,
    VerifiedLogin,
)
from gateway.smtp.sasl import MECHANISMS, decode_response
from tests.smtp.sasl_exchange import SALT, run
from tests.smtp.test_sasl_proofs import digest_response, final

VERIFIER = make_verifier("secret", SALT)  # made once: it takes a millisecond
AT = Circumstances("gateway.test", "nonce", SecureChannel({"tls-exporter": b"x"}, "ann"), True)
GOOD = [
    b"\0ann\0secret", b"ann", b"n,,n=ann,r=abc", final(b"n,,n=ann,r=abc"), b"p=tls-exporter,,n=ann,r=abc",
    final(b"p=tls-exporter,,n=ann,r=abc", bound=b"x"), b"ann 0123456789abcdef0123456789abcdef", digest_response(),
    b"n,a=ann,\x01auth=Bearer abc\x01\x01", b"user=ann\x01auth=Bearer abc\x01\x01", b"",
]  # fmt: skip


@st.composite
def near_messages(draw: st.DrawFn) -> bytes:
    """A good message with a piece of it replaced."""
    good = draw(st.sampled_from(GOOD))
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 4)))
    piece = draw(st.one_of(st.binary(max_size=4), st.sampled_from([b",", b"=", b'"', b"\\", b"\x01", b"=2C", b"\xff"])))
    return good[:start] + piece + good[end:]


messages = st.one_of(st.binary(max_size=200), st.sampled_from(GOOD), near_messages())


@pytest.mark.parametrize("name", MECHANISMS)
@settings(max_examples=300)
@given(initial=st.one_of(st.none(), messages), responses=st.lists(messages, max_size=4))
@example(initial=None, responses=[b'username="' + b"\\" * 4000])
@example(initial=b"n,,n=" + b"=2C" * 4000, responses=[])
def test_octets_give_a_challenge_a_login_or_an_error(name, initial, responses):
    secret = VERIFIER if "SCRAM" in name else "secret"
    try:
        login, challenges = run(name, initial, responses, secret=secret, at=AT)
    except SaslError:
        return
    kinds = PasswordLogin | VerifiedLogin | BearerLogin | CertificateLogin | RefusedLogin
    assert login is None or isinstance(login, kinds)
    assert all(len(challenge) <= 378 for challenge in challenges)  # "334 ", base64 and CRLF in 512 octets


@given(st.binary(max_size=100))
def test_a_line_is_base64_or_refused(line):
    with contextlib.suppress(SaslError):
        assert isinstance(decode_response(line), bytes)
