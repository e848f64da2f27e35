"""TLS as clients meet it on a running gateway: names, versions, ciphers, resumption."""

from __future__ import annotations

import socket
import ssl
import subprocess

import pytest

from tests.smtp.own_gateway import own_gateway
from tests.smtp.tls_clients import TABLES, TLS12, TLS13, client_context, greeted, make_files, tls_gateway


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def gateway(files, tmp_path_factory):
    with tls_gateway(tmp_path_factory.mktemp("tls"), files) as running:
        yield running


@pytest.fixture(scope="module")
def ticketless(files, tmp_path_factory):
    tables = TABLES.format(**files).replace("[tls]\n", "[tls]\nsession_tickets = false\n")
    with own_gateway(tmp_path_factory.mktemp("ticketless"), {"implicit": 'tls = "implicit"'}, tables) as running:
        yield running


def served_names(client):
    return {value for _, value in client.socket.getpeercert()["subjectAltName"]}


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("listener", ["starttls", "implicit"])
@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("smtp.shop.example", "smtp.shop.example"),
        ("SMTP.Shop.Example", "smtp.shop.example"),
        ("eu.wild.example", "*.wild.example"),
        ("gateway.test", "gateway.test"),
        ("wild.example", "gateway.test"),
        ("a.eu.wild.example", "gateway.test"),
        ("shop.example", "gateway.test"),
        ("unknown.example", "gateway.test"),
        (None, "gateway.test"),
    ],
)
def test_a_client_gets_the_certificate_of_the_name_it_asks_for_and_else_the_default(
    gateway, files, listener, version, name, served
):
    context = client_context(files, minimum=version, maximum=version, checks=False)
    with greeted(gateway, listener, context, name) as client:
        assert served_names(client) == {served}


def test_a_client_that_checks_names_is_content(gateway, files):
    for name in ("gateway.test", "smtp.shop.example", "us.wild.example"):
        with greeted(gateway, "implicit", client_context(files), name) as client:
            assert client.socket.version() == "TLSv1.3"


def test_a_listener_s_own_certificate_is_its_default_and_the_names_are_served_there_too(gateway, files):
    for name, served in (("unknown.example", "own.example"), ("smtp.shop.example", "smtp.shop.example")):
        with greeted(gateway, "own", client_context(files, checks=False), name) as client:
            assert served_names(client) == {served}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("name", [None, "smtp.shop.example"])
@pytest.mark.parametrize(
    ("listener", "version"),
    [
        ("starttls", ssl.TLSVersion.TLSv1_1),
        ("implicit", ssl.TLSVersion.TLSv1),
        ("implicit", ssl.TLSVersion.TLSv1_1),
        ("modern", TLS12),
        ("floor", TLS12),
    ],
)
def test_a_version_below_the_listener_s_minimum_is_refused(gateway, files, listener, version, name):
    context = client_context(
        files, minimum=ssl.TLSVersion.TLSv1, maximum=version, ciphers="ALL:@SECLEVEL=0", checks=False
    )
    with pytest.raises(ssl.SSLError) as raised:
        greeted(gateway, listener, context, name)
    assert raised.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize("name", [None, "smtp.shop.example"])
@pytest.mark.parametrize("listener", ["modern", "floor"])
def test_a_listener_for_tls_1_3_alone_takes_it(gateway, files, listener, name):
    with greeted(gateway, listener, client_context(files, minimum=TLS13, checks=False), name) as client:
        assert client.socket.version() == "TLSv1.3"


@pytest.mark.parametrize("name", [None, "smtp.shop.example"])
def test_tls_1_3_begins_with_the_cipher_whose_handshake_costs_least(gateway, files, name):
    with greeted(gateway, "implicit", client_context(files, minimum=TLS13, checks=False), name) as client:
        assert client.socket.cipher()[0] == "TLS_AES_128_GCM_SHA256"


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_a_cipher_with_forward_secrecy_and_aead_is_taken(gateway, files, cipher):
    context = client_context(files, maximum=TLS12, ciphers=cipher, checks=False)
    with greeted(gateway, "implicit", context) as client:
        assert client.socket.cipher()[0] == cipher


