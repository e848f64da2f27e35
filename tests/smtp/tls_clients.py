"""A gateway with certificates of every kind on its listeners, and clients that connect as told."""

from __future__ import annotations

import ssl

from cryptography import x509

from tests.smtp.certificates import Authority
from tests.smtp.own_gateway import own_gateway
from tests.smtp.wire import WireClient

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
TABLES = """\
[tls]
certificate = "{default.certificate}"
private_key = "{default.private_key}"

[[tls.sni]]
name = "smtp.shop.example"
certificate = "{shop.certificate}"
private_key = "{shop.private_key}"

[[tls.sni]]
name = "*.Wild.example"
certificate = "{wild.certificate}"
private_key = "{wild.private_key}"
"""
OWN = 'tls = "implicit"\ncertificate = "{own.certificate}"\nprivate_key = "{own.private_key}"'


def make_files(folder):
    """What the gateway and its clients have: authorities and certificates by name."""
    servers, clients, others = Authority(folder, "servers"), Authority(folder, "clients"), Authority(folder, "others")
    shop = x509.RFC822Name("shop@cust.example")
    return {
        "servers": servers,
        "clients": clients,
        "default": servers.sign_for_server("default", "gateway.test"),
        "shop": servers.sign_for_server("shop", "smtp.shop.example"),
        "wild": servers.sign_for_server("wild", "*.wild.example"),
        "own": servers.sign_for_server("own", "own.example"),
        "good client": clients.sign("good", shop, purpose="client"),
        "client of another authority": others.sign("foreign", shop, purpose="client"),
        "expired client": clients.sign("expired", shop, purpose="client", age_days=400),
        "server as a client": clients.sign("server", shop, purpose="server"),
    }


def tls_gateway(folder, files):
    """A gateway of its own, with a listener for each kind of TLS settings."""
    client_ca = f'client_ca = "{files["clients"].path}"\nmechanisms = ["EXTERNAL", "PLAIN"]'
    listeners = {
        "starttls": 'tls = "starttls"',
        "implicit": 'tls = "implicit"',
        "modern": 'tls = "implicit"\nciphers = "modern"',
        "floor": 'tls = "implicit"\nminimum_version = "1.3"',
        "certified": f'tls = "implicit"\n{client_ca}',
        "certified-starttls": f'tls = "starttls"\n{client_ca}',
        "own": OWN.format(**files),
    }
    return own_gateway(folder, listeners, TABLES.format(**files))


def client_context(files, *, minimum=TLS12, maximum=TLS13, ciphers=None, pair=None, alpn=None, checks=True):
    context = ssl.create_default_context(cafile=files["servers"].path)
    context.check_hostname = checks
    context.minimum_version, context.maximum_version = minimum, maximum
    if ciphers:
        context.set_ciphers(ciphers)
    if pair:
        context.load_cert_chain(pair.certificate, pair.private_key)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def greeted(gateway, listener, context, name=None, session=None):
    """A client under TLS that has had an answer to EHLO."""
    client = WireClient(gateway.ports[listener])
    try:
        if "starttls" in listener:
            client.read_reply()
            assert client.ask(b"EHLO client.test\r\nSTARTTLS\r\n", 2)[1] == "220 Ready to start TLS"
        client.socket = context.wrap_socket(client.socket, server_hostname=name, session=session)
        if "starttls" not in listener:
            assert client.read_reply() == "220 gateway.test ESMTP"
        assert client.ask(b"EHLO client.test\r\n")[0].startswith("250-gateway.test")
    except BaseException:
        client.socket.close()
        raise
    return client
