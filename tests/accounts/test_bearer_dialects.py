"""Bearer tokens by dialect: an API key is one where clients log in with keys, and nothing at all where they do not."""

from __future__ import annotations

import base64
import smtplib
import ssl
from contextlib import contextmanager

import pytest

from tests.smtp.own_gateway import own_gateway

BEARER = 'mechanisms = ["OAUTHBEARER", "XOAUTH2", "PLAIN"]'
LISTENERS = {
    "relaypost": f'dialect = "relaypost"\n{BEARER}',
    "shared": f'dialects = ["relaypost", "postscale", "poststack"]\n{BEARER}',
}
VENDORS = "".join(
    f'[vendors.{name}]\napi = "{name}"\nurl = "http://127.0.0.1:{{console}}/sandbox/{name}/v1"\n'
    for name in ("relaypost", "poststack")
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with own_gateway(tmp_path_factory.mktemp("bearer"), LISTENERS, VENDORS) as running:
        yield running


@contextmanager
def session(gateway, listener):
    with smtplib.SMTP(gateway.host, gateway.ports[listener], timeout=30) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(gateway.ca_file)))
        client.ehlo()
        yield client


def bear(client, mechanism, token, user_name=""):
    """The code of the reply in the end, behind the challenge that goes before a refusal."""
    message = {
        "OAUTHBEARER": f"n,a={user_name},\x01auth=Bearer {token}\x01\x01"
        if user_name
        else f"n,,\x01auth=Bearer {token}\x01\x01",
        "XOAUTH2": f"user={user_name}\x01auth=Bearer {token}\x01\x01",
    }[mechanism]
    code, _ = client.docmd("AUTH", f"{mechanism} {base64.b64encode(message.encode()).decode()}")
    return client.docmd("AQ==")[0] if code == 334 else code


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_relaypost_key_is_no_bearer_token(gateway, mechanism):
    with session(gateway, "relaypost") as client:
        assert bear(client, mechanism, "rp_test_9f2c4d6e8a0b1c3d5e7f", "relaypost") == 535


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize(
    ("token", "user_name", "code"),
    [
        ("ps_test_shop", "", 235),
        ("ps_test_shop", "postscale", 235),
        ("ps_test_shop", "ann@shop.example", 235),
        ("sk_test_shop", "PostStack", 235),
        ("sk_test_shop", "", 535),
        ("ps_test_shop", "poststack", 535),
    ],
)
def test_of_several_dialects_the_user_name_tells_whose_key_it_is(gateway, mechanism, token, user_name, code):
    with session(gateway, "shared") as client:
        assert bear(client, mechanism, token, user_name) == code
