"""TLS contexts in memory: what needs a clock of our own, and what a session learns of its client's certificate."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from cryptography import x509
from OpenSSL import SSL
from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.accounts.throttle import FailedLoginCount
from gateway.certificate import certificate_name, read_certificates, read_server_certificate
from gateway.smtp.listener import SessionCount, Shared, SubmissionFactory
from gateway.smtp.reception import Reception, Receptions
from gateway.smtp.tls_transport import TlsFactory
from gateway.tls import TICKET_KEY_SECONDS, ServerContexts, TlsPolicy
from tests.smtp.certificates import Authority
from tests.smtp.scripted import session_rules

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


def server_certificate(authority):
    pair = authority.sign_for_server("server", "gateway.test")
    return read_server_certificate(pair.certificate, pair.private_key)


class MemoryClient:
    """Python's ssl over memory: octets are carried by hand."""

    def __init__(self, pair=None, version=ssl.TLSVersion.TLSv1_3, context=None, session=None):
        self.context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        if context is None:
            self.context.minimum_version = self.context.maximum_version = version
        if pair is not None:
            self.context.load_cert_chain(pair.certificate, pair.private_key)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = self.context.wrap_bio(self.incoming, self.outgoing, server_hostname="gateway.test", session=session)

    def step(self, octets=b""):
        """Take octets, and give those to send."""
        self.incoming.write(octets)
        try:
            self.tls.do_handshake()
            self.tls.read()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()


def shake_hands(contexts, client):
    server = contexts.serverConnectionForTLS(None)
    server.set_accept_state()
    octets = client.step()
    while octets:
        server.bio_write(octets)
        octets = client.step(server_octets(server))
    return client.tls


def server_octets(server):
    with suppress(SSL.WantReadError):
        server.do_handshake()
    try:
        return server.bio_read(65536)
    except SSL.WantReadError:
        return b""


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_the_keys_of_session_tickets_change_every_day(authority, version):
    now = [0.0]
    contexts = ServerContexts(server_certificate(authority), TlsPolicy(), {}, lambda: now[0])
    first = MemoryClient(version=version)
    session = shake_hands(contexts, first).session
    now[0] = TICKET_KEY_SECONDS - 1
    assert shake_hands(contexts, MemoryClient(context=first.context, session=session)).session_reused
    now[0] = TICKET_KEY_SECONDS + 1
    assert not shake_hands(contexts, MemoryClient(context=first.context, session=session)).session_reused


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_a_handshake_under_way_while_the_keys_change_is_finished(authority, version):
    now = [0.0]
    certificate = server_certificate(authority)
    contexts = ServerContexts(certificate, TlsPolicy(), {"gateway.test": certificate}, lambda: now[0])
    early = contexts.serverConnectionForTLS(None)
    now[0] = TICKET_KEY_SECONDS + 1
    contexts.serverConnectionForTLS(None)

    class Early:
        def serverConnectionForTLS(self, protocol):
            return early

    assert shake_hands(Early(), MemoryClient(version=version)).version() is not None


def session_after_handshake(authority, pair, *, client_ca):
    """The session of a connection over memory, as far as the client can bring it."""
    roots = read_certificates(authority.path) if client_ca else ()
    contexts = ServerContexts(server_certificate(authority), TlsPolicy(client_ca=roots))
    rules, clock = session_rules("implicit"), Clock()
    failed = FailedLoginCount(100, 600, 1, clock.seconds)
    shared = Shared(clock, lambda event: None, failed, SessionCount(rules.limits), lambda: "session-1")
    factory = SubmissionFactory(Receptions(Reception(rules, Portal(None))), contexts, shared, implicit_tls=True)
    wire = TlsFactory(contexts, factory)
    tls = wire.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
    transport, client = StringTransport(), MemoryClient(pair)
    tls.makeConnection(transport)
    octets = client.step()
    while octets:
        tls.dataReceived(octets)
        clock.advance(0)
        octets = client.step(transport.value())
        transport.clear()
    assert client.tls.version() == "TLSv1.3"
    return tls.protocol.session


def test_a_session_knows_its_client_by_the_verified_certificate(authority):
    pair = authority.sign("client", x509.RFC822Name("shop@cust.example"), purpose="client")
    session = session_after_handshake(authority, pair, client_ca=True)
    assert session.certificate_name == "shop@cust.example"


def test_a_session_knows_nobody_without_a_certificate_or_where_none_is_asked_for(authority):
    pair = authority.sign("client", x509.RFC822Name("shop@cust.example"), purpose="client")
    for shown, client_ca in ((None, True), (pair, False), (None, False)):
        session = session_after_handshake(authority, shown, client_ca=client_ca)
        assert session.certificate_name is None


@pytest.mark.parametrize(
    ("alternative", "common_name", "name"),
    [
        ([x509.DNSName("app.shop.example"), x509.RFC822Name("shop@cust.example")], "Shop", "shop@cust.example"),
        ([x509.DNSName("app.shop.example"), x509.DNSName("b.example")], "Shop", "app.shop.example"),
        ([x509.UniformResourceIdentifier("https://shop.example/")], "Shop", "Shop"),
        ([], "Shop", "Shop"),
        ([x509.UniformResourceIdentifier("https://shop.example/")], "", None),
        ([x509.DNSName("a\0b.example")], "Shop", "Shop"),
        ([x509.DNSName("x" * 255)], "Shop", "Shop"),
        ([], "a\nb", None),
    ],
)
def test_a_client_certificate_s_name_is_its_mailbox_else_dns_name_else_common_name(
    authority, alternative, common_name, name
):
    pair = authority.sign("client", *alternative, common_name=common_name, purpose="client")
    assert certificate_name(pair.value) == name
