"""Server TLS: the contexts of one listener, and the self-made certificate of the embedded default.

Clients are HTTP's affair; see http_client. Nothing here knows SMTP, and only the self-made certificate touches files.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from gateway.certificate import CertificateError, ServerCertificate, read_server_certificate

Version = Literal["1.2", "1.3"]
CipherPolicy = Literal["intermediate", "modern"]

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"  # forward secrecy and AEAD only; RFC 9325 §4.2
CIPHER_SUITES = {
    f"ECDHE-{key}-{ours}": f"TLS_ECDHE_{key}_WITH_{registered}"
    for key in ("ECDSA", "RSA")
    for ours, registered in (
        ("AES128-GCM-SHA256", "AES_128_GCM_SHA256"),
        ("AES256-GCM-SHA384", "AES_256_GCM_SHA384"),
        ("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256"),
    )
}
"""OpenSSL's names of TLS 1.2's suites in CIPHERS, and those of IANA's registry; of TLS 1.3 both have the same."""
# The first is the one that everybody has (RFC 8446 §9.1). OpenSSL would begin with AES-256, whose SHA-384 makes a
# handshake 8 % dearer.
TLS_1_3_CIPHERS = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
VERSIONS: Mapping[Version, int] = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
TICKET_KEY_SECONDS = 24 * 60 * 60  # RFC 9325 §3.4: keys of tickets are changed; OpenSSL keeps one as long as a context
SESSION_ID_OCTETS = 32  # the most that OpenSSL takes
SELF_MADE_DAYS = 397  # what clients accept at most from a public CA, so that nobody gets used to more
RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What a listener asks of TLS. client_ca: the roots of client certificates; without any, none is asked for.

    "intermediate" takes TLS 1.2 with ECDHE and AEAD, and 1.3; "modern" takes 1.3 alone, whatever minimum_version is.
    session_tickets: measured, resuming saves 20 to 50 % of the processor time of a handshake with an EC key, 60 to 80 %
    with an RSA key.
    """

    minimum_version: Version = "1.2"
    ciphers: CipherPolicy = "intermediate"
    session_tickets: bool = True
    client_ca: tuple[x509.Certificate, ...] = ()


@implementer(IOpenSSLServerConnectionCreator)
class ServerContexts:
    """Makes the TLS connections of one listener: a default certificate, and others for names that clients ask for.

    by_name has the names in lower case; "*.shop.example" stands for one label more. seconds is a monotonic clock.
    CertificateError when OpenSSL does not take a certificate.
    """

    def __init__(
        self,
        certificate: ServerCertificate,
        policy: TlsPolicy,
        by_name: Mapping[str, ServerCertificate] | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._certificate = certificate
        self._policy = policy
        self._by_name = by_name or {}
        self._seconds = seconds
        # One id for all: a session that began under one name would not be found again under another's id
        self._session_id = os.urandom(SESSION_ID_OCTETS)
        self._make_contexts()

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A new connection, for Twisted to drive."""
        if self._policy.session_tickets and self._seconds() - self._made_at > TICKET_KEY_SECONDS:
            self._make_contexts()
        return SSL.Connection(self._default, None)

    def replace(self, certificate: ServerCertificate, by_name: Mapping[str, ServerCertificate]) -> None:
        """Use these for the handshakes to come. CertificateError, and nothing changes, when OpenSSL takes one not."""
        before = self._certificate, self._by_name
        self._certificate, self._by_name = certificate, by_name
        try:
            self._make_contexts()
        except CertificateError:
            self._certificate, self._by_name = before
            raise

    def _make_contexts(self) -> None:
        """New contexts have new ticket keys. A handshake under way may still call into the ones before."""
        named = {name: self._context(one) for name, one in self._by_name.items()}
        default = self._context(self._certificate)
        self._made_at = self._seconds()
        self._before = getattr(self, "_default", None)
        self._named, self._default = named, default
        self._default.set_tlsext_servername_callback(lambda connection: _choose_context(connection, named))

    def _context(self, certificate: ServerCertificate) -> SSL.Context:
        return server_context(certificate, self._policy, self._session_id)


