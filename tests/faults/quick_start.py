"""Starts gateways in a fifth of a second, so that a test can kill hundreds: a process that has imported all forks.

Run as a program it is that process. A child is twistd with the gateway's plugin, as after any other start: it gets a
reactor of its own and its arguments, and nothing else is done before.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
END_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Child:
    """A started gateway by its process id."""

    pid: int
    descriptor: int

    def send(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, or does so within this time."""
        return bool(select.select([self.descriptor], [], [], seconds)[0])

    def kill(self) -> None:
        """As a power cut would, but for the disk; ends when it is gone."""
        self.send(signal.SIGKILL)
        assert self.has_ended(END_SECONDS)
        os.close(self.descriptor)

    def stop(self) -> None:
        """As systemd would."""
        self.send(signal.SIGTERM)
        assert self.has_ended(END_SECONDS), "the gateway does not stop"
        os.close(self.descriptor)


class QuickStart:
    """The process that forks, as tests see it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.quick_start"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, config: Path, log_file: Path) -> Child:
        """Start a gateway; it listens a moment later."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(config), str(log_file)]) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        return Child(pid, os.pidfd_open(pid))

    def close(self) -> None:
        self._process.communicate()


def _serve() -> None:
    """Fork for each line of the input; children are not waited for, so that they leave nothing behind."""
    import gateway.service
    import gateway.store.postgres
    import gateway.vendors.postscale
    import gateway.vendors.poststack  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        config, log_file = json.loads(line)
        pid = os.fork()
        if not pid:
            _become_gateway(config, log_file)
        print(pid, flush=True)


def _become_gateway(config: str, log_file: str) -> None:
    import twisted.internet
    import twisted.mail.smtp
    from twisted.scripts import twistd

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Twisted's SMTP module has brought a reactor along, whose descriptors this child must not share with others
    sys.modules.pop("twisted.internet.reactor", None)
    twisted.internet.__dict__.pop("reactor", None)
    from twisted.internet import reactor

    twisted.mail.smtp.reactor = reactor
    sys.argv = ["twistd", "-n", "--pidfile=", "mailgateway", "--config", config]
    code = 1
    try:
        twistd.run()
        code = 0
    except SystemExit as end:  # this process must not go on as the one that forks
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr, flush=True)
        else:
            code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