@pytest.mark.parametrize("name", [None, "smtp.shop.example"])
@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256"])
def test_any_other_cipher_is_refused(gateway, files, cipher, name):
    context = client_context(files, maximum=TLS12, ciphers=f"{cipher}:@SECLEVEL=0", checks=False)
    with pytest.raises(ssl.SSLError) as raised:
        greeted(gateway, "implicit", context, name)
    assert raised.value.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"


@pytest.mark.parametrize("alpn", [["smtp"], ["h2", "http/1.1"]])
def test_a_client_that_offers_alpn_connects_all_the_same(gateway, files, alpn):
    for name in ("gateway.test", "smtp.shop.example"):
        with greeted(gateway, "implicit", client_context(files, alpn=alpn), name) as client:
            assert client.socket.selected_alpn_protocol() is None


def comes_back(gateway, context, listener, name):
    with greeted(gateway, listener, context, name) as client:
        session = client.socket.session
    with greeted(gateway, listener, context, name, session) as client:
        return client.socket.session_reused


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", [None, "smtp.shop.example"])
@pytest.mark.parametrize("listener", ["starttls", "implicit", "certified"])
def test_a_client_that_comes_back_resumes_its_session(gateway, files, listener, name, version):
    context = client_context(files, minimum=version, maximum=version, checks=False)
    assert comes_back(gateway, context, listener, name)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_without_session_tickets_every_handshake_is_a_whole_one(ticketless, files, version):
    context = client_context(files, minimum=version, maximum=version, checks=False)
    assert not comes_back(ticketless, context, "implicit", None)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_a_session_of_one_listener_is_not_resumed_at_another(gateway, files, version):
    context = client_context(files, minimum=version, maximum=version, checks=False)
    with greeted(gateway, "implicit", context) as client:
        session = client.socket.session
    with greeted(gateway, "certified", context, session=session) as client:
        assert not client.socket.session_reused


@pytest.mark.parametrize("octets", [b"EHLO client.test\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x80\x2e\x01\x00\x02"])
def test_what_is_no_tls_on_the_implicit_port_is_told_so_and_comes_to_a_quick_end(gateway, octets):
    with socket.create_connection(("127.0.0.1", gateway.ports["implicit"]), timeout=5) as client:
        client.sendall(octets)
        answer = b""
        while received := client.recv(4096):
            answer += received
    assert answer.startswith(b"554 This port speaks TLS from the first octet")


def s_client(gateway, files, listener, *arguments, octets=b"QUIT\n"):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.ports[listener]}", "-CAfile"]
    command += [str(files["servers"].path), "-verify_return_error", "-crlf", *arguments]
    run = subprocess.run(command, input=octets, capture_output=True, timeout=20, check=False)
    return run.stdout.decode("utf-8", "replace") + run.stderr.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def openssl(needs):
    present = subprocess.run(["sh", "-c", "command -v openssl"], capture_output=True, check=False)
    needs(present.returncode == 0, "openssl")


@pytest.mark.parametrize("listener", ["starttls", "implicit"])
@pytest.mark.usefixtures("openssl")
def test_openssl_verifies_each_name(gateway, files, listener):
    start = ["-starttls", "smtp"] if listener == "starttls" else []
    for name in ("gateway.test", "smtp.shop.example", "eu.wild.example"):
        said = s_client(gateway, files, listener, *start, "-servername", name, "-verify_hostname", name)
        assert "Verify return code: 0 (ok)" in said
        assert "No client certificate CA names sent" in said


@pytest.mark.usefixtures("openssl")
def test_openssl_is_told_whose_client_certificates_are_taken(gateway, files):
    for name in ("gateway.test", "smtp.shop.example"):
        said = s_client(gateway, files, "certified", "-servername", name)
        assert "Acceptable client certificate CA names\nCN = clients" in said


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
@pytest.mark.usefixtures("openssl")
def test_openssl_resumes_its_session(gateway, files, version, tmp_path):
    session = str(tmp_path / "session.pem")
    assert "New, TLS" in s_client(gateway, files, "implicit", f"-{version}", "-sess_out", session, "-ign_eof")
    assert "Reused, TLS" in s_client(gateway, files, "implicit", f"-{version}", "-sess_in", session, "-ign_eof")
