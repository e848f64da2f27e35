"""Puts a gateway that pip has installed in place as a system's service: user, folders, settings, units, log rotation.

What an operator may have changed, the settings, is never overwritten; what belongs to this version is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gateway

PACKAGED = Path(sys.prefix) / "share" / "mailgateway"
IN_A_CHECKOUT = Path(gateway.__file__).parents[1] / "etc"
BIN_OF_THE_UNIT = "/opt/mailgateway/bin/"
ELSEWHERE = "/opt/mailgateway"
STATE_DIR = "/var/lib/mailgateway"
USER = "mailgateway"
PROGRAM_SECONDS = 60
OTHERS_MAY_READ = 0o022  # the umask for what the service reads, whatever the umask of whoever installs it
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))  # by the unit's ProtectHome=yes


class InstallError(Exception):
    """Something cannot be put in place; the text says what and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file of ours, where it goes, and its mode."""

    name: str
    target: str
    mode: int = 0o644


UNITS = (
    Place("mailgateway.service", "etc/systemd/system/mailgateway.service"),
    Place("mailgateway.socket", "etc/systemd/system/mailgateway.socket"),
)
SETTINGS = Place("gateway.toml", "etc/mailgateway/gateway.toml")
SYSUSERS = Place("mailgateway.sysusers", "etc/sysusers.d/mailgateway.conf")
LOGROTATE = Place("mailgateway.logrotate", "etc/logrotate.d/mailgateway")


def install(root: Path, programs: Path) -> Iterator[str]:
    """Put everything in place below root ("/", or the folder of a package being built), and tell each step.

    programs is the folder of the twistd and mailgateway that the unit is to start. InstallError, OSError.
    """
    before = os.umask(OTHERS_MAY_READ)
    try:
        yield from _install(root, programs)
    finally:
        os.umask(before)


def _install(root: Path, programs: Path) -> Iterator[str]:
    is_here = root == Path("/")
    if is_here and any(programs.resolve().is_relative_to(one) for one in HIDDEN):
        raise InstallError(f"the service cannot look into {programs}: make the environment in {ELSEWHERE}, say")
    for one in UNITS:
        yield _put(root, one, _text(one).replace(BIN_OF_THE_UNIT, f"{programs}/"))
    yield _put(root, SYSUSERS, _text(SYSUSERS))
    yield _put(root, LOGROTATE, _text(LOGROTATE))
    yield _settings(root)
    _run("systemd-sysusers", f"--root={root}", str(root / SYSUSERS.target))
    yield "the user mailgateway is there"
    # Twisted notes its plugins in a file beside them, which the service may not write
    _run(str(programs / "twistd"), "--help")
    if is_here:
        _try_as_the_user(programs)
        _run("systemctl", "daemon-reload")


def _try_as_the_user(programs: Path) -> None:
    try:
        _run(str(programs / "twistd"), "mailgateway", "--help", user=USER)
    except InstallError as error:
        raise InstallError(
            f"the user {USER} cannot run it, or its Python (made with umask 022, outside of a home?): {error}"
        ) from None


def _settings(root: Path) -> str:
    target = root / SETTINGS.target
    if target.exists():
        return f"{target} is there already, and stays as it is"
    text, count = re.subn(r"^#state_dir = .*$", f'state_dir = "{STATE_DIR}"', _text(SETTINGS), flags=re.MULTILINE)
    if count != 1:
        raise InstallError("the settings that came with this version have no line for state_dir")
    return _put(root, SETTINGS, text)


def _text(one: Place) -> str:
    folder = PACKAGED if PACKAGED.is_dir() else IN_A_CHECKOUT
    return (folder / one.name).read_text(encoding="utf-8")


def _put(root: Path, one: Place, text: str) -> str:
    """Write a file as a whole or not at all."""
    target = root / one.target
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    new.write_text(text, encoding="utf-8")
    new.chmod(one.mode)
    new.replace(target)
    return f"wrote {target}"


def _run(*command: str, user: str | None = None) -> None:
    """Run a program, as another user if one is named. InstallError when it cannot be run or fails."""
    other: dict[str, Any] = {"user": user, "group": user, "extra_groups": [], "cwd": "/"} if user else {}
    try:
        done = subprocess.run(  # noqa: S603 - ours, no shell
            command, check=False, capture_output=True, text=True, timeout=PROGRAM_SECONDS, **other
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise InstallError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
