"""SCRAM, CRAM-MD5 and DIGEST-MD5 with a client of our own: what is taken, what refused, what is no message at all."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from gateway.smtp.mechanisms.cram_md5 import cram_md5_digest
from gateway.smtp.mechanisms.digest_md5 import response_digest
from gateway.smtp.mechanisms.exchange import Circumstances, RefusedLogin, SaslError, SecureChannel, VerifiedLogin
from tests.smtp.sasl_exchange import SALT, run

EXPORTED = b"exported by TLS"
BOUND = Circumstances(
    "gateway.test", "nonce", SecureChannel({"tls-exporter": EXPORTED, "tls-server-end-point": b"certificate"}), True
)


def final(first: bytes, *, secret: str = "secret", bound: bytes = b"", nonce: bytes = b"") -> bytes:
    """The client's final message to server-first of run(): RFC 5802 §3, from its text alone."""
    header, bare = first[: first.index(b",", first.index(b",") + 1) + 1], first.split(b",", 2)[2]
    nonce = nonce or first.split(b",r=")[1] + b"nonce"
    server_first = b"r=" + nonce + b",s=" + base64.b64encode(SALT) + b",i=4096"
    without_proof = b"c=" + base64.b64encode(header + bound) + b",r=" + nonce
    message = b",".join((bare, server_first, without_proof))
    client_key = hmac.digest(hashlib.pbkdf2_hmac("sha256", secret.encode(), SALT, 4096), b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
    return without_proof + b",p=" + base64.b64encode(proof)


def scram(first: bytes, *, plus: bool = False, at: Circumstances = BOUND, **changes):
    name = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
    return run(name, first, [final(first, **changes), b""], at=at)[0]


@pytest.mark.parametrize("first", [b"n,,n=ann,r=abc", b"n,a=ann,n=ann,r=abc", b"n,,n=ann,r=a/b+c"])
def test_scram_takes_the_right_proof(first):
    assert scram(first) == VerifiedLogin("ann")


def test_scram_user_names_are_unescaped_and_prepared():
    assert scram(b"n,,n=a=2Cb=3Dc,r=abc") == VerifiedLogin("a,b=c")
    assert scram("n,,n=\uff41nn,r=abc".encode()) == VerifiedLogin("ann")


def test_scram_refuses_a_wrong_secret_and_another_identity():
    assert isinstance(scram(b"n,,n=ann,r=abc", secret="other"), RefusedLogin)
    assert isinstance(scram(b"n,a=bob,n=ann,r=abc"), RefusedLogin)


@pytest.mark.parametrize(("kind", "data"), [(b"tls-exporter", EXPORTED), (b"tls-server-end-point", b"certificate")])
def test_scram_plus_takes_each_binding_that_the_channel_has(kind, data):
    assert scram(b"p=" + kind + b",,n=ann,r=abc", plus=True, bound=data) == VerifiedLogin("ann")


def test_scram_plus_refuses_what_was_bound_to_another_channel():
    refused = scram(b"p=tls-exporter,,n=ann,r=abc", plus=True, bound=b"the channel of somebody in the middle")
    assert isinstance(refused, RefusedLogin)
    assert refused.reason == "wrong channel binding"
    assert isinstance(scram(b"p=tls-unique,,n=ann,r=abc", plus=True, bound=EXPORTED), RefusedLogin)


@pytest.mark.parametrize("first", [b"n,,n=ann,r=abc", b"y,,n=ann,r=abc"])
def test_scram_plus_asks_for_a_binding(first):
    with pytest.raises(SaslError):
        scram(first, plus=True)


def test_a_client_that_could_bind_and_saw_no_plus_is_refused_where_plus_was_offered():
    """Somebody in the middle has taken it out of the offer (RFC 5802 §6)."""
    assert isinstance(scram(b"y,,n=ann,r=abc"), RefusedLogin)
    assert scram(b"y,,n=ann,r=abc", at=Circumstances("gateway.test", "nonce")) == VerifiedLogin("ann")


def test_scram_asks_for_its_own_nonce_back():
    with pytest.raises(SaslError):
        scram(b"n,,n=ann,r=abc", nonce=b"abcother")


@pytest.mark.parametrize(
    "first",
    [
        b"", b"n,,", b"n,,n=ann", b"n,,r=abc,n=ann", b"n,,m=x,n=ann,r=abc", b"p=tls-exporter,,n=ann,r=abc",
        b"z,,n=a,r=b", b"n,,n=,r=abc", b"n,,n=a=2cb,r=abc", b"n,,n=a=b,r=abc", b"n,,n=ann,r=", b"n,,n=ann,r=a\x7f",
        b"n,,n=a\nn,r=abc",
        b"n,,n=\xff,r=abc", b"n,,n=ann,r=" + b"x" * 129,
    ],
)  # fmt: skip
def test_what_is_no_first_message_of_scram(first):
    with pytest.raises(SaslError):
        run("SCRAM-SHA-256", first, [])


@pytest.mark.parametrize("last", [b"x", b"\0"])
def test_nothing_may_be_said_after_the_servers_signature(last):
    first = b"n,,n=ann,r=abc"
    with pytest.raises(SaslError):
        run("SCRAM-SHA-256", first, [final(first), last])


def test_cram_md5_refuses_a_wrong_digest_and_takes_names_with_spaces():
    digest = cram_md5_digest("secret", b"<nonce@gateway.test>")
    assert run("CRAM-MD5", None, [b"ann of shop " + digest])[0] == VerifiedLogin("ann of shop")
    for wrong in (digest.upper(), digest[::-1], b"0" * 32):
        assert isinstance(run("CRAM-MD5", None, [b"ann " + wrong])[0], RefusedLogin)


@pytest.mark.parametrize("response", [b"", b"ann", b" " + b"0" * 32, b"ann " + b"0" * 31, b"a\0n " + b"0" * 32])
def test_what_is_no_response_of_cram_md5(response):
    with pytest.raises(SaslError):
        run("CRAM-MD5", None, [response])


@pytest.mark.parametrize("name", ["CRAM-MD5", "DIGEST-MD5"])
def test_where_the_server_speaks_first_no_initial_response_is_taken(name):
    with pytest.raises(SaslError):
        run(name, b"", [])


def digest_response(secret: str = "secret", **changes: bytes | None) -> bytes:
    fields = {
        b"username": b"ann", b"realm": b"gateway.test", b"nonce": b"nonce", b"cnonce": b"c", b"nc": b"00000001",
        b"qop": b"auth", b"digest-uri": b"smtp/localhost",
    }  # fmt: skip
    fields |= {name.replace("_", "-").encode(): value for name, value in changes.items()}
    fields = {name: value for name, value in fields.items() if value is not None}
    fields.setdefault(b"response", response_digest(secret, fields))
    quoted = (
        name + b'="' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"' for name, value in fields.items()
    )
    return b", ".join(quoted)


@pytest.mark.parametrize(
    "changes",
    [{}, {"realm": None}, {"realm": b""}, {"qop": None}, {"authzid": b"ann"}, {"digest_uri": b"SMTP/a.example/b"}],
)
def test_digest_md5_takes_the_right_digest_and_proves_itself(changes):
    login, challenges = run("DIGEST-MD5", None, [digest_response(**changes), b""])
    assert login == VerifiedLogin("ann")
    assert challenges[0] == b'realm="gateway.test",nonce="nonce",qop="auth",charset=utf-8,algorithm=md5-sess'
    assert challenges[1].startswith(b"rspauth=")


@pytest.mark.parametrize("wrong", [digest_response("other"), digest_response(authzid=b"bob")])
def test_digest_md5_refuses_a_wrong_secret_and_another_identity(wrong):
    assert isinstance(run("DIGEST-MD5", None, [wrong, b""])[0], RefusedLogin)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": b"other"}, {"nc": b"00000002"}, {"qop": b"auth-int"}, {"realm": b"other"}, {"digest_uri": b"imap/a"},
        {"cnonce": b""}, {"charset": b"latin1"}, {"response": b"x"}, {"username": b""},
        {"x": b"y" * 4096},
    ],
)  # fmt: skip
def test_digest_md5_asks_for_its_own_words_back(changes):
    with pytest.raises(SaslError):
        run("DIGEST-MD5", None, [digest_response(**changes)])


@pytest.mark.parametrize("response", [b"", b"nc=1", b"nonsense", b'username="ann'])
def test_what_is_no_response_of_digest_md5(response):
    with pytest.raises(SaslError):
        run("DIGEST-MD5", None, [response])


def test_digest_md5_takes_no_directive_twice():
    with pytest.raises(SaslError):
        run("DIGEST-MD5", None, [digest_response() + b',Username="bob"'])
