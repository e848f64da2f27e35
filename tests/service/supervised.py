"""What systemd does for a service, in small: it holds the ports, passes them on, and hears how the service is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30
HIGH_DESCRIPTOR = 200  # above those that the shell moves them to
SETTINGS = """\
hostname = "gateway.test"
state_dir = "{folder}/state"
workers = {workers}

[vendors.postscale]
api = "postscale"
url = "{url}"
"""


class Supervisor:
    """Starts one service at a time, on sockets that stay open between two. folder has gateway.toml and the log."""

    def __init__(self, folder: Path, names: list[str], *, abstract: bool = False) -> None:
        self.folder = folder
        self.sockets = {name: _listening() for name in names}
        self.process: subprocess.Popen[bytes] | None = None
        self.seen: list[str] = []
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.settimeout(PATIENCE_SECONDS)
        self._address = f"@mailgateway-test-{os.getpid()}-{id(self)}" if abstract else str(folder / "notify.sock")
        self._notify.bind(self._address.replace("@", "\0", 1))

    def port(self, name: str) -> int:
        return int(self.sockets[name].getsockname()[1])

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the service as systemd does: LISTEN_PID is its own process id."""
        high = [fcntl.fcntl(one, fcntl.F_DUPFD, HIGH_DESCRIPTOR) for one in self.sockets.values()]
        moves = " ".join(f"{3 + number}<&{one} {one}<&-" for number, one in enumerate(high))
        twistd = Path(sys.executable).with_name("twistd")
        command = [str(twistd), "-n", "--pidfile=", "mailgateway", "--config", str(self.folder / "gateway.toml")]
        passed = {
            "LISTEN_FDS": str(len(high)),
            "LISTEN_FDNAMES": ":".join(self.sockets),
            "NOTIFY_SOCKET": self._address,
        }
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec {moves or ":"}; LISTEN_PID=$$ exec "$@"', "bash", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | passed | (environment or {}),
                pass_fds=high,
                cwd=ROOT,
            )
        for one in high:
            os.close(one)

    def wait_for(self, line: str) -> str:
        """The next notification with this line."""
        while True:
            told = self._notify.recv(4096).decode()
            self.seen.append(told)
            if line in told.splitlines():
                return told

    def told_since(self) -> list[str]:
        """What has been told by now and not been looked at."""
        self._notify.setblocking(False)
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._notify.recv(4096).decode())
        self._notify.settimeout(PATIENCE_SECONDS)
        return found

    def started(self, environment: Mapping[str, str] | None = None) -> None:
        self.start(environment)
        try:
            self.wait_for("READY=1")
        except TimeoutError:
            raise AssertionError(self.log()) from None

    def stop(self) -> int:
        """Stop it; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return code

    def log(self) -> str:
        return (self.folder / "log.txt").read_text("utf-8", "replace")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notify.close()
        for one in self.sockets.values():
            one.close()


def _listening() -> socket.socket:
    """A socket as systemd makes it, with the queue of mailgateway.socket."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)


@contextlib.contextmanager
def supervised(folder: Path, names: list[str], settings: str, *, abstract: bool = False) -> Iterator[Supervisor]:
    """A supervisor that has started nothing yet. settings may name {ports}."""
    (folder / "gateway.toml").write_text(settings, encoding="utf-8")
    one = Supervisor(folder, names, abstract=abstract)
    try:
        yield one
        assert "Traceback" not in one.log(), one.log()
    finally:
        one.close()