def session_tls(connection: SSL.Connection) -> str:
    """What a session's TLS is, for trace information: "TLSv1.3, TLS_AES_256_GCM_SHA384". After the handshake."""
    cipher = connection.get_cipher_name() or ""
    return f"{connection.get_protocol_version_name()}, {CIPHER_SUITES.get(cipher, cipher)}"


def _choose_context(connection: SSL.Connection, named: Mapping[str, SSL.Context]) -> None:
    """Change to the certificate for the name that the client asks for (RFC 6066 §3); an unknown name gets the default.

    Only certificate, key and roots change: versions, options and ciphers stay, which is why all contexts agree in them.
    """
    name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
    context = named.get(name) or named.get("*." + name.partition(".")[2])
    if context is not None:
        connection.set_context(context)


def server_context(certificate: ServerCertificate, policy: TlsPolicy, session_id: bytes) -> SSL.Context:
    """A context with this certificate under this policy. CertificateError when OpenSSL does not take it."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(VERSIONS["1.3" if policy.ciphers == "modern" else policy.minimum_version])
    context.set_cipher_list(CIPHERS)  # of TLS 1.2; those of TLS 1.3 are all ECDHE and AEAD
    context.set_tls13_ciphersuites(TLS_1_3_CIPHERS)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    # A cache on our side would cost memory for each session; tickets are kept by the client (RFC 8446 §2.2)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle session costs 30 KiB instead of 50
    if not policy.session_tickets:
        context.set_options(SSL.OP_NO_TICKET)
    context.set_session_id(session_id)
    # No callback for ALPN: whatever a client offers is ignored and the handshake goes on (RFC 7301 §3.2)
    _ask_for_certificate(context, policy.client_ca)
    try:
        context.use_certificate(certificate.chain[0])
        for one in certificate.chain[1:]:
            context.add_extra_chain_cert(one)
        context.use_privatekey(certificate.private_key)
        context.check_privatekey()
    except SSL.Error:
        raise CertificateError(f"{certificate.path}: OpenSSL does not take it; is its key too short?") from None
    return context


def _ask_for_certificate(context: SSL.Context, roots: tuple[x509.Certificate, ...]) -> None:
    """Ask for a client certificate from these roots: none is well, a bad one ends the handshake."""
    store = context.get_cert_store()
    for one in roots:
        context.add_client_ca(one)
        if store is not None:
            store.add_cert(crypto.X509.from_cryptography(one))
    if roots:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE)


def self_made_certificate(folder: Path, hostname: str, now: datetime.datetime) -> tuple[Path, Path]:
    """The paths of a certificate and key of our own making, for localhost and hostname; made when missing or old."""
    certificate, private_key = folder / "certificate.pem", folder / "private_key.pem"
    if not _still_good(certificate, private_key, now):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        key_octets = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(private_key, key_octets, mode=0o600)
        _write(certificate, _sign(key, hostname, now).public_bytes(serialization.Encoding.PEM), mode=0o644)
    return certificate, private_key


def _still_good(certificate: Path, private_key: Path, now: datetime.datetime) -> bool:
    try:
        one = read_server_certificate(certificate, private_key)
    except CertificateError:
        return False
    return not one.has_expired(now + datetime.timedelta(days=RENEW_DAYS))


def _sign(key: ec.EllipticCurvePrivateKey, hostname: str, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mailgateway, self-made")])
    addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", "::1")]
    names = [x509.DNSName(one) for one in dict.fromkeys(["localhost", hostname]) if _is_dns_name(one)]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=SELF_MADE_DAYS))
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _is_dns_name(name: str) -> bool:
    return name.isascii() and name.replace("-", "").replace(".", "").isalnum()


def _write(path: Path, octets: bytes, *, mode: int) -> None:
    """Write a file as a whole or not at all, never readable by others for a moment."""
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
    new.replace(path)
