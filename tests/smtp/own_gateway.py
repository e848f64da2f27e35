"""A whole gateway with listeners of the test's own, for what the settings of listeners change on the wire."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import RunningGateway, free_ports

ROOT = Path(__file__).parents[2]
LOG_SECONDS = 10
SETTINGS = """\
hostname = "gateway.test"
state_dir = "{folder}/state"
workers = {workers}

[vendors.postscale]
api = "postscale"
url = "http://127.0.0.1:{console}/sandbox/postscale/v1"
key = {{ file = "{folder}/vendor.key" }}

[console]
endpoint = "tcp:{console}:interface=127.0.0.1"

[sandbox]
enabled = true

"""


@contextmanager
def own_gateway(
    folder: Path, listeners: dict[str, str], rest: str = "", workers: int = 1, *, until_ready: bool = True
) -> Iterator[RunningGateway]:
    """Run a gateway. listeners: the settings of each under a name of the test's choice; rest: further
    tables, in which {console} is the console's port; until_ready: wait until it serves."""
    console, *numbers = free_ports(1 + len(listeners))
    ports = dict(zip(listeners, numbers, strict=True))
    tables = "".join(
        f'[[listeners]]\nendpoint = "tcp:{ports[name]}:interface=127.0.0.1"\n{text}\n'
        for name, text in listeners.items()
    )
    (folder / "state").mkdir(mode=0o700)
    (folder / "vendor.key").write_text("ps_test_of_the_operator", encoding="utf-8")
    settings_file, log_file = folder / "gateway.toml", folder / "log.txt"
    settings_file.write_text(
        SETTINGS.format(folder=folder, console=console, workers=workers)
        + tables
        + rest.replace("{console}", str(console)),
        encoding="utf-8",
    )
    twistd = Path(sys.executable).with_name("twistd")
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [str(twistd), "-n", "--pidfile=", "mailgateway", "--config", str(settings_file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ,
            cwd=ROOT,
        )
    ca_file = folder / "state" / "tls" / "certificate.pem"
    running = RunningGateway("127.0.0.1", ports, f"http://127.0.0.1:{console}", ca_file, log_file, process)
    try:
        if until_ready:
            running.wait_until_ready()
        yield running
        assert "Traceback" not in running.log()
    finally:
        if process.poll() is None:
            running.stop()


def logged(gateway: RunningGateway, *parts: str) -> str:
    """The first log line with all these parts; "" when there is none within LOG_SECONDS."""
    end = time.monotonic() + LOG_SECONDS
    while True:
        for line in gateway.log().splitlines():
            if all(part in line for part in parts):
                return line
        if time.monotonic() > end:
            return ""
        time.sleep(0.02)
