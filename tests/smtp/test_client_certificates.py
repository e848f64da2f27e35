"""Client certificates on a running gateway: who is let in with one, and who logs in by it."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from tests.smtp.tls_clients import TLS12, TLS13, client_context, greeted, make_files, tls_gateway


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def gateway(files, tmp_path_factory):
    with tls_gateway(tmp_path_factory.mktemp("tls"), files) as running:
        yield running


def extensions(client):
    return [line[4:] for line in client.ask(b"EHLO client.test\r\n")[0].split("\n")]


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("listener", ["certified", "certified-starttls", "implicit"])
@pytest.mark.parametrize("pair", ["good client", None])
def test_a_good_client_certificate_or_none_is_taken(gateway, files, listener, version, pair):
    context = client_context(files, minimum=version, maximum=version, pair=pair and files[pair], checks=False)
    for name in (None, "smtp.shop.example"):
        greeted(gateway, listener, context, name).socket.close()


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("listener", ["certified", "certified-starttls"])
@pytest.mark.parametrize(("pair", "offered"), [("good client", "AUTH EXTERNAL PLAIN"), (None, "AUTH PLAIN")])
def test_external_is_offered_to_a_client_with_a_certificate_alone(gateway, files, listener, version, pair, offered):
    context = client_context(files, minimum=version, maximum=version, pair=pair and files[pair], checks=False)
    with greeted(gateway, listener, context) as client:
        assert offered in extensions(client)
        session = client.socket.session
    with greeted(gateway, listener, context, session=session) as client:
        assert client.socket.session_reused
        assert offered in extensions(client)


@pytest.mark.parametrize("listener", ["certified", "certified-starttls"])
def test_a_credential_with_the_name_of_the_certificate_logs_in_by_it(gateway, files, listener):
    add = [Path(sys.executable).with_name("mailgateway"), "credentials", "add", "--config"]
    settings = gateway.log_file.with_name("gateway.toml")
    name = f"{listener}@cust.example"
    pair = files["clients"].sign(listener, x509.RFC822Name(name), purpose="client")
    with greeted(gateway, listener, client_context(files, pair=pair, checks=False)) as client:
        assert client.ask(b"AUTH EXTERNAL =\r\n")[0].startswith("535 ")
        subprocess.run([*add, settings, name], capture_output=True, check=True)
        assert client.ask(b"AUTH EXTERNAL =\r\n")[0].startswith("235 ")


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("listener", ["certified", "certified-starttls"])
@pytest.mark.parametrize("pair", ["client of another authority", "expired client", "server as a client"])
def test_a_bad_client_certificate_ends_the_handshake(gateway, files, listener, version, pair):
    context = client_context(files, minimum=version, maximum=version, pair=files[pair], checks=False)
    for name in (None, "smtp.shop.example"):
        # With TLS 1.3 the client has ended its half of the handshake before it hears of the refusal
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            greeted(gateway, listener, context, name)


def test_a_bad_certificate_does_no_harm_where_none_is_asked_for(gateway, files):
    context = client_context(files, pair=files["client of another authority"], checks=False)
    greeted(gateway, "implicit", context).socket.close()
