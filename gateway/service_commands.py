"""The commands that concern a running gateway."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.control_socket import ask_reload
from gateway.settings import SettingsError, embedded, read_settings

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="The settings file; without one, the default.")


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

    try:
        for step in put_in_place(root.absolute(), programs or Path(sys.executable).parent):
            click.echo(step)
    except (InstallError, OSError) as error:
        raise click.ClickException(str(error)) from None
    settings = f"/{SETTINGS.target}"
    click.echo(f"next: edit {settings}; mailgateway check {settings}; systemctl enable --now mailgateway")
