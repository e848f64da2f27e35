"""The settings of TLS that listeners have in common: the [tls] table and its [[tls.sni]] tables.

Whether files are there and fit is looked at when they are read; see certificate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.tls import CipherPolicy, Version

LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
SERVER_NAME = re.compile(rf"(\*\.)?{LABEL}(\.{LABEL})+")
SERVER_NAME_OCTETS = 253
"""What a DNS name can have in text."""


@dataclass(frozen=True, slots=True)
class Sni:
    """A certificate for clients that ask for a server name (RFC 6066 §3), or for any one label before one: "*.name"."""

    name: str
    certificate: Path
    private_key: Path

    def problems(self) -> Iterator[tuple[str, str]]:
        """A DNS name, in ASCII as clients send it."""
        yield from server_name_problems(self.name)


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate chain and key (PEM) of listeners without their own, and what all of them ask of TLS by default.

    Without a certificate the gateway makes one for itself and keeps it in the state folder. For minimum_version and
    ciphers see TlsPolicy. sni: further certificates, for clients that ask for their names.
    """

    certificate: Path | None = None
    private_key: Path | None = None
    minimum_version: Version = "1.2"
    ciphers: CipherPolicy = "intermediate"
    session_tickets: bool = True
    sni: tuple[Sni, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        """A certificate and its key go together; a name has one certificate."""
        yield from pair_problems(self.certificate, self.private_key)
        names = [one.name.lower() for one in self.sni]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield f"sni[{number}].name", f'"{name}" has a certificate already'


def pair_problems(certificate: Path | None, private_key: Path | None) -> Iterator[tuple[str, str]]:
    """A certificate and its key go together: the problem, if there is one."""
    if (certificate is None) != (private_key is None):
        missing = "private_key" if private_key is None else "certificate"
        yield missing, "missing; certificate and private_key go together"


def server_name_problems(name: str) -> Iterator[tuple[str, str]]:
    """A server name is a DNS name, or one with "*" for its first label: the problem, if there is one."""
    if not SERVER_NAME.fullmatch(name) or len(name) > SERVER_NAME_OCTETS:
        yield "name", f'expected a DNS name such as "smtp.shop.example" or "*.shop.example", got "{name}"'
