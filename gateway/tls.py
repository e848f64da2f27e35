"""Server TLS: one context a listener, and the self-made certificate of the embedded default.

Clients are HTTP's affair; see http_client. Nothing here knows SMTP.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"  # forward secrecy and AEAD only; RFC 9325 §4.2
VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
SELF_MADE_DAYS = 397  # what clients accept at most from a public CA, so that nobody gets used to more
RENEW_DAYS = 30


class CertificateError(Exception):
    """A certificate or key cannot be used; the text names the file and says why."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerContexts:
    """Makes the TLS connections of one listener, all from one context."""

    def __init__(self, certificate: Path, private_key: Path, minimum_version: str) -> None:
        self._context = server_context(certificate, private_key, minimum_version)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A new connection, for Twisted to drive."""
        return SSL.Connection(self._context, None)


def server_context(certificate: Path, private_key: Path, minimum_version: str) -> SSL.Context:
    """A context with this certificate chain (PEM) and key. CertificateError when a file cannot be used."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(VERSIONS[minimum_version])
    context.set_cipher_list(CIPHERS)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    # A ticket saves an ECDSA server next to nothing and its keys would have to be rotated
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # No callback for ALPN: whatever a client offers is ignored and the handshake goes on (RFC 7301 §3.2)
    _load(context, certificate, private_key)
    return context


def _load(context: SSL.Context, certificate: Path, private_key: Path) -> None:
    for path in (certificate, private_key):
        try:
            path.read_bytes()
        except OSError as error:
            raise CertificateError(f"{path}: {error.strerror}") from None
    try:
        context.use_certificate_chain_file(str(certificate))
    except SSL.Error:
        raise CertificateError(f"{certificate}: no certificate in PEM form in it") from None
    try:
        context.use_privatekey_file(str(private_key))
        context.check_privatekey()
    except SSL.Error:
        raise CertificateError(f"{private_key}: no private key in PEM form that fits {certificate}") from None


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
        until = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        server_context(certificate, private_key, "1.2")
    except (OSError, ValueError, CertificateError):
        return False
    return until - now > datetime.timedelta(days=RENEW_DAYS)


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
