"""The examples in the RFCs of the mechanisms, word for word."""

from __future__ import annotations

import base64

import pytest

from gateway.scram import make_verifier
from gateway.smtp.mechanisms.digest_md5 import read_response, response_digest
from gateway.smtp.mechanisms.exchange import (
    BearerLogin,
    CertificateLogin,
    Circumstances,
    PasswordLogin,
    RefusedLogin,
    SecureChannel,
    VerifiedLogin,
)
from tests.smtp.sasl_exchange import run

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="  # RFC 7628 §4.1
SCRAM_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"  # RFC 7677 §3
SCRAM_NONCE = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SCRAM_FINAL = b"c=biws,r=" + SCRAM_NONCE + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="


def test_plain_of_rfc_4616():
    assert run("PLAIN", b"\0tim\0tanstaaftanstaaf", [])[0] == PasswordLogin("tim", "tanstaaftanstaaf")


def test_cram_md5_of_rfc_2195():
    at = Circumstances("postoffice.reston.mci.net", "1896.697170952")
    login, challenges = run(
        "CRAM-MD5", None, [b"tim b913a602c7eda7a495b4e6e7334d3890"], secret="tanstaaftanstaaf", at=at
    )
    assert challenges == [b"<1896.697170952@postoffice.reston.mci.net>"]
    assert login == VerifiedLogin("tim")


@pytest.mark.parametrize(
    ("service", "nonces", "response", "rspauth"),
    [
        (
            "imap",
            ("OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk"),
            "d388dad90d4bbd760a152321f2143af7",
            "ea40f60335c427b5527b84dbabcdfffd",
        ),
        (
            "acap",
            ("OA9BSXrbuRhWay", "OA9BSuZWMSpW8m"),
            "6084c6db3fede7352c551284490fd0fc",
            "2f0b3d7c3c2e486600ef710726aa2eae",
        ),
    ],
)
def test_digest_md5_of_rfc_2831(service, nonces, response, rspauth):
    nonce, cnonce = nonces
    message = (
        f'charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="{nonce}",nc=00000001,cnonce="{cnonce}",'
        f'digest-uri="{service}/elwood.innosoft.com",response={response},qop=auth'
    )
    fields = read_response(message.encode())
    assert response_digest("secret", fields) == response.encode()
    assert response_digest("secret", fields, b"") == rspauth.encode()


def test_scram_sha_256_of_rfc_7677():
    verifier = make_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    at = Circumstances("gateway.test", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    login, challenges = run("SCRAM-SHA-256", None, [SCRAM_FIRST, SCRAM_FINAL, b""], secret=verifier, at=at)
    assert challenges == [
        b"",
        b"r=" + SCRAM_NONCE + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ]
    assert login == VerifiedLogin("user")


def test_oauthbearer_of_rfc_7628():
    message = f"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01"
    login, _ = run("OAUTHBEARER", message.encode(), [])
    assert login == BearerLogin("user@example.com", TOKEN)
    assert TOKEN not in repr(login)


def test_oauthbearer_without_a_token_asks_what_is_needed():
    assert isinstance(run("OAUTHBEARER", b"n,,\x01\x01", [])[0], RefusedLogin)


def test_xoauth2_as_googles_page_shows_it():
    message = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
    assert run("XOAUTH2", message, [])[0] == BearerLogin(
        "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    )


@pytest.mark.parametrize("responses", [[b""], [b"fred@example.com"]])
def test_external_of_rfc_4422_appendix_a(responses):
    at = Circumstances("gateway.test", "nonce", SecureChannel(certificate_name="fred@example.com"))
    assert run("EXTERNAL", None, responses, at=at) == (CertificateLogin("fred@example.com"), [b""])


def test_external_is_refused_for_another_identity_and_without_a_certificate():
    at = Circumstances("gateway.test", "nonce", SecureChannel(certificate_name="fred@example.com"))
    assert isinstance(run("EXTERNAL", b"ann@example.com", [], at=at)[0], RefusedLogin)
    assert isinstance(run("EXTERNAL", b"fred@example.com", [])[0], RefusedLogin)
