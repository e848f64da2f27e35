"""The settings: what they are, what they default to, and whether they fit together. See etc/gateway.toml.

Nothing is opened or listened on here, except for the settings file itself.
"""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from gateway.console_settings import CONSOLE_PORT, Console, is_loopback
from gateway.routing import Route
from gateway.secret import Secret
from gateway.smtp.limits import Limits
from gateway.smtp.sasl import MECHANISMS
from gateway.tables import Problem, read_table
from gateway.tls import CipherPolicy, Version
from gateway.tls_settings import Tls, pair_problems
from gateway.vendor import load

__all__ = ["Limits", "Settings", "SettingsError", "embedded", "read_settings"]

FILE_OCTETS = 1024 * 1024  # a thousand listeners with all their settings have half of that; more is another file
DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")  # RFC 5321 §4.1.2
HOSTNAME_OCTETS = 255  # RFC 5321 §4.5.3.1.2
HOSTNAME_EXPECTED = f'expected a domain name or an address such as "[192.0.2.1]", of at most {HOSTNAME_OCTETS} octets'
TlsMode = Literal["starttls", "implicit", "optional", "none"]


class SettingsError(Exception):
    """The settings cannot be used; problems says where and why, each in one line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Listener:
    """A port: endpoint is a Twisted server endpoint string. tls: starttls asks for it before AUTH and MAIL, implicit
    begins with it, optional offers STARTTLS without asking for it, none has no TLS. name is what routes call it (else
    its endpoint); stream the message stream of messages that name none.

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

    def problems(self) -> Iterator[tuple[str, str]]:
        """The dialect has to be one we speak, networks have to be networks, and what TLS needs goes with TLS."""
        yield from pair_problems(self.certificate, self.private_key)
        for number, network in enumerate(self.proxy_protocol):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                yield f"proxy_protocol[{number}]", f'expected a network such as "10.0.0.0/8": {error}'
        if self.client_ca is not None and self.tls == "none":
            yield "client_ca", 'there are no client certificates with tls = "none"'
        yield from _mechanism_problems(self.mechanisms)
        if not _is_vendor(self.dialect):
            yield "dialect", f'no vendor "{self.dialect}" is known'


@dataclass(frozen=True, slots=True)
class Store:
    """Where credentials are kept: sqlite: and a path. Empty: store.sqlite in the state folder."""

    url: str = ""

    def problems(self) -> Iterator[tuple[str, str]]:
        """Only SQLite for now."""
        if self.url and not (self.url.startswith("sqlite:") and self.url.removeprefix("sqlite:").strip()):
            yield "url", f'expected "sqlite:" and a path, got "{self.url}"'


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """A vendor to send through: api names the vendor's file, url its API's base (empty: the vendor's own).

    key is for the operator's own credentials; clients that log in with their API key need none. ca_file holds the
    roots to trust in place of the system's. exchange_seconds bounds a whole exchange, below the minute that many
    clients wait for the reply to their data; login_seconds the question whether a key is good. mailbox_host is where
    the vendor's mailbox users log in by IMAP over TLS; their mail is sent with key. streams and templates say what
    another vendor's message streams and templates are called here.
    """

    api: str
    url: str = ""
    key: Secret | None = None
    ca_file: Path | None = None
    connect_seconds: float = 10.0
    exchange_seconds: float = 50.0
    login_seconds: float = 10.0
    mailbox_host: str = ""
    mailbox_port: int = 993
    streams: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)

    def problems(self) -> Iterator[tuple[str, str]]:
        """The API has to be one we know; keys travel over TLS, or not beyond this machine."""
        if not _is_vendor(self.api):
            yield "api", f'no vendor "{self.api}" is known'
        if self.url:
            problem = _url_problem(self.url)
            if problem:
                yield "url", problem


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The local stand-in of each vendor's API, with its inbox on the console."""

    enabled: bool = False


DEFAULT_LISTENERS = (
    Listener("tcp:2525:interface=127.0.0.1", "starttls"),
    Listener("tcp:2587:interface=127.0.0.1", "starttls"),
    Listener("tcp:2465:interface=127.0.0.1", "implicit"),
)


def _default_hostname() -> str:
    """This machine's name, unless it is none that may stand in a greeting."""
    name = platform.node()
    return name if _is_hostname(name) else "localhost"


