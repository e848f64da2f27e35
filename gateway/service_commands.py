"""The commands that concern a running gateway."""

from __future__ import annotations

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
