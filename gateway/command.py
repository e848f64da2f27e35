"""The mailgateway command line."""

from __future__ import annotations

import datetime
import time
from dataclasses import replace
from pathlib import Path

import click

from gateway import __version__, check_command, service_commands
from gateway.accounts.credentials import make_credential, mechanisms_of, new_user_name, regenerate_credential
from gateway.accounts.seal import Seal
from gateway.content.spool import Spool
from gateway.features import Feature
from gateway.ids import new_id
from gateway.settings import Settings, SettingsError, embedded, read_settings
from gateway.steering_commands import messages, queue
from gateway.store.interface import Store, StoreError
from gateway.store.opening import open_store
from gateway.vendor import Vendor, load, reserved_user_names

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="The settings file; without one, the default.")
CHALLENGE_MECHANISMS = click.option(
    "--challenge-mechanisms",
    is_flag=True,
    help="Keep the secret itself, encrypted, for CRAM-MD5 and DIGEST-MD5, which compute with it.",
)


@click.group()
@click.version_option(__version__, prog_name="mailgateway")
def main() -> None:
    """An SMTP gateway to email vendors' HTTP APIs. It is started with: twistd -n mailgateway"""


main.add_command(service_commands.reload)
main.add_command(service_commands.install)
main.add_command(service_commands.send_test)
main.add_command(check_command.check)
main.add_command(messages)
main.add_command(queue)


@main.group()
def credentials() -> None:
    """SMTP credentials that stand for a vendor key of the settings."""


