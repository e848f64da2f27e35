"""A running gateway with its sandbox for the tests that need one, and the rule for programs that may be missing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.store.sqlite import SqliteStore
from tests.wheel import build_wheel

POLL_SECONDS = 0.05
START_POLLS = 600  # times POLL_SECONDS: half a minute, for a first start that makes a certificate on a slow machine
STOP_SECONDS = 20
HTTP_SECONDS = 10
SHOWN_LOG_CHARACTERS = 20_000  # the end of the log: what the failed test did, and not the whole run

SETTINGS = """\
hostname = "gateway.test"
state_dir = "{state_dir}"
workers = 1

[[listeners]]
endpoint = "tcp:{starttls}:interface=127.0.0.1"
tls = "starttls"
dialect = "postscale"

[[listeners]]
endpoint = "tcp:{implicit}:interface=127.0.0.1"
tls = "implicit"
dialect = "postscale"

[vendors.postscale]
api = "postscale"
url = "http://127.0.0.1:{console}/sandbox/postscale/v1"

[[routes]]
vendors = ["postscale"]
mode = "direct"

[console]
endpoint = "tcp:{console}:interface=127.0.0.1"

[sandbox]
enabled = true
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An embedded store in a folder of its own."""
    made = SqliteStore(tmp_path / "store.sqlite")
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="session")
def needs() -> Callable[[bool, str], None]:
    """A check for a program that may be missing: the test is skipped then, or fails where all must be there."""

    def check(present: bool, what: str) -> None:
        reason = f"{what} is not installed; tests/interop/install installs it"
        if not present and os.environ.get("MAILGATEWAY_TEST_ALL_CLIENTS") == "1":
            pytest.fail(reason)
        if not present:
            pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this project."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A gateway in its own process. ports has "starttls" and "implicit"; ca_file is the certificate to trust."""

    host: str
    ports: dict[str, int]
    console_url: str
    ca_file: Path
    log_file: Path
    process: subprocess.Popen[bytes]

    def messages(self) -> list[dict[str, Any]]:
        """What the sandbox's API received, newest first."""
        with urllib.request.urlopen(f"{self.console_url}/api/v1/sandbox/messages", timeout=HTTP_SECONDS) as answer:
            listed: list[dict[str, Any]] = json.load(answer)
            return listed

    def clear(self) -> None:
        """Empty the sandbox's inbox."""
        request = urllib.request.Request(f"{self.console_url}/api/v1/sandbox/messages", method="DELETE")
        with urllib.request.urlopen(request, timeout=HTTP_SECONDS):
            pass

    def log(self) -> str:
        """Everything the process has written so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def is_ready(self) -> bool:
        """Whether /readyz says yes; no listener yet and a not-yet (503) are both no."""
        try:
            with urllib.request.urlopen(f"{self.console_url}/readyz", timeout=HTTP_SECONDS):
                return True
        except OSError:  # refused, cut, too slow, or an HTTP error status (urllib.error.HTTPError)
            return False

    def wait_until_ready(self) -> None:
        """Return when the gateway is ready; fail with its log when it has ended or takes too long."""
        for _ in range(START_POLLS):
            if self.process.poll() is not None:
                pytest.fail(f"the gateway ended with {self.process.returncode}:\n{self.log()}")
            if self.is_ready():
                return
            time.sleep(POLL_SECONDS)
        pytest.fail(f"the gateway is not ready after {START_POLLS * POLL_SECONDS} seconds:\n{self.log()}")

    def stop(self) -> None:
        """Stop it as systemd would; it drains and ends with status 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the gateway did not stop within {STOP_SECONDS} seconds:\n{self.log()}")
        assert code == 0, f"the gateway ended with {code}:\n{self.log()}"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on; all are held until the last is found, so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def start_gateway(folder: Path) -> RunningGateway:
    """Start twistd with a settings file of its own in folder; it may not be ready yet."""
    starttls, implicit, console = free_ports(3)
    settings_file, state_dir, log_file = folder / "gateway.toml", folder / "state", folder / "log.txt"
    state_dir.mkdir(mode=0o700)
    settings_file.write_text(
        SETTINGS.format(state_dir=state_dir, starttls=starttls, implicit=implicit, console=console), encoding="utf-8"
    )
    twistd = Path(sys.executable).with_name("twistd")
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [str(twistd), "-n", "--pidfile=", "mailgateway", "--config", str(settings_file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"MAILGATEWAY_STATE": str(state_dir)},
            cwd=Path(__file__).parent.parent,
        )
    return RunningGateway(
        host="127.0.0.1",
        ports={"starttls": starttls, "implicit": implicit},
        console_url=f"http://127.0.0.1:{console}",
        ca_file=state_dir / "tls" / "certificate.pem",
        log_file=log_file,
        process=process,
    )


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for the whole test run. Its inbox is shared: a test calls clear() first."""
    running = start_gateway(tmp_path_factory.mktemp("gateway"))
    try:
        running.wait_until_ready()
        yield running
        assert running.process.poll() is None, f"the gateway ended by itself:\n{running.log()}"
    finally:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """One PostgreSQL server for the whole test run; each test has a place of its own on it."""
    from tests.postgres_server import PostgresServer

    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the gateway's log under a failed test that used it."""
    report = yield
    running = getattr(item, "funcargs", {}).get("gateway")
    if report.failed and isinstance(running, RunningGateway):
        report.sections.append(("the gateway's log", running.log()[-SHOWN_LOG_CHARACTERS:]))
    return report
