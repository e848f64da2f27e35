"""The servers that are measured, and the local API: how each is started, found missing, and stopped."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = HERE / ".peers"
START_SECONDS = 30
STOP_SECONDS = 10
POLL_SECONDS = 0.05
SHOWN_LOG_CHARACTERS = 4000
PEERS_PYTHON = INSTALLED / "venv" / "bin" / "python"
NODE_MODULES = INSTALLED / "nodemailer" / "node_modules"

SETTINGS = """\
hostname = "gateway.example"
state_dir = "{folder}/state"
workers = {workers}

[tls]
certificate = "{certificate}"
private_key = "{private_key}"

[[listeners]]
endpoint = "tcp:{port}:interface=127.0.0.1:backlog=512"
tls = "implicit"
dialect = "postscale"

# The load has one address, which no number of clients has
[limits]
sessions_per_address = 800

[vendors.postscale]
api = "postscale"
url = "{api}"

[console]
endpoint = "tcp:{console}:interface=127.0.0.1"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a server is told: where to listen, what to show, where to post, and a folder for its files."""

    port: int
    certificate: Path
    private_key: Path
    api: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be measured. missing tells what it lacks here, empty for nothing."""

    name: str
    command: Callable[[Place], list[str]]
    missing: Callable[[], str] = lambda: ""


@dataclass(frozen=True, slots=True)
class Api:
    """The running API."""

    url: str

    def count(self) -> tuple[int, int]:
        """How many messages and body octets it has got."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/count", timeout=START_SECONDS) as answer:
            told = json.load(answer)
        return told["messages"], told["octets"]


def _gateway(place: Place, workers: int = 1) -> list[str]:
    (place.folder / "state").mkdir(mode=0o700)
    settings = place.folder / "gateway.toml"
    told = {name: getattr(place, name) for name in ("port", "certificate", "private_key", "api", "folder")}
    settings.write_text(SETTINGS.format(console=free_port(), workers=workers, **told), encoding="utf-8")
    twistd = Path(sys.executable).with_name("twistd")
    return [str(twistd), "-n", "--pidfile=", "mailgateway", "--config", str(settings)]


def _options(place: Place) -> list[str]:
    return [
        *("--port", str(place.port)),
        *("--certificate", str(place.certificate)),
        *("--private-key", str(place.private_key)),
        *("--api", place.api),
    ]


def _python_peer(file: str) -> Callable[[Place], list[str]]:
    return lambda place: [sys.executable, str(HERE / "peers" / file), *_options(place)]


def _aiosmtpd(place: Place) -> list[str]:
    python = str(PEERS_PYTHON) if PEERS_PYTHON.exists() else sys.executable
    return [python, str(HERE / "peers" / "aiosmtpd_aiohttp.py"), *_options(place)]


def _aiosmtpd_missing() -> str:
    here = all(importlib.util.find_spec(name) for name in ("aiosmtpd", "aiohttp"))
    return "" if here or PEERS_PYTHON.exists() else "run benchmarks/install"


def _nodemailer(place: Place) -> list[str]:
    program = str(HERE / "peers" / "nodemailer" / "server.js")
    return ["node", program, str(place.port), str(place.certificate), str(place.private_key), place.api]


def _nodemailer_missing() -> str:
    if shutil.which("node") is None:
        return "node is not installed"
    here = all((NODE_MODULES / name).exists() for name in ("smtp-server", "mailparser"))
    return "" if here else "run benchmarks/install"


STOCK = Server("stock Twisted", _python_peer("stock_twisted.py"))
BARE = Server("bare Twisted", _python_peer("bare_twisted.py"))
GATEWAY = Server("this gateway", _gateway)
TWO_WORKERS = Server("this gateway, two workers", lambda place: _gateway(place, 2))
SERVERS = (
    Server("Nodemailer", _nodemailer, _nodemailer_missing),
    Server("aiosmtpd + aiohttp", _aiosmtpd, _aiosmtpd_missing),
    STOCK,
    BARE,
    GATEWAY,
)


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


@contextmanager
def running_api(folder: Path, delay_seconds: float = 0.0) -> Iterator[Api]:
    """The API in its own process."""
    port = free_port()
    command = [sys.executable, str(HERE / "api.py"), "--port", str(port), "--delay-seconds", str(delay_seconds)]
    with running_command(command, port, folder / "api.log"):
        yield Api(f"http://127.0.0.1:{port}/v1")


@contextmanager
def running(server: Server, place: Place) -> Iterator[int]:
    """A server in its own process; gives its process id."""
    place.folder.mkdir()
    with running_command(server.command(place), place.port, place.folder / "log.txt") as pid:
        yield pid


@contextmanager
def running_command(command: list[str], port: int, log_file: Path) -> Iterator[int]:
    """A program in its own process, once it listens; gives its process id."""
    with log_file.open("wb") as log:
        environment = os.environ | {"NODE_PATH": str(NODE_MODULES)}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        _wait_until_listening(process, port, log_file)
        yield process.pid
    finally:
        if process.poll() is not None:  # nobody has stopped it yet: its log says why the run cannot go on
            print(f"\n{command} ended with {process.returncode}:\n{_end_of(log_file)}", file=sys.stderr)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log_file: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise SystemExit(f"{process.args} does not listen")


def _end_of(log_file: Path) -> str:
    return log_file.read_text(encoding="utf-8", errors="replace")[-SHOWN_LOG_CHARACTERS:]
