"""The settings: what they are, what they default to, and whether they fit together. See etc/gateway.toml.

Nothing is opened or listened on here, except for the settings file itself.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.console_settings import CONSOLE_PORT, Console
from gateway.hostname import HOSTNAME_EXPECTED, default_hostname, is_hostname
from gateway.listener_settings import Listener
from gateway.log_settings import LogSettings
from gateway.notice_settings import NoticeSettings, WebhookSettings
from gateway.queue.settings import QueueSettings
from gateway.routing import Route
from gateway.secret import Secret
from gateway.smtp.limits import Limits
from gateway.store_settings import Store
from gateway.tables import Problem, SettingsError, read_table
from gateway.tls_settings import Tls
from gateway.urls import is_loopback, url_problem
from gateway.vendor import is_vendor

__all__ = ["Limits", "Listener", "Settings", "SettingsError", "embedded", "read_settings"]

FILE_OCTETS = 1024 * 1024  # a thousand listeners with all their settings have half of that; more is another file


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """A vendor to send through: api names the vendor's file, url its API's base (empty: the vendor's own).

    key is for the operator's own credentials; clients that log in with their API key need none. ca_file holds the
    roots to trust in place of the system's. exchange_seconds bounds a whole exchange, below the minute that many
    clients wait for the reply to their data; login_seconds the question whether a key is good. mailbox_host is where
    the vendor's mailbox users log in by IMAP over TLS; their mail is sent with key. streams and templates say what
    another vendor's message streams and templates are called here. rate_per_second bounds what the queue sends with one
    key; None: nothing does. dkim_selectors are where its keys are in the DNS.
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
    rate_per_second: float | None = None
    dkim_selectors: tuple[str, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        """The API has to be one we know; keys travel over TLS, or not beyond this machine."""
        if not is_vendor(self.api):
            yield "api", f'no vendor "{self.api}" is known'
        if self.url:
            problem = url_problem(self.url)  # the path of each request is put behind it, so no query
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


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def default_state_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the state goes when no setting says it."""
    home = Path(environment.get("HOME", "/"))
    return Path(environment.get("MAILGATEWAY_STATE") or home / ".local" / "state" / "mailgateway")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one gateway. workers: the processes that serve its listeners; the default is the processors."""

    hostname: str = field(default_factory=default_hostname)
    state_dir: Path = field(default_factory=default_state_dir)
    workers: int = field(default_factory=_processors)
    tls: Tls = field(default_factory=Tls)
    listeners: tuple[Listener, ...] = DEFAULT_LISTENERS
    limits: Limits = field(default_factory=Limits)
    store: Store = field(default_factory=Store)
    vendors: dict[str, VendorSettings] = field(default_factory=lambda: {"postscale": VendorSettings("postscale")})
    routes: tuple[Route, ...] = ()
    queue: QueueSettings = field(default_factory=QueueSettings)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    webhooks: tuple[WebhookSettings, ...] = ()
    console: Console = field(default_factory=Console)
    sandbox: Sandbox = Sandbox()
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def store_url(self) -> str:
        """Where the store is, also when no setting says so."""
        return self.store.url or f"sqlite:{self.state_dir / 'store.sqlite'}"

    @property
    def console_is_open(self) -> bool:
        """Whether the console needs no login: it is on loopback, and no mail leaves this machine."""
        only_tests = self.sandbox.enabled and all(_is_local(one.url) for one in self.vendors.values())
        return only_tests and self.console.is_local and not self.console.login

    def problems(self) -> Iterator[tuple[str, str]]:
        """The gateway has a name, routes lead to vendors that exist, and every listener's dialect has one."""
        if not is_hostname(self.hostname):
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
        names = [webhook.known_as for webhook in self.webhooks]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield (
                    f"webhooks[{number}].name",
                    f"expected a name of its own: another webhook is called {name} already",
                )
        for number, listener in enumerate(self.listeners):
            if not any(map(self.key_vendor, listener.spoken)) and not any(one.key for one in self.vendors.values()):
                apis = " or ".join(f'"{one}"' for one in listener.spoken)
                yield (
                    f"listeners[{number}].{'dialects' if listener.dialects else 'dialect'}",
                    f"nobody can log in: no vendor has api = {apis}, and none has a key",
                )

    def key_vendor(self, dialect: str) -> str | None:
        """The vendor entry that is asked about the API keys of this dialect's clients, or None.

        It speaks that vendor's API; of several, the one that the first fitting route names, else the first there is.
        """
        able = [name for name, vendor in self.vendors.items() if vendor.api == dialect]
        routed = (name for route in self.routes if route.dialect in ("", dialect) for name in route.vendors)
        return next((name for name in routed if name in able), able[0] if able else None)


def read_settings(path: Path) -> Settings:
    """The settings of a file. SettingsError lists everything that is wrong with it."""
    return parse_settings(read_octets(path), path)


def parse_settings(octets: bytes, path: Path) -> Settings:
    """The settings of a file with these octets."""
    try:
        table = tomllib.loads(octets.decode("utf-8"))
    except RecursionError:
        raise SettingsError([Problem(str(path), "no settings: nested too deeply")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(str(path), f"no TOML: {error}")]) from None
    problems: list[Problem] = []
    settings = read_table(Settings, table, "", problems)
    if problems or not isinstance(settings, Settings):
        raise SettingsError(problems)
    return settings


def read_octets(path: Path) -> bytes:
    """What is in a settings file."""
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_OCTETS + 1)
    except OSError as error:
        raise SettingsError([Problem(str(path), error.strerror or "cannot be read")]) from None
    if len(octets) > FILE_OCTETS:
        raise SettingsError([Problem(str(path), f"expected at most {FILE_OCTETS:,} octets")])
    return octets


def embedded() -> Settings:
    """What runs without a settings file: everything on loopback, and the sandbox in place of the vendor."""
    url = f"http://127.0.0.1:{CONSOLE_PORT}/sandbox/postscale/v1"
    vendors = {"postscale": VendorSettings("postscale", url)}
    return Settings(hostname="localhost", workers=1, vendors=vendors, sandbox=Sandbox(enabled=True))


def _is_local(url: str) -> bool:
    """Whether a vendor is a stand-in on this machine."""
    return bool(url) and is_loopback(urlsplit(url).hostname or "")
