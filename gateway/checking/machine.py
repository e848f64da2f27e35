"""What a gateway needs of this machine: its ports, its certificates, its store. Nothing is changed by looking."""

from __future__ import annotations

import contextlib
import datetime
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from gateway.certificate import CertificateError, ServerCertificate, read_server_certificate
from gateway.checking.finding import Finding, good, note, problem
from gateway.control_socket import NAME
from gateway.parts import BoundAddress, bound_address, store_password
from gateway.settings import Settings
from gateway.store.interface import StoreError
from gateway.store.opening import open_store

RENEW_DAYS = 14  # a public authority's certificate is renewed a month before its end; by now that should have happened


def look_at_machine(settings: Settings, now: datetime.datetime) -> Iterator[Finding]:
    """Everything, in the order of the settings. What check_settings() has found wrong is not said again."""
    yield from _state(settings)
    yield from _certificates(settings, now)
    yield from _ports(settings)


def _state(settings: Settings) -> Iterator[Finding]:
    yield good("state_dir", f"{settings.state_dir} can be written to")
    url = settings.store_url
    if url.startswith("sqlite:") and not Path(url.removeprefix("sqlite:")).exists():
        yield note("store", f"{url} is not there yet; the start makes it")
        return
    try:
        store = open_store(url, store_password(settings), None)
        try:
            count = sum(one.active for one in store.look(lambda transaction: transaction.credentials()))
        finally:
            store.close()
    except StoreError as error:
        yield problem("store", str(error), "run the check as the gateway's user; restore the store if it is damaged")
    else:
        if store.damage:
            yield problem("store", store.damage, "compare the message log with what clients were told")
        yield good("store", f"{store.name} can be read; {count} active credentials")


# -- certificates


def _certificates(settings: Settings, now: datetime.datetime) -> Iterator[Finding]:
    pairs = [("tls.certificate", settings.tls.certificate, settings.tls.private_key)]
    pairs += [
        (f"listeners[{number}].certificate", one.certificate, one.private_key)
        for number, one in enumerate(settings.listeners)
    ]
    pairs += [
        (f"tls.sni[{number}].certificate", one.certificate, one.private_key)
        for number, one in enumerate(settings.tls.sni)
    ]
    for path, certificate, private_key in pairs:
        if certificate is not None and private_key is not None:
            # What cannot be read has been found by check_settings()
            with contextlib.suppress(CertificateError):
                yield _certificate(path, read_server_certificate(certificate, private_key), settings.hostname, now)
    if settings.tls.certificate is None and any(
        one.tls != "none" and one.certificate is None for one in settings.listeners
    ):
        told = "none is set: the gateway makes one for itself, which clients have to be told to trust"
        yield note("tls.certificate", told, "for clients elsewhere, set a certificate of a public authority")


def _certificate(path: str, one: ServerCertificate, hostname: str, now: datetime.datetime) -> Finding:
    until = one.chain[0].not_valid_after_utc
    days = (until - now).days
    names = ", ".join(sorted(one.dns_names())) or "no DNS name"
    told = f"{one.path}: for {names}; until {until:%Y-%m-%d} ({days} days)"
    if now < one.chain[0].not_valid_before_utc:
        return problem(path, f"{told}; not valid before {one.chain[0].not_valid_before_utc:%Y-%m-%d}")
    if days < RENEW_DAYS:
        return note(path, told, "renew it; a running gateway takes the new one by itself")
    if not path.startswith("tls.sni") and not one.covers(hostname):
        return note(path, f"{told}; the gateway's name {hostname} is not among them")
    return good(path, told)


# -- ports


def _ports(settings: Settings) -> Iterator[Finding]:
    endpoints = [(f"listeners[{number}].endpoint", one.endpoint) for number, one in enumerate(settings.listeners)]
    runs = is_running(settings.state_dir)
    for path, endpoint in [*endpoints, ("console.endpoint", settings.console.endpoint)]:
        if endpoint.startswith("systemd:"):
            yield note(path, f"{endpoint}: systemd passes this port to the service only")
            continue
        address = bound_address(endpoint)
        if address is not None:
            yield _port(path, endpoint, address, runs=runs)


def _port(path: str, endpoint: str, address: BoundAddress, *, runs: bool) -> Finding:
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address.interface, address.port))
        except OSError as error:
            return _no_port(path, endpoint, error, runs=runs)
    return good(path, f"{endpoint} is free")


def _no_port(path: str, endpoint: str, error: OSError, *, runs: bool) -> Finding:
    if error.errno == errno.EADDRINUSE and runs:
        return good(path, f"{endpoint} is in use; the gateway of this state folder runs")
    if error.errno == errno.EADDRINUSE:
        return problem(path, f"{endpoint} is in use by another program", "find it: ss -ltnp; stop it, or change this")
    if error.errno == errno.EACCES:
        return note(path, f"{endpoint} is not for this user to open", "the unit of etc/ lets the service open it")
    return problem(path, f"{endpoint}: {error.strerror}", "use an address that this machine has")


def is_running(state_dir: Path) -> bool:
    """Whether a gateway with this state folder answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(state_dir / NAME))
        except OSError:
            return False
        return True
