"""docs/ADDING_A_VENDOR.md, followed to the letter in a copy of the tree, gives a vendor that passes everything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import free_ports

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "ADDING_A_VENDOR.md").read_text("utf-8")
FILES = re.findall(r"^`((?:gateway|tests)/[^`]+)`:\n\n```\w*\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
LINE = re.search(r"one line in `SANDBOXES`.*?```\n +(.*?)\n```", GUIDE, re.DOTALL)[1]
SECTION = textwrap.dedent(re.search(r"^  ```\n(  ### acme\n.*?)^  ```$", GUIDE, re.DOTALL | re.MULTILINE)[1])
SETTINGS = re.search(r"```toml\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)[1]

Run = Callable[..., subprocess.CompletedProcess[str]]


def mount(file: Path) -> None:
    """Add the guide's line to SANDBOXES, and what it needs to be imported."""
    text = file.read_text("utf-8")
    text = re.sub(r"^(SANDBOXES\b.*= \{)", rf"\1{LINE}", text, flags=re.MULTILINE)
    import_line = "from gateway.sandbox.acme import AcmeSandbox\n"
    file.write_text(text.replace("from gateway.sandbox.inbox", f"{import_line}from gateway.sandbox.inbox"), "utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with everything that the guide says."""
    folder = tmp_path_factory.mktemp("fifth")
    for name in ("gateway", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "corpus", "interop"))
    for name in ("setup.cfg", "ruff.toml"):
        shutil.copy(ROOT / name, folder)
    for name, text in FILES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    mount(folder / "gateway" / "console_parts.py")
    sandbox = folder / "docs" / "SANDBOX.md"
    sandbox.write_text(sandbox.read_text("utf-8").replace("## For scripts", f"{SECTION}\n## For scripts"), "utf-8")
    return folder


@pytest.fixture
def run(tree: Path) -> Run:
    """Runs a Python module in the copy."""

    def run_module(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(tree), "MAILGATEWAY_STATE": str(tree / "state")}
        command = [sys.executable, "-m", *words]
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run_module


def test_its_files_are_in_the_style_of_the_house(run):
    python = [name for name, _ in FILES if name.endswith(".py")]
    for command in (["check"], ["format", "--check"]):
        done = run("ruff", *command, *python)
        assert done.returncode == 0, done.stdout


def test_its_types_are_right(run):
    done = run("mypy", *(name for name, _ in FILES if name.startswith("gateway/")))
    assert done.returncode == 0, done.stdout


def test_its_cases_and_its_sandbox_pass(run):
    done = run("pytest", "-p", "no:cacheprovider", "-k", "acme", "tests/vendors/test_cases.py", "tests/sandbox",
               "tests/test_layers.py")  # fmt: skip
    assert done.returncode == 0, done.stdout
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed > 20


def test_the_settings_know_it_and_it_is_explained(run, tree):
    settings = tree / "gateway.toml"
    listener, console = free_ports(2)  # the usual ones may be in use here
    text = SETTINGS.replace("tcp:2525:", f"tcp:{listener}:")
    settings.write_text(f'{text}\n[console]\nendpoint = "tcp:{console}:interface=127.0.0.1"\n', "utf-8")
    script = "gateway.command_line_of_the_copy"
    (tree / "gateway" / "command_line_of_the_copy.py").write_text("from gateway.command import main\n\nmain()\n")
    checked = run(script, "check", str(settings))
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    message = str(tree / "tests" / "vendors" / "acme" / "01-label.eml")
    shown = run(script, "explain", message, "--dialect", "acme", "--vendor", "acme", "--config", str(settings))
    assert shown.stdout.startswith("POST http://127.0.0.1:8025/sandbox/acme/v1/messages\nX-Acme-Key: ***\n")
