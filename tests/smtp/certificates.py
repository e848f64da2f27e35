"""Certificates for the tests: an authority, and what it signs for servers and clients. EC keys, made in memory."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

DAY = datetime.timedelta(days=1)
PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and its key, and the certificate itself."""

    certificate: Path
    private_key: Path
    value: x509.Certificate


class Authority:
    """Signs certificates and writes them to a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = _builder(self._name, self._name, self._key, 0)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(_pem(_identified(builder, self._key, self._key).sign(self._key, hashes.SHA256())))

    def sign(
        self,
        name: str,
        *alternative: x509.GeneralName,
        common_name: str = "",
        purpose: str = "server",
        age_days: int = 0,
    ) -> Pair:
        """A certificate in name.pem with its key in name.key; age_days of 365 and more have expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common_name), self._name, key, age_days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[purpose]]), critical=False)
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=not common_name)
        pair = Pair(
            self._folder / f"{name}.pem",
            self._folder / f"{name}.key",
            _identified(builder, key, self._key).sign(self._key, hashes.SHA256()),
        )
        pair.certificate.write_bytes(_pem(pair.value))
        pair.private_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def sign_for_server(self, name: str, *dns_names: str, age_days: int = 0) -> Pair:
        return self.sign(name, *(x509.DNSName(one) for one in dns_names), age_days=age_days)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else [])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, age_days: int
) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) - DAY - age_days * DAY
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    serial = x509.random_serial_number()
    return builder.serial_number(serial).not_valid_before(start).not_valid_after(start + 365 * DAY)


def _identified(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return builder.add_extension(own, critical=False).add_extension(authority, critical=False)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
