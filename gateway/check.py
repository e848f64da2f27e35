"""Looks whether settings would work here, without listening: what "mailgateway check" says."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gateway.notice_parts import webhook, webhook_client
from gateway.parts import (
    BoundAddress,
    bound_address,
    server_certificate,
    server_endpoint,
    store_key,
    store_password,
    tls_contexts,
    tls_policy,
    vendor_entry,
)
from gateway.secret import Secret
from gateway.settings import Listener, Settings, SettingsError, read_settings
from gateway.tables import Problem
from gateway.tls_settings import Sni


def check_settings(path: Path, reactor: Any) -> list[Problem]:
    """Everything that is wrong with a settings file, or with what it points at; an empty list when all is well."""
    try:
        settings = read_settings(path)
    except SettingsError as error:
        return error.problems
    problems = [*_state_dir(settings.state_dir), *_log_file(settings.log.file), *_ports(settings)]
    for attempt in _attempts(settings, reactor):
        try:
            attempt()
        except SettingsError as error:
            problems += error.problems
    return list(dict.fromkeys(problems))


def _attempts(settings: Settings, reactor: Any) -> Iterator[Callable[[], object]]:
    """One call for each part; each raises SettingsError when its part cannot be made."""
    if not _is_passed(settings.console.endpoint):
        yield partial(server_endpoint, reactor, settings.console.endpoint, "console.endpoint")
    for number, listener in enumerate(settings.listeners):
        path = f"listeners[{number}]"
        if not _is_passed(listener.endpoint):
            yield partial(server_endpoint, reactor, listener.endpoint, f"{path}.endpoint")
        if listener.certificate or settings.tls.certificate:
            yield partial(tls_contexts, settings, listener, path)
        else:  # a self-made certificate is not made here; the rest of the TLS settings can be looked at
            yield partial(tls_policy, settings, listener, path)
        yield partial(_certificate_age, listener.certificate, listener.private_key, path)
        for at, named in enumerate(listener.names):
            yield partial(_server_name, settings, listener, named.name, f"{path}.names[{at}]")
    yield partial(_certificate_age, settings.tls.certificate, settings.tls.private_key, "tls")
    for number, one in enumerate(settings.tls.sni):
        yield partial(_certificate_age, one.certificate, one.private_key, f"tls.sni[{number}]")
        yield partial(_sni_name, one, f"tls.sni[{number}]")
    if not is_left_to_systemd(settings.store.password):
        yield partial(store_password, settings)
    if not is_left_to_systemd(settings.store.key):
        yield partial(store_key, settings)
    for name, vendor in settings.vendors.items():
        seen = replace(vendor, key=None) if is_left_to_systemd(vendor.key) else vendor
        yield partial(vendor_entry, name, seen, reactor, _no_thread)
    for number, hook in enumerate(settings.webhooks):
        path = f"webhooks[{number}]"
        yield partial(webhook_client, hook, path, reactor)
        if not any(map(is_left_to_systemd, hook.secrets)):
            yield partial(webhook, hook, path)


def not_looked_at(settings: Settings) -> list[Problem]:
    """What cannot be checked here, and will be by the start: credentials that systemd passes to the unit alone."""
    secrets = [(f"vendors.{name}.key", vendor.key) for name, vendor in settings.vendors.items()]
    secrets += [(f"webhooks[{number}]", one) for number, hook in enumerate(settings.webhooks) for one in hook.secrets]
    secrets += [("store.password", settings.store.password), ("store.key", settings.store.key)]
    told = "not looked at: systemd passes this credential to the service only"
    return [Problem(path, told) for path, secret in secrets if is_left_to_systemd(secret)]


def is_left_to_systemd(key: Secret | None) -> bool:
    """Whether a key is a credential that only the unit can see."""
    return key is not None and key.kind == "credential" and "CREDENTIALS_DIRECTORY" not in os.environ


def _is_passed(endpoint: str) -> bool:
    """Whether this port is there in the unit only, and not here."""
    is_tcp = endpoint.startswith(("systemd:domain=INET:", "systemd:domain=INET6:"))
    return is_tcp and "LISTEN_FDS" not in os.environ


def _ports(settings: Settings) -> Iterator[Problem]:
    """No two of the ports may be the same."""
    endpoints = {"console": settings.console.endpoint}
    endpoints |= {f"listeners[{number}]": one.endpoint for number, one in enumerate(settings.listeners)}
    before: dict[str, BoundAddress] = {}
    for path, endpoint in endpoints.items():
        address = bound_address(endpoint)
        if address is None:
            continue
        for other, taken in before.items():
            if address.collides(taken):
                yield Problem(f"{path}.endpoint", f"the port {address.port} is that of {other}")
                break
        before[path] = address


def _certificate_age(certificate: Path | None, private_key: Path | None, path: str) -> None:
    if certificate is None or private_key is None:
        return
    if server_certificate(certificate, private_key, path).has_expired(datetime.datetime.now(datetime.UTC)):
        raise SettingsError([Problem(f"{path}.certificate", f"{certificate}: it has expired")])


def _sni_name(sni: Sni, path: str) -> None:
    """A start takes such a certificate, so that one bad name does not keep the others from being served."""
    certificate = server_certificate(sni.certificate, sni.private_key, path)
    if not certificate.covers(sni.name):
        names = ", ".join(sorted(certificate.dns_names())) or "no DNS name at all"
        raise SettingsError([Problem(f"{path}.name", f'"{sni.name}" is not in {sni.certificate}, which has {names}')])


def _server_name(settings: Settings, listener: Listener, name: str, path: str) -> None:
    """A client that asks for the name and checks it has to get a certificate that is made for it."""
    sni = {one.name.lower(): one for one in settings.tls.sni}
    own = listener if listener.certificate else settings.tls
    chosen = sni.get(name.lower()) or sni.get("*." + name.lower().partition(".")[2]) or own
    if chosen.certificate is None or chosen.private_key is None:
        return  # one of our own making: clients have been told to trust that one
    certificate = server_certificate(chosen.certificate, chosen.private_key, path)
    if not certificate.covers(name):
        raise SettingsError(
            [Problem(f"{path}.name", f'"{name}" is not in {chosen.certificate}, which its clients get')]
        )


def _no_thread(call: Callable[[], Any]) -> Any:
    raise RuntimeError("nothing is sent while settings are checked")


def _state_dir(folder: Path) -> Iterator[Problem]:
    """The state folder, or the nearest folder above it that exists, has to let us write."""
    nearest = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not nearest.is_dir():
        yield Problem("state_dir", f"{nearest} is no folder")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield Problem("state_dir", f"{nearest} cannot be written to by this user")


def _log_file(file: Path | None) -> Iterator[Problem]:
    """The folder of the log has to be there already: a start makes the file, and no folder for it."""
    if file is not None and not file.parent.is_dir():
        yield Problem("log.file", f"{file.parent} is no folder")
    elif file is not None and not os.access(file if file.exists() else file.parent, os.W_OK):
        yield Problem("log.file", f"{file} cannot be written to by this user")
