"""Makes the parts that settings ask for: vendor entries, TLS contexts, the console. Each is told what it needs.

A part that cannot be made says so as a Problem with the path of its setting.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from OpenSSL import SSL
from twisted.internet.interfaces import IStreamServerEndpoint

from gateway.accounts.seal import Seal, key_of_text
from gateway.certificate import CertificateError, ServerCertificate, read_certificates, read_server_certificate
from gateway.certificate_watch import Certificates, Watched
from gateway.departures import VendorEntry
from gateway.http_client import HttpClient
from gateway.relay import InThread, Relay
from gateway.secret import Secret, SecretError
from gateway.settings import Listener, Settings, SettingsError, VendorSettings, default_state_dir
from gateway.smtp.proxy_listener import Network
from gateway.tables import Problem
from gateway.tls import ServerContexts, TlsPolicy, self_made_certificate
from gateway.vendor import load

LAST_PORT = 65535
PORT = re.compile(r"(?:tcp6?|ssl):(?:(?:.*:)?port=)?(-?[0-9]{1,20})(?::|\Z)")
INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])*)")
BACKLOG = 1024  # connections not yet taken; with Twisted's 50, a burst of clients waits a second for its second SYN
FIRST_MESSAGE_PORT = "2525"  # what send-test takes by itself


def vendor_entry(name: str, vendor: VendorSettings, reactor: Any, in_thread: InThread) -> VendorEntry:
    """One entry of the [vendors] table, ready for use."""
    path = f"vendors.{name}"
    try:
        client = HttpClient(reactor, connect_seconds=vendor.connect_seconds, ca_file=vendor.ca_file)
    except SSL.Error:
        problem = Problem(f"{path}.ca_file", f"{vendor.ca_file}: no certificates in PEM form in it")
        raise SettingsError([problem]) from None
    relay = Relay(
        client,
        reactor.seconds,
        in_thread,
        exchange_seconds=vendor.exchange_seconds,
        login_seconds=vendor.login_seconds,
    )
    api = load(vendor.api)
    url = (vendor.url or api.default_url).rstrip("/")
    key = _revealed(vendor.key, f"{path}.key")
    return VendorEntry(name, api, url, key, relay, vendor.streams, vendor.templates)


def _revealed(key: Secret | None, path: str) -> str | None:
    try:
        return key.reveal() if key is not None else None
    except SecretError as error:
        raise SettingsError([Problem(path, str(error))]) from None


def store_password(settings: Settings) -> str | None:
    """The password of a PostgreSQL store, if there is one."""
    return _revealed(settings.store.password, "store.password")


def store_key(settings: Settings) -> bytes | None:
    """The key that secrets in the store are sealed with, if it is in the settings."""
    text = _revealed(settings.store.key, "store.key")
    try:
        return key_of_text(text) if text is not None else None
    except ValueError as error:
        raise SettingsError([Problem("store.key", str(error))]) from None


def store_seal(settings: Settings) -> Seal:
    """The seal of the store. StoreError when the key file in the state folder cannot be used."""
    return Seal(settings.state_dir, store_key(settings))


def tls_contexts(settings: Settings, listener: Listener, path: str) -> ServerContexts | None:
    """The TLS contexts of one listener: its own certificate, or the common one, or a self-made one; those by SNI."""
    watched = watched_contexts(settings, listener, path)
    return watched.contexts if watched is not None else None


def watched_contexts(settings: Settings, listener: Listener, path: str) -> Watched | None:
    """The same, with the files that they are made of; None for a listener without TLS."""
    if listener.tls == "none":
        return None
    policy = tls_policy(settings, listener, path)
    own = (listener.certificate, listener.private_key)
    if None in own:
        own, path = (settings.tls.certificate, settings.tls.private_key), "tls"
    certificate, private_key = own
    if certificate is None or private_key is None:
        now = datetime.datetime.now(datetime.UTC)
        certificate, private_key = self_made_certificate(settings.state_dir / "tls", settings.hostname, now)

    def read() -> Certificates:
        return Certificates(server_certificate(certificate, private_key, path), sni_certificates(settings))

    certificates = read()
    with _blamed_on(f"{path}.certificate"):
        contexts = ServerContexts(certificates.own, policy, certificates.by_name)
    by_name = (file for one in settings.tls.sni for file in (one.certificate, one.private_key))
    return Watched(contexts, (certificate, private_key, *by_name), read)


def server_certificate(certificate: Path, private_key: Path, path: str) -> ServerCertificate:
    """The certificate of the setting at this path."""
    with _blamed_on(f"{path}.certificate"):
        return read_server_certificate(certificate, private_key)


def sni_certificates(settings: Settings) -> dict[str, ServerCertificate]:
    """The certificates of the [[tls.sni]] tables by their names in lower case."""
    return {
        one.name.lower(): server_certificate(one.certificate, one.private_key, f"tls.sni[{number}]")
        for number, one in enumerate(settings.tls.sni)
    }


def tls_policy(settings: Settings, listener: Listener, path: str) -> TlsPolicy:
    """What a listener asks of TLS, by its own settings and the common ones."""
    with _blamed_on(f"{path}.client_ca"):
        client_ca = read_certificates(listener.client_ca) if listener.client_ca is not None else ()
    return TlsPolicy(
        minimum_version=listener.minimum_version or settings.tls.minimum_version,
        ciphers=listener.ciphers or settings.tls.ciphers,
        session_tickets=settings.tls.session_tickets,
        client_ca=client_ca,
    )


@contextmanager
def _blamed_on(path: str) -> Iterator[None]:
    """A certificate that cannot be used is a problem of the setting at this path."""
    try:
        yield
    except CertificateError as error:
        raise SettingsError([Problem(path, str(error))]) from None


def proxy_networks(listener: Listener) -> list[Network]:
    """The networks of the balancers in front of a listener."""
    return [ipaddress.ip_network(one) for one in listener.proxy_protocol]


def server_endpoint(reactor: Any, text: str, path: str) -> IStreamServerEndpoint:
    """A Twisted server endpoint from its string."""
    from twisted.internet.endpoints import serverFromString  # noqa: PLC0415 - loads Twisted's plugins

    kind = text.partition(":")[0]
    if kind == "systemd" and "domain=UNIX" in text:
        told = "expected domain=INET or INET6: Twisted removes the file of a Unix socket when it stops, also systemd's"
        raise SettingsError([Problem(path, told)])
    roomy = f"{text}:backlog={BACKLOG}" if kind in ("tcp", "tcp6") and ":backlog=" not in text else text
    address = bound_address(text)
    try:
        if address is not None and not 0 <= address.port <= LAST_PORT:
            raise ValueError(f"ports are 1 to {LAST_PORT}")
        endpoint: IStreamServerEndpoint = serverFromString(reactor, roomy)
    except (ValueError, TypeError, IndexError, KeyError, OSError, SSL.Error) as error:  # ssl: reads its certificate
        raise SettingsError([Problem(path, _why_no_endpoint(text, error))]) from None
    return endpoint


def _why_no_endpoint(text: str, error: Exception) -> str:
    if text.startswith("systemd:") and isinstance(error, IndexError | KeyError):
        return f'systemd has passed no such port as "{text}": start mailgateway.socket while mailgateway is stopped'
    return f'expected a server endpoint such as tcp:2587:interface=127.0.0.1, got "{text}" ({error})'


def first_message_command(settings: Settings) -> str:
    """What to type, in another terminal of this machine, to send a first message through this gateway."""
    command, here = Path(sys.executable).with_name("mailgateway"), Path.cwd()
    if command.is_relative_to(here) and here != Path("/"):  # where a service starts, and nobody types
        command = command.relative_to(here)
    words = [str(command), "send-test"]
    listener = next((one for one in settings.listeners if one.tls == "starttls"), None)
    port = (tcp_port(listener.endpoint) or "PORT") if listener is not None else FIRST_MESSAGE_PORT
    if port != FIRST_MESSAGE_PORT:
        words += ["--port", port]
    if settings.state_dir != default_state_dir({"HOME": os.environ.get("HOME", "/")}):
        words += ["--certificate", str(settings.state_dir / "tls" / "certificate.pem")]
    return shlex.join(words)


class BoundAddress(NamedTuple):
    """What an endpoint string binds; interface is empty for all addresses, port 0 for any that is free."""

    is_ipv6: bool
    interface: str
    port: int

    def collides(self, other: BoundAddress) -> bool:
        """Whether both cannot be had at once."""
        if (self.is_ipv6, self.port) != (other.is_ipv6, other.port) or not self.port:
            return False
        return self.interface == other.interface or not (self.interface and other.interface)


def bound_address(endpoint: str) -> BoundAddress | None:
    """The address in an endpoint string of TCP or TLS; None for other kinds, and for what is no endpoint string."""
    port = PORT.match(endpoint)
    if port is None:
        return None
    found = INTERFACE.search(endpoint)
    interface = found[1].replace("\\", "") if found is not None else ""
    is_ipv6 = endpoint.startswith("tcp6:") or ":" in interface
    return BoundAddress(is_ipv6, "" if interface in ("0.0.0.0", "::") else interface, int(port[1]))  # noqa: S104 - compared


def tcp_port(endpoint: str) -> str | None:
    """The port in an endpoint string such as tcp:8025:interface=127.0.0.1; None for other kinds."""
    kind, _, rest = endpoint.partition(":")
    return rest.partition(":")[0].removeprefix("port=") if kind == "tcp" else None
