"""The command "mailgateway check": looks at everything that a gateway needs, and says what to do."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure

from gateway.checking.finding import Finding, as_json, has_problem, problem, table
from gateway.settings import Settings, SettingsError, read_settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Ask neither the vendors about their keys nor the DNS.")
@click.option("--domain", "domains", multiple=True, help="A From domain whose DNS to look at, besides those of routes.")
@click.option("--selector", "selectors", multiple=True, help="A DKIM selector, besides those of the vendor entries.")
@click.option("--resolver", help="The address of a DNS server, with its port if not 53; default: the system's.")
@click.option("--json", "json", is_flag=True, help="Print JSON.")
def check(
    file: Path, offline: bool, domains: tuple[str, ...], selectors: tuple[str, ...], resolver: str | None, json: bool
) -> None:
    """Say what is wrong with a settings FILE, with what it points at, and what to do about it. Status 1 if anything."""
    findings = _settings_findings(file)
    if not findings:
        settings = read_settings(file)
        asked = _asked(settings, domains, selectors)
        findings = _beyond_settings(settings, offline=offline, asked=asked, dns=resolver)
    elif not json:
        # Nothing else can be looked at with these; a line for each, as at the start
        for one in findings:
            click.echo(f"{one.path}: {one.text}" if one.path else one.text, err=True)
        raise SystemExit(1)
    if json:
        click.echo(as_json(findings))
    else:
        for line in table(findings, colour=sys.stdout.isatty()):
            click.echo(line)
        click.echo(f"{file}: {'there are problems' if has_problem(findings) else 'the settings are good'}")
    if has_problem(findings):
        raise SystemExit(1)


def _settings_findings(file: Path) -> list[Finding]:
    from twisted.internet import reactor  # noqa: PLC0415 - only this command needs one

    from gateway.check import check_settings  # noqa: PLC0415 - loads the whole gateway

    return [problem(one.path, one.text) for one in check_settings(file, reactor)]


def _asked(settings: Settings, domains: tuple[str, ...], selectors: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The From domains with their selectors: those of the vendors that the domain's routes name, or of all."""
    every = [one for vendor in settings.vendors.values() for one in vendor.dkim_selectors]
    asked = dict.fromkeys(domains, (*selectors, *every))
    for route in settings.routes:
        if route.from_domain and route.from_domain not in domains:
            own = [one for name in route.vendors for one in settings.vendors[name].dkim_selectors]
            asked[route.from_domain] = (*asked.get(route.from_domain, selectors), *own)
    return {domain: tuple(dict.fromkeys(names)) for domain, names in asked.items()}


def _beyond_settings(
    settings: Settings, *, offline: bool, asked: dict[str, tuple[str, ...]], dns: str | None
) -> list[Finding]:
    from gateway.check import not_looked_at  # noqa: PLC0415 - as above
    from gateway.checking.finding import note  # noqa: PLC0415 - as above
    from gateway.checking.machine import look_at_machine  # noqa: PLC0415 - as above
    from gateway.checking.vendor_keys import keys_to_ask_about, not_asked  # noqa: PLC0415 - as above

    findings = list(look_at_machine(settings, datetime.datetime.now(datetime.UTC)))
    findings += [note(one.path, one.text) for one in not_looked_at(settings)]
    if offline:
        return [*findings, *not_asked(settings), *(note(domain, "the DNS was not asked") for domain in asked)]
    names = keys_to_ask_about(settings)
    return [*findings, *_answers(settings, names, asked, dns)] if names or asked else findings


def _answers(settings: Settings, names: list[str], asked: dict[str, tuple[str, ...]], dns: str | None) -> list[Finding]:
    """Ask everybody at once, and wait for all; each answer has a time limit of its own."""
    from twisted.internet import reactor  # noqa: PLC0415 - as above

    from gateway.checking.email_dns import look_at_domain  # noqa: PLC0415 - as above
    from gateway.checking.vendor_keys import look_at_key  # noqa: PLC0415 - as above

    resolver = _resolver(dns, reactor)
    found: list[Finding] = []
    failures: list[Failure] = []

    async def ask() -> None:
        keys = [Deferred.fromCoroutine(look_at_key(settings, name, reactor)) for name in names]
        found.extend(await gatherResults(keys))
        domains = [Deferred.fromCoroutine(look_at_domain(one, asked[one], resolver)) for one in asked]
        for each in await gatherResults(domains):
            found.extend(each)

    def begin() -> None:
        asking = Deferred.fromCoroutine(ask())
        asking.addErrback(failures.append)
        asking.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    for failed in failures:
        error = failed.value
        if isinstance(error, FirstError):  # of gatherResults
            error = error.subFailure.value
        if isinstance(error, SettingsError):
            return [problem(each.path, each.text) for each in error.problems]
        failed.raiseException()
    return found


def _resolver(address: str | None, reactor: object) -> Any:
    from twisted.names.client import Resolver  # noqa: PLC0415 - as above

    if address is None:
        return Resolver(resolv="/etc/resolv.conf", reactor=reactor)
    host, mark, port = address.rpartition(":")
    if mark and not port.isdigit():
        raise click.ClickException(f"--resolver: expected an address, or an address and a port, got {address}")
    return Resolver(servers=[(host, int(port)) if mark else (address, 53)], reactor=reactor)
