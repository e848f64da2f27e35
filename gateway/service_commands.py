"""The commands that concern a running gateway, and setting one up."""

from __future__ import annotations

import smtplib
import sys
from pathlib import Path

import click

from gateway.control_socket import ask_reload
from gateway.settings import SettingsError, embedded, read_settings

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="The settings file; without one, the default.")
CONSOLE = "http://127.0.0.1:8025"  # of the embedded default


@click.command()
@CONFIG
@click.option("--state-dir", type=click.Path(path_type=Path), help="The running gateway's, if not the settings' own.")
def reload(config: Path | None, state_dir: Path | None) -> None:
    """Have the running gateway read settings and certificates again: all of it, or nothing if there is a problem."""
    try:
        folder = state_dir or (read_settings(config) if config else embedded()).state_dir
    except SettingsError as error:
        raise click.ClickException(f"nothing was changed:\n{error}") from None
    try:
        answer = ask_reload(folder)
    except OSError as error:
        raise click.ClickException(f"no gateway answers in {folder}: {error.strerror or error}") from None
    if answer.problems:
        raise click.ClickException("nothing was changed:\n" + "\n".join(answer.problems))
    click.echo("reloaded: new sessions get the new settings and certificates")


@click.command()
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), help="Below this folder, for a package.")
@click.option(
    "--programs", type=click.Path(path_type=Path), help="Where the unit finds twistd; default: this command's."
)
def install(root: Path, programs: Path | None) -> None:
    """Set this gateway up as a service of systemd: its user, settings, units and log rotation. Run it as root."""
    from gateway.installing import SETTINGS, InstallError  # noqa: PLC0415 - keeps the other commands quick
    from gateway.installing import install as put_in_place  # noqa: PLC0415 - as above

    programs = (programs or Path(sys.executable).parent).absolute()
    try:
        for step in put_in_place(root.absolute(), programs):
            click.echo(step)
    except (InstallError, OSError) as error:
        raise click.ClickException(str(error)) from None
    settings = f"/{SETTINGS.target}"
    click.echo(f"next: edit {settings}; {programs}/mailgateway check {settings}; systemctl enable --now mailgateway")


@click.command("send-test")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=2525, show_default=True, type=int)
@click.option("--implicit-tls", is_flag=True, help="TLS from the first octet, as on port 2465.")
@click.option("--user", default="postscale", show_default=True)
@click.option(
    "--password", envvar="MAILGATEWAY_PASSWORD", default="ps_test_first_message", help="Better: the variable."
)
@click.option("--certificate", type=click.Path(path_type=Path), help="The certificate to trust, in PEM form.")
@click.option("--from", "author", default="shop@shop.example", show_default=True)
@click.option("--to", "recipient", default="ann@cust.example", show_default=True)
@click.option("--console", help="Where to follow it; default: http://127.0.0.1:8025 for a gateway on this machine.")
@click.option("--token", envvar="MAILGATEWAY_TOKEN", default="", help="For the console. Better: the variable.")
@click.option("--wait", default=30.0, show_default=True, help="For how many seconds to follow it at most.")
def send_test(  # noqa: PLR0913, PLR0917 - an argument for each option
    host: str,
    port: int,
    implicit_tls: bool,
    user: str,
    password: str,
    certificate: Path | None,
    author: str,
    recipient: str,
    console: str | None,
    token: str,
    wait: float,
) -> None:
    """Send a message through a running gateway, as an application would, and follow it to its outcome.

    The console's control API tells of that; where it does not know the message, the reply has to do.
    """
    from gateway.first_message import Submitter, first_message, send  # noqa: PLC0415 - keeps the other commands quick
    from gateway.follow import NotFollowedError, follow, message_id_of  # noqa: PLC0415 - keeps the other commands quick

    self_made = embedded().state_dir / "tls" / "certificate.pem"
    is_here = host in ("127.0.0.1", "localhost", "::1")
    trusted = certificate or (self_made if is_here and self_made.exists() else None)
    submitter = Submitter(host, port, user, password, implicit_tls, trusted)
    try:
        reply = send(first_message(author, recipient), submitter)
    except smtplib.SMTPResponseException as error:
        told = error.smtp_error.decode("ascii", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise click.ClickException(f"{host}:{port} answered {error.smtp_code} {told}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise click.ClickException(f"{host}:{port}: {error}") from None
    click.echo(reply)
    message_id = message_id_of(reply)
    place = console or (CONSOLE if is_here else None)
    if message_id is None or place is None:
        return
    try:
        for line in follow(place, token, message_id, wait):
            click.echo(line)
    except NotFollowedError as error:
        if console is not None:
            raise click.ClickException(f"{console}: {error}") from None
