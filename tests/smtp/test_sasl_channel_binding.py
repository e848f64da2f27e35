"""Both ends of a TLS connection have the same channel binding data: ours, and that of Python's ssl or of OpenSSL."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ssl

import pytest
from OpenSSL import SSL

from gateway.certificate import read_server_certificate
from gateway.smtp.channel_binding import channel_bindings
from gateway.tls import TlsPolicy, self_made_certificate, server_context


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    paths = self_made_certificate(folder, "gateway.test", datetime.datetime.now(datetime.UTC))
    return server_context(read_server_certificate(*paths), TlsPolicy(), b"session"), paths[0]


def client_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


def shake_hands(server: SSL.Context, client: ssl.SSLContext, session: ssl.SSLSession | None = None):
    """Our end and Python's end of a connection in memory, after the handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs, ours = client.wrap_bio(incoming, outgoing, session=session), SSL.Connection(server, None)
    ours.set_accept_state()
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
        if outgoing.pending:
            ours.bio_write(outgoing.read())
        with contextlib.suppress(SSL.WantReadError):
            ours.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            incoming.write(ours.bio_read(65536))
    return ours, theirs


def test_tls_1_2_has_tls_unique_as_python_sees_it_in_a_new_session_and_in_one_taken_up_again(server):
    context, _ = server
    client = client_context(ssl.TLSVersion.TLSv1_2)
    first, theirs = shake_hands(context, client)
    unique = channel_bindings(first)["tls-unique"]
    assert unique == theirs.get_channel_binding("tls-unique")
    again, theirs = shake_hands(context, client, theirs.session)
    assert theirs.session_reused
    assert channel_bindings(again)["tls-unique"] == theirs.get_channel_binding("tls-unique") != unique


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_end_point_is_the_hash_of_the_certificate(server, version):
    context, path = server
    ours, theirs = shake_hands(context, client_context(version))
    certificate = ssl.PEM_cert_to_DER_cert(path.read_text())
    assert theirs.getpeercert(binary_form=True) == certificate
    assert channel_bindings(ours)["tls-server-end-point"] == hashlib.sha256(certificate).digest()


def test_tls_1_3_has_tls_exporter_and_no_tls_unique(server):
    context, _ = server
    bindings = [channel_bindings(shake_hands(context, client_context(ssl.TLSVersion.TLSv1_3))[0]) for _ in range(2)]
    assert all(one.keys() == {"tls-exporter", "tls-server-end-point"} for one in bindings)
    assert len(bindings[0]["tls-exporter"]) == 32
    assert bindings[0]["tls-exporter"] != bindings[1]["tls-exporter"]


def test_tls_1_2_has_no_binding_where_openssl_cannot_be_asked_for_the_extended_master_secret(monkeypatch):
    monkeypatch.delattr(SSL, "_lib")
    assert channel_bindings(FirstQuestion()) == {}


class FirstQuestion:
    """A TLS 1.2 connection as far as it is asked before anything else; a real one needs what is missing here."""

    def get_protocol_version_name(self) -> str:
        return "TLSv1.2"
