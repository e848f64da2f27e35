""" "mailgateway install" into an empty folder, as for a package, and again over what an operator has changed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings import read_settings

PROGRAM = Path(sys.executable).with_name("mailgateway")


@pytest.fixture
def installed(tmp_path, needs):
    """The root of a system with a gateway in it."""
    needs(shutil.which("systemd-sysusers") is not None, "systemd-sysusers")
    root = tmp_path / "root"
    root.mkdir()
    done = install(root)
    assert done.returncode == 0, done.stderr
    return root


def install(root, *options, umask=-1):
    command = [PROGRAM, "install", "--root", root, *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, umask=umask)


def test_unit_user_and_settings_are_in_place(installed):
    unit = (installed / "etc/systemd/system/mailgateway.service").read_text("utf-8")
    programs = {Path(one) for one in re.findall(r"^Exec\w+=(\S+)", unit, re.MULTILINE)}
    assert programs == {PROGRAM, PROGRAM.with_name("twistd")}
    assert (installed / "etc/systemd/system/mailgateway.socket").exists()
    assert re.search(r"^mailgateway:", (installed / "etc/passwd").read_text("utf-8"), re.MULTILINE)
    settings = read_settings(installed / "etc/mailgateway/gateway.toml")
    assert settings.state_dir == Path("/var/lib/mailgateway")


def test_the_installed_units_are_good_for_systemd(installed):
    folder = installed / "etc/systemd/system"
    for name in ("mailgateway.service", "mailgateway.socket"):
        done = subprocess.run(
            ["systemd-analyze", "--no-pager", "verify", folder / name], check=False, capture_output=True, text=True
        )
        assert [line for line in done.stderr.splitlines() if "mailgateway." in line] == []


def test_a_second_run_keeps_the_settings_and_renews_the_unit(installed):
    settings, unit = installed / "etc/mailgateway/gateway.toml", installed / "etc/systemd/system/mailgateway.service"
    settings.write_text('hostname = "mine.example"\n', "utf-8")
    unit.write_text("old", "utf-8")
    done = install(installed, "--programs", PROGRAM.parent)
    assert done.returncode == 0, done.stderr
    assert "stays as it is" in done.stdout
    assert settings.read_text("utf-8") == 'hostname = "mine.example"\n'
    assert "ExecStart=" in unit.read_text("utf-8")


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "etc").write_text("a file where a folder should be")
    done = install(tmp_path)
    assert done.returncode == 1
    assert str(tmp_path / "etc") in done.stderr
    assert "Traceback" not in done.stderr


def test_log_rotation_is_good_for_logrotate(installed, tmp_path, needs):
    program = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
    needs(program is not None, "logrotate")
    log = tmp_path / "gateway.log"
    log.write_text("one line\n")
    text = (installed / "etc/logrotate.d/mailgateway").read_text("utf-8")
    text = text.replace("/var/log/mailgateway/*.log", str(log)).replace("    su mailgateway mailgateway\n", "")
    rule = tmp_path / "rule"
    rule.write_text(text, "utf-8")
    with log.open("a", encoding="utf-8") as kept_open:
        command = [program, "--force", "--state", tmp_path / "state", rule]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        kept_open.write("another\n")
    assert log.read_text("utf-8") == "another\n"
    assert (tmp_path / "gateway.log.1").read_text("utf-8") == "one line\n"


def test_whoever_installs_it_with_whatever_umask_the_service_can_read_it(tmp_path, needs):
    needs(shutil.which("systemd-sysusers") is not None, "systemd-sysusers")
    root = tmp_path / "root"
    done = install(root, umask=0o077)
    assert done.returncode == 0, done.stderr
    unreadable = [
        one
        for one in [root, *root.rglob("*")]
        if one.stat().st_mode & 0o005 != (0o005 if one.is_dir() else 0o004) and "shadow" not in one.name
    ]
    assert [one.name for one in unreadable] == [".pwd.lock"]


def test_the_commands_to_go_on_with_are_told_with_their_place(tmp_path, needs):
    needs(shutil.which("systemd-sysusers") is not None, "systemd-sysusers")
    done = install(tmp_path / "root")
    assert f"{PROGRAM} check /etc/mailgateway/gateway.toml; systemctl enable" in done.stdout
