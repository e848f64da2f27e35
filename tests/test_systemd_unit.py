"""The unit file in etc/ is checked by systemd's own tools, without a running systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "etc" / "mailgateway.service"
SOCKETS = UNIT.with_suffix(".socket")


@pytest.fixture
def unit(tmp_path: Path, needs: Callable[[bool, str], None]) -> Path:
    """A copy whose commands exist on this machine: `verify` complains of a program that is not installed."""
    needs(shutil.which("systemd-analyze") is not None, "systemd-analyze")
    copied = tmp_path / UNIT.name
    text, replaced = re.subn(r"^(Exec\w+=)\S+", rf"\1{sys.executable}", UNIT.read_text(encoding="utf-8"), flags=re.M)
    assert replaced
    copied.write_text(text, encoding="utf-8")
    (tmp_path / SOCKETS.name).write_text(SOCKETS.read_text(encoding="utf-8"), encoding="utf-8")
    return copied


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", env={"LC_ALL": "C.UTF-8"})


def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    result = analyze("verify", str(unit))
    about_the_unit = [line for line in result.stderr.splitlines() if unit.name in line]
    assert (result.returncode, about_the_unit) == (0, [])


def test_systemd_finds_nothing_wrong_with_the_ports_it_passes(unit: Path) -> None:
    result = analyze("verify", str(unit.with_name(SOCKETS.name)))
    about_the_unit = [line for line in result.stderr.splitlines() if SOCKETS.name in line]
    assert (result.returncode, about_the_unit) == (0, [])


def test_a_misspelt_directive_would_be_noticed(unit: Path) -> None:
    unit.write_text(unit.read_text(encoding="utf-8").replace("PrivateTmp=", "PrivateTemp="), encoding="utf-8")
    assert "PrivateTemp" in analyze("verify", str(unit)).stderr


def test_the_service_is_exposed_to_no_more_than_the_documentation_says(unit: Path) -> None:
    told = re.search(r"exposure\s+of (\d\.\d) of 10", (ROOT / "docs" / "OPERATING.md").read_text(encoding="utf-8"))
    assert told is not None
    result = analyze("security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert found is not None, result.stdout + result.stderr
    assert float(found[1]) <= float(told[1])


def test_systemd_hears_of_readiness_and_of_life(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert "Type=notify" in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)
