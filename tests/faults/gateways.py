"""Gateways that are started, killed and started again in no time, with the queues of two vendors."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import free_ports
from tests.faults.quick_start import Child, QuickStart
from tests.faults.vendors import Vendors

LEASE_SECONDS = 2.0
IN_FLIGHT = "SELECT path FROM queue JOIN recipients USING (message_id) WHERE in_flight = 1"
SETTINGS = """\
hostname = "gateway.test"
state_dir = "{folder}/state"
workers = 1

[[listeners]]
endpoint = "tcp:{poststack}:interface=127.0.0.1"
tls = "none"
dialect = "poststack"

[[listeners]]
endpoint = "tcp:{postscale}:interface=127.0.0.1"
tls = "none"
dialect = "postscale"

[vendors.poststack]
api = "poststack"
url = "{poststack_url}"
exchange_seconds = {exchange_seconds}
{more}

[vendors.postscale]
api = "postscale"
url = "{postscale_url}"
exchange_seconds = {exchange_seconds}
{more}

[[routes]]
dialect = "poststack"
vendors = ["poststack"]
mode = "queued"

[[routes]]
dialect = "postscale"
vendors = ["postscale"]
mode = "queued"

[console]
endpoint = "tcp:{console}:interface=127.0.0.1"

[queue]
first_retry_seconds = 0.3
longest_retry_seconds = 1.0
poll_seconds = 0.3
lease_seconds = {lease_seconds}
spill_seconds = 1.0
breaker_failures = {breaker_failures}
breaker_seconds = 0.5
longest_breaker_seconds = 1.0
{store}
"""


class Gateway:
    """One gateway in a folder of its own. store is a [store] table; without one it has a SQLite file."""

    def __init__(
        self,
        folder: Path,
        starts: QuickStart,
        vendors: Vendors,
        store: str = "",
        more: str = "",
        exchange_seconds: float = 1.0,
        breaker_failures: int = 1000,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        folder.mkdir(exist_ok=True)
        poststack, postscale, console = free_ports(3)
        self.ports = {"poststack": poststack, "postscale": postscale}
        self.database = folder / "state" / "store.sqlite"
        self.log_file = folder / "log.txt"
        self.config = folder / "gateway.toml"
        self._starts = starts
        self._child: Child | None = None
        text = SETTINGS.format(
            folder=folder,
            console=console,
            poststack_url=vendors.url("poststack"),
            postscale_url=vendors.url("postscale"),
            store=store,
            more=more,
            exchange_seconds=exchange_seconds,
            breaker_failures=breaker_failures,
            lease_seconds=lease_seconds,
            **self.ports,
        )
        self.config.write_text(text)

    @property
    def child(self) -> Child:
        assert self._child is not None, "the gateway does not run"
        return self._child

    @property
    def url(self) -> str:
        """The URL of its SQLite file."""
        return f"sqlite:{self.database}"

    def start(self) -> None:
        """It serves a moment later."""
        self._child = self._starts.start(self.config, self.log_file)

    @contextlib.contextmanager
    def running(self) -> Iterator[Gateway]:
        """Started, and stopped at the end of the block."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """In order."""
        assert not self.child.has_ended(), f"the gateway ended by itself:\n{self.log()[-8000:]}"
        self.child.stop()
        self._child = None

    def kill(self) -> None:
        """kill -9."""
        assert not self.child.has_ended(), f"the gateway ended by itself:\n{self.log()[-8000:]}"
        self.child.kill()
        self._child = None

    def pause(self) -> None:
        """It stands still, with all that it has in hand."""
        self.child.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """As if nothing had been."""
        self.child.send(signal.SIGCONT)

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def in_flight(self) -> Counter[str]:
        """The tokens of messages whose attempt was begun and never ended, in the file of a gateway that is dead.

        Read in a copy: the file is recovered by the gateway that starts next, and by nobody else.
        """
        with tempfile.TemporaryDirectory() as folder:
            for name in (self.database.name, f"{self.database.name}-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(self.database.with_name(name), folder)
            copy = Path(folder) / self.database.name
            if not copy.exists():
                return Counter()
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                try:
                    return Counter(token_of(path) for (path,) in connection.execute(IN_FLIGHT))
                except sqlite3.OperationalError:  # killed before it had made its tables
                    return Counter()


def token_of(path: str) -> str:
    return path.partition("@")[0]
