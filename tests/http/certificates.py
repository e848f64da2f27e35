"""Certificates for the TLS tests: a private root, and leaves that are good or bad in one way each."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


class Root:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = named(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.folder = folder
        self.file = folder / f"{name}.pem"
        builder = self._builder(self.name, self.key, 1).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(now + days * DAY)
        )

    def leaf(self, *names: str, common_name: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
        """A server's context with a leaf for these names; without names it has no SAN at all."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(named(common_name), key, days)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([*map(general_name, names)]), critical=False)
        private_key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self.folder / "leaf.pem"
        file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + private_key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def general_name(name: str) -> x509.GeneralName:
    """`ip:` an address, `uri:` a URI, anything else a DNS name."""
    kind, _, rest = name.partition(":")
    if kind == "ip":
        return x509.IPAddress(ipaddress.ip_address(rest))
    return x509.UniformResourceIdentifier(rest) if kind == "uri" else x509.DNSName(name)
