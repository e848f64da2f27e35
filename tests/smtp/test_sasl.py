"""Responses in base64, read strictly."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.sasl import SaslError, decode_response, encode_challenge


@given(st.binary(max_size=200))
def test_what_is_encoded_is_decoded_again(octets):
    assert decode_response(encode_challenge(octets).encode()) == octets


@given(st.binary(max_size=40))
def test_any_octets_are_a_response_or_a_sasl_error(octets):
    try:
        response = decode_response(octets)
    except SaslError:
        return
    assert len(base64.b64encode(response)) == len(octets)


@pytest.mark.parametrize("line", [b"QQ", b"Q===", b"QQ==QQ==", b"Q Q=", b"QQ==\r", b"\xff", b"=", b"QQ-_", b"\0"])
def test_what_is_no_base64_is_refused(line):
    with pytest.raises(SaslError):
        decode_response(line)