def default_state_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the state goes when no setting says it."""
    home = Path(environment.get("HOME", "/"))
    return Path(environment.get("MAILGATEWAY_STATE") or home / ".local" / "state" / "mailgateway")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one gateway."""

    hostname: str = field(default_factory=_default_hostname)
    state_dir: Path = field(default_factory=default_state_dir)
    tls: Tls = field(default_factory=Tls)
    listeners: tuple[Listener, ...] = DEFAULT_LISTENERS
    limits: Limits = field(default_factory=Limits)
    store: Store = Store()
    vendors: dict[str, VendorSettings] = field(default_factory=lambda: {"postscale": VendorSettings("postscale")})
    routes: tuple[Route, ...] = ()
    console: Console = field(default_factory=Console)
    sandbox: Sandbox = Sandbox()

    @property
    def store_path(self) -> Path:
        """The file of the SQLite store."""
        return Path(self.store.url.removeprefix("sqlite:")) if self.store.url else self.state_dir / "store.sqlite"

    @property
    def console_is_open(self) -> bool:
        """Whether the console needs no login: it is on loopback, and no mail leaves this machine."""
        only_tests = self.sandbox.enabled and all(_is_local(one.url) for one in self.vendors.values())
        return only_tests and self.console.is_local and not self.console.login

    def problems(self) -> Iterator[tuple[str, str]]:
        """The gateway has a name, routes lead to vendors that exist, and every listener's dialect has one."""
        if not _is_hostname(self.hostname):
            yield "hostname", HOSTNAME_EXPECTED
        if not self.listeners:
            yield "listeners", "expected at least one listener"
        for number, route in enumerate(self.routes):
            for name in route.vendors:
                if name not in self.vendors:
                    yield (
                        f"routes[{number}].vendors",
                        f"there is no [vendors.{name}]; there are: {', '.join(self.vendors)}",
                    )
        for number, listener in enumerate(self.listeners):
            if self.key_vendor(listener.dialect) is None and not any(one.key for one in self.vendors.values()):
                told = f'nobody can log in: no vendor has api = "{listener.dialect}", and none has a key'
                yield f"listeners[{number}].dialect", told

    def key_vendor(self, dialect: str) -> str | None:
        """The vendor entry that is asked about the API keys of this dialect's clients, or None.

        It speaks that vendor's API; of several, the one that the first fitting route names, else the first there is.
        """
        able = [name for name, vendor in self.vendors.items() if vendor.api == dialect]
        routed = (name for route in self.routes if route.dialect in ("", dialect) for name in route.vendors)
        return next((name for name in routed if name in able), able[0] if able else None)


def read_settings(path: Path) -> Settings:
    """The settings of a file. SettingsError lists everything that is wrong with it."""
    try:
        table = tomllib.loads(_read(path).decode("utf-8"))
    except RecursionError:
        raise SettingsError([Problem(str(path), "no settings: nested too deeply")]) from None
    except OSError as error:
        raise SettingsError([Problem(str(path), error.strerror or "cannot be read")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(str(path), f"no TOML: {error}")]) from None
    problems: list[Problem] = []
    settings = read_table(Settings, table, "", problems)
    if problems or not isinstance(settings, Settings):
        raise SettingsError(problems)
    return settings


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        octets = file.read(FILE_OCTETS + 1)
    if len(octets) > FILE_OCTETS:
        raise SettingsError([Problem(str(path), f"expected at most {FILE_OCTETS:,} octets")])
    return octets


def embedded() -> Settings:
    """What runs without a settings file: everything on loopback, and the sandbox in place of the vendor."""
    url = f"http://127.0.0.1:{CONSOLE_PORT}/sandbox/postscale/v1"
    vendors = {"postscale": VendorSettings("postscale", url)}
    return Settings(hostname="localhost", vendors=vendors, sandbox=Sandbox(enabled=True))


def _mechanism_problems(names: tuple[str, ...] | None) -> Iterator[tuple[str, str]]:
    if names == ():
        yield "mechanisms", "expected at least one; without any nobody can log in"
    for number, name in enumerate(names or ()):
        if name not in MECHANISMS:
            known = ", ".join(MECHANISMS)
            yield f"mechanisms[{number}]", f"no mechanism {json.dumps(name)} is known; known are: {known}"


def _is_hostname(name: str) -> bool:
    """Whether it is a domain or an address literal (RFC 5321 §4.1.2, §4.1.3)."""
    literal = re.fullmatch(r"\[(IPv6:)?([0-9A-Fa-f.:]+)\]", name)
    if literal is None:
        return len(name) <= HOSTNAME_OCTETS and DOMAIN.fullmatch(name) is not None
    try:
        return ipaddress.ip_address(literal[2]).version == (6 if literal[1] else 4)
    except ValueError:
        return False


def _is_vendor(name: str) -> bool:
    try:
        load(name)
    except LookupError:
        return False
    return True


def _url_problem(url: str) -> str | None:
    refusal = f'expected "https://...", or "http://..." for a loopback address, got {json.dumps(url)}'
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return refusal
    # urlsplit() passes over blanks and controls; the path of each request is put behind the URL, so nothing may follow
    if any(c.isspace() or not c.isprintable() for c in url) or "@" in parts.netloc or parts.query or parts.fragment:
        return refusal
    is_safe = bool(host) if parts.scheme == "https" else parts.scheme == "http" and is_loopback(host)
    return None if is_safe else refusal


def _is_local(url: str) -> bool:
    """Whether a vendor is a stand-in on this machine."""
    return bool(url) and is_loopback(urlsplit(url).hostname or "")
