"""The settings of listeners: the [[listeners]] tables, and the [[listeners.names]] below them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.smtp.sasl import MECHANISMS
from gateway.tls import CipherPolicy, Version
from gateway.tls_settings import pair_problems, server_name_problems
from gateway.vendor import is_vendor

TlsMode = Literal["starttls", "implicit", "optional", "none"]


@dataclass(frozen=True, slots=True)
class ServerName:
    """What holds for clients that ask for this server name in TLS (RFC 6066 §3), or for a label before "*.name".

    dialect is one of the listener's; empty: as without the name. stream is the message stream of messages that name
    none; empty: the listener's.
    """

    name: str
    dialect: str = ""
    stream: str = ""

    def problems(self) -> Iterator[tuple[str, str]]:
        """A DNS name that changes something."""
        yield from server_name_problems(self.name)
        if not self.dialect and not self.stream:
            yield "name", f'"{self.name}" changes nothing: give it a dialect or a stream'


@dataclass(frozen=True, slots=True)
class Listener:
    """A port: endpoint is a Twisted server endpoint string. tls: starttls asks for it before AUTH and MAIL, implicit
    begins with it, optional offers STARTTLS without asking for it, none has no TLS. name is what routes call it (else
    its endpoint); stream the message stream of messages that name none.

    dialects: several, on a shared listener, in place of dialect; the server name tells which of them a session speaks,
    else the user name of its login. names: what the server names change.

    What is None is as in [tls]. client_ca: the roots (PEM) of client certificates, which are asked for and may be
    missing. proxy_protocol: the networks of the balancers in front, each connection from which has to begin with a
    PROXY header; connections from elsewhere are refused then. mechanisms: the SASL mechanisms to offer, in place of the
    dialect's own. clear_passwords: those that show the password may be used without TLS, where tls allows any.
    """

    endpoint: str
    tls: TlsMode = "starttls"
    dialect: str = "postscale"
    name: str = ""
    stream: str = ""
    certificate: Path | None = None
    private_key: Path | None = None
    minimum_version: Version | None = None
    ciphers: CipherPolicy | None = None
    client_ca: Path | None = None
    proxy_protocol: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] | None = None
    clear_passwords: bool = True
    dialects: tuple[str, ...] = ()
    names: tuple[ServerName, ...] = ()

    @property
    def spoken(self) -> tuple[str, ...]:
        """The dialects that are spoken here; the first is that of replies until a session's own is known."""
        return tuple(dict.fromkeys(self.dialects)) or (self.dialect,)

    def problems(self) -> Iterator[tuple[str, str]]:
        """The dialects have to be ones we speak, networks have to be networks, and what TLS needs goes with TLS."""
        yield from pair_problems(self.certificate, self.private_key)
        for number, network in enumerate(self.proxy_protocol):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                yield f"proxy_protocol[{number}]", f'expected a network such as "10.0.0.0/8": {error}'
        if self.client_ca is not None and self.tls == "none":
            yield "client_ca", 'there are no client certificates with tls = "none"'
        yield from _mechanism_problems(self.mechanisms)
        if not is_vendor(self.dialect):
            yield "dialect", f'no vendor "{self.dialect}" is known'
        yield from self._dialects_problems()
        yield from self._names_problems()

    def _dialects_problems(self) -> Iterator[tuple[str, str]]:
        for number, dialect in enumerate(self.dialects):
            if not is_vendor(dialect):
                yield f"dialects[{number}]", f'no vendor "{dialect}" is known'
        if self.dialects and self.dialect != Listener.__dataclass_fields__["dialect"].default:
            yield "dialect", "takes no effect beside dialects; leave one of the two out"

    def _names_problems(self) -> Iterator[tuple[str, str]]:
        if self.names and self.tls == "none":
            yield "names", 'there are no server names with tls = "none"'
        known: set[str] = set()
        for number, one in enumerate(self.names):
            if one.dialect and one.dialect not in self.spoken:
                spoken = ", ".join(self.spoken)
                yield f"names[{number}].dialect", f'expected one that is spoken here ({spoken}), got "{one.dialect}"'
            if one.name.lower() in known:
                yield f"names[{number}].name", f'"{one.name}" is there already'
            known.add(one.name.lower())


def _mechanism_problems(names: tuple[str, ...] | None) -> Iterator[tuple[str, str]]:
    if names == ():
        yield "mechanisms", "expected at least one; without any nobody can log in"
    for number, name in enumerate(names or ()):
        if name not in MECHANISMS:
            known = ", ".join(MECHANISMS)
            yield f"mechanisms[{number}]", f"no mechanism {json.dumps(name)} is known; known are: {known}"
