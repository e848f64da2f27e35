"""What "pip install ." into a fresh environment gives."""

from __future__ import annotations

import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import free_ports

ROOT = Path(__file__).parent.parent
INSTALL_SECONDS = 300


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """The bin folder of an environment with nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "env", with_pip=True)
    installed = run(folder / "env" / "bin" / "pip", "install", "--disable-pip-version-check", wheel, cwd=folder)
    assert installed.returncode == 0, installed.stderr
    return folder / "env" / "bin"


def test_the_wheel_has_the_plugin_the_pages_and_the_schema_and_nothing_of_twisted(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("twisted/")] == ["twisted/plugins/mailgateway_plugin.py"]
    for ending in (".html", ".css", ".js", ".sql"):
        tracked = {str(path.relative_to(ROOT)) for path in (ROOT / "gateway").rglob(f"*{ending}")}
        assert tracked and tracked <= set(names)


def test_twistd_knows_the_gateway_and_twisted_stays_whole(fresh, tmp_path):
    told = run(fresh / "twistd", "-n", "mailgateway", "--help", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "--config" in told.stdout
    mail = run(fresh / "twistd", "-n", "mail", "--help", cwd=tmp_path)
    assert mail.returncode == 0, mail.stderr


def test_check_takes_the_example_settings(fresh, tmp_path):
    example = (ROOT / "etc" / "gateway.toml").read_text("utf-8")
    port, console = (f"tcp:{one}:interface=127.0.0.1" for one in free_ports(2))  # the usual ones may be in use here
    example = example.replace("[console]", f'[console]\nendpoint = "{console}"')
    settings = tmp_path / "gateway.toml"
    settings.write_text(f'{example}\n[[listeners]]\nendpoint = "{port}"\n', "utf-8")
    told = run(fresh / "mailgateway", "check", "--offline", settings, cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    assert told.stdout.endswith("gateway.toml: the settings are good\n")


def test_the_wheel_has_what_the_service_needs(fresh, tmp_path):
    told = run(fresh / "mailgateway", "install", "--root", tmp_path / "root", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    unit = (tmp_path / "root/etc/systemd/system/mailgateway.service").read_text("utf-8")
    assert f"ExecStart={fresh}/twistd" in unit


def test_check_says_what_is_wrong_where_and_what_was_expected(fresh, tmp_path):
    settings = tmp_path / "gateway.toml"
    settings.write_text('[limits]\nrecipients = "many"\n[vendors.postscale]\napi = "postscale"\nurl = "http://api.x"\n')
    told = run(fresh / "mailgateway", "check", settings, cwd=tmp_path)
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        'limits.recipients: expected a whole number of at least 1, got "many"',
        'vendors.postscale.url: expected "https://...", or "http://..." for a loopback address, got "http://api.x"',
    ]


def test_twistd_says_what_is_wrong_with_the_settings_and_stops(fresh, tmp_path):
    settings = tmp_path / "gateway.toml"
    settings.write_text("lissteners = 1\n")
    told = run(fresh / "twistd", "-n", "--pidfile=", "mailgateway", "--config", settings, cwd=tmp_path)
    assert told.returncode == 1
    assert "lissteners: unknown setting; did you mean listeners?" in told.stdout + told.stderr