@credentials.command("add")
@CONFIG
@click.option("--vendor", help="The [vendors] entry whose key it stands for; needless when there is only one.")
@CHALLENGE_MECHANISMS
@click.option("--stream", default="", help="The only message stream that it may send to, as Postmark's SMTP tokens do.")
@click.argument("user_name", required=False)
def add_credential(
    config: Path | None, vendor: str | None, challenge_mechanisms: bool, stream: str, user_name: str | None
) -> None:
    """Make a credential and show its secret, once. Without a USER_NAME, one is made up by the vendor's rule."""
    settings = _settings(config)
    vendor = _vendor(settings, vendor)
    api = load(settings.vendors[vendor].api)
    names = api.dialect.user_names
    user_name = user_name or new_user_name(names)
    if user_name.casefold() in reserved_user_names():
        raise click.ClickException(
            f"{user_name} is the user name that goes with an API key; a login with it is no other"
        )
    try:
        store, now = _store(settings), datetime.datetime.now(datetime.UTC)
        seal = _seal(settings, store) if challenge_mechanisms else None
        secret = make_credential(store, user_name, vendor, now, seal, names=names, stream=stream)
    except (ValueError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    _show(user_name, secret, kept=challenge_mechanisms)
    if stream and Feature.STREAM not in api.can:
        click.echo(f"The API of vendors.{vendor} has no message streams: {stream} only counts for routes.", err=True)
    if settings.vendors[vendor].key is None:
        click.echo(f"Logins have to wait: vendors.{vendor} has no key in the settings yet.", err=True)


@credentials.command("regenerate")
@CONFIG
@CHALLENGE_MECHANISMS
@click.argument("user_name")
def regenerate(config: Path | None, challenge_mechanisms: bool, user_name: str) -> None:
    """Give a credential a new secret, and show it, once. The old one is good no more."""
    settings = _settings(config)
    try:
        store = _store(settings)
        seal = _seal(settings, store) if challenge_mechanisms else None
        secret = regenerate_credential(store, user_name, datetime.datetime.now(datetime.UTC), seal)
    except (ValueError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    _show(user_name, secret, kept=challenge_mechanisms)


@credentials.command("list")
@CONFIG
def list_credentials(config: Path | None) -> None:
    """List the credentials: user name, vendor, state, when made, when last used, stream, SASL mechanisms to log in."""
    try:
        for one in _store(_settings(config)).look(lambda transaction: transaction.credentials()):
            state = "active" if one.active else "deactivated"
            used, stream = one.last_used_at or "never", one.stream or "-"
            told = (one.user_name, one.vendor, state, one.created_at, used, stream, " ".join(mechanisms_of(one)))
            click.echo("\t".join(told))
    except StoreError as error:
        raise click.ClickException(str(error)) from None


@credentials.command("deactivate")
@CONFIG
@click.argument("user_name")
def deactivate_credential(config: Path | None, user_name: str) -> None:
    """Let nobody log in with a credential any more."""
    try:
        found = _store(_settings(config)).run(lambda transaction: transaction.deactivate_credential(user_name))
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    if not found:
        raise click.ClickException(f"there is no credential with the user name {user_name}")
    click.echo(f"{user_name} is deactivated: no new login; the name stays taken, regenerate does not bring it back")


@main.command("explain")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dialect", required=True, help="The vendor whose SMTP conventions the message is written in.")
@click.option("--vendor", required=True, help="The vendor to say it to: a [vendors] entry, or the name of an API.")
@CONFIG
@click.option("--from", "reverse_path", help="The reverse-path; without it, the address in From.")
@click.option("--to", "paths", multiple=True, help="A forward-path, once for each; without, those in To, Cc and Bcc.")
@click.option("--allow-loss", "losses", multiple=True, help="A feature to go without, as in a route's losses.")
@click.option("--full", is_flag=True, help="Show base64 whole.")
def explain_message(
    file: Path,
    dialect: str,
    vendor: str,
    config: Path | None,
    reverse_path: str | None,
    paths: tuple[str, ...],
    losses: tuple[str, ...],
    full: bool,
) -> None:
    """Show the requests that a message in FILE would become, and what would change. Nothing is sent."""
    from gateway.explain import Moment, NoRecipientError, Target, explain, lines  # noqa: PLC0415 - keeps the other commands quick

    settings = _settings(config)
    entry = settings.vendors.get(vendor) if config else None
    by_name = {"--dialect": dialect, "--vendor": entry.api if entry else vendor}
    spoken, spoken_to = (_api(option, name) for option, name in by_name.items())
    url = (entry.url if entry else "") or spoken_to.default_url
    target = Target(spoken, spoken_to, vendor, url.rstrip("/"), _losses(losses))
    if config and entry:
        target = replace(target, routes=settings.routes, streams=entry.streams, templates=entry.templates)
    moment = Moment(new_id(time.time), settings.hostname, time.time())
    spool = Spool(None)
    try:
        # As a client would send it: a file has the line ends of its system
        spool.write(file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        explanation = explain(spool, target, moment, reverse_path, paths)
        for line in lines(explanation, spoken.dialect, full=full):
            click.echo(line)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    except NoRecipientError as error:
        raise click.ClickException(f"{error}: give --to") from None
    finally:
        spool.close()
    if explanation.refusal is not None:
        raise SystemExit(1)


def _api(option: str, name: str) -> Vendor:
    try:
        return load(name)
    except LookupError:
        raise click.ClickException(f'{option}: no vendor "{name}" is known') from None


def _losses(names: tuple[str, ...]) -> tuple[str, ...]:
    known = [one.value for one in Feature]
    for name in names:
        if name not in known:
            raise click.ClickException(f"--allow-loss has to be one of: {', '.join(known)}")
    return names


def _show(user_name: str, secret: str, *, kept: bool) -> None:
    click.echo(f"user name: {user_name}\npassword:  {secret}")
    how = "encrypted, for CRAM-MD5 and DIGEST-MD5" if kept else "only as a hash"
    click.echo(f"The password is shown this once and kept {how}.", err=True)


def _settings(config: Path | None) -> Settings:
    try:
        return read_settings(config) if config else embedded()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _vendor(settings: Settings, name: str | None) -> str:
    if name is None and len(settings.vendors) == 1:
        return next(iter(settings.vendors))
    if name not in settings.vendors:
        raise click.ClickException(f"--vendor has to be one of: {', '.join(settings.vendors)}")
    return name


def _store(settings: Settings) -> Store:
    """The open store; which one is told, because the service may have been started with another state folder."""
    from gateway.parts import store_password  # noqa: PLC0415 - keeps the other commands quick

    try:
        store = open_store(settings.store_url, store_password(settings))
    except (StoreError, SettingsError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"store: {store.name}", err=True)
    if store.damage:
        click.echo(store.damage, err=True)
    click.get_current_context().call_on_close(store.close)
    return store


def _seal(settings: Settings, store: Store) -> Seal:
    """What secrets are sealed with. StoreError when it is not what the gateway opens them with."""
    from gateway.parts import store_seal  # noqa: PLC0415 - keeps the other commands quick

    try:
        seal = store_seal(settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if misfit := seal.misfit(store):
        raise StoreError(misfit)
    return seal
