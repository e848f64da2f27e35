"""X.509 certificates as read from PEM files: a server's chain with its key, the names in it, and a client's name.

Files in, values out. What TLS does with them is the affair of tls.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

NAME_CHARACTERS = 254
"""The longest mailbox there is (RFC 5321 §4.5.3.1.3, less the brackets); a DNS name has 253."""

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


class CertificateError(Exception):
    """A certificate or key cannot be used; the text names the file and says why."""


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate chain, the server's own first, and the private key that fits it. path is where it came from."""

    path: Path
    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKey

    def covers(self, name: str) -> bool:
        """Whether a client that asks for this DNS name takes the certificate (RFC 6125 §6.4: SAN, not CN)."""
        _, _, parent = name.partition(".")
        return not {name.lower(), f"*.{parent}".lower()}.isdisjoint(self.dns_names())

    def dns_names(self) -> frozenset[str]:
        """The DNS names in its subjectAltName, in lower case."""
        return frozenset(one.lower() for one in _alternative_names(self.chain[0], x509.DNSName))

    def has_expired(self, now: datetime.datetime) -> bool:
        """Whether clients refuse it because of its age."""
        return now > self.chain[0].not_valid_after_utc


def read_server_certificate(certificate: Path, private_key: Path) -> ServerCertificate:
    """Read a chain and its key (PEM, the key not encrypted). CertificateError when they cannot be used together."""
    chain = read_certificates(certificate)
    octets = _read(private_key)
    try:
        key = serialization.load_pem_private_key(octets, password=None)
        fits = isinstance(key, PrivateKey) and _public_octets(key) == _public_octets(chain[0])
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fits = False
    if not fits:
        raise CertificateError(f"{private_key}: no RSA or EC private key in PEM form that fits {certificate}")
    return ServerCertificate(certificate, chain, cast(PrivateKey, key))


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, at least one. CertificateError when there is none, or a broken one."""
    octets = _read(path)
    try:
        return tuple(x509.load_pem_x509_certificates(octets))
    except ValueError:
        raise CertificateError(f"{path}: no certificate in PEM form in it") from None


def certificate_name(certificate: x509.Certificate) -> str | None:
    """Who a verified client certificate is for: its mailbox, else its DNS name, else its common name (RFC 5280 §4.2).

    None when it has none of these in printable form, or none of sensible length.
    """
    try:
        names = (
            *_alternative_names(certificate, x509.RFC822Name),
            *_alternative_names(certificate, x509.DNSName),
            *(str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)),
        )
    except ValueError:
        return None  # parts of a certificate are only parsed when they are asked for
    return next((name for name in names if name.isprintable() and 0 < len(name) <= NAME_CHARACTERS), None)


def _alternative_names(
    certificate: x509.Certificate, kind: type[x509.DNSName] | type[x509.RFC822Name]
) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    yield from extension.value.get_values_for_type(kind)


def _public_octets(one: PrivateKey | x509.Certificate) -> bytes:
    return one.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from None
