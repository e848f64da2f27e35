"""Gateways with a queue for the end-to-end tests, and what their stores hold."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tests.conftest as fixtures
from gateway.store.records import Selection, State, StoredEvent, StoredMessage, Totals
from gateway.store.sqlite import SqliteStore
from tests.conftest import RunningGateway, start_gateway
from tests.running import OWN_SANDBOX, VENDOR, connected, log_in, send

KEY = "ps_test_queue_0123456789"
ROUTE = '\n[[routes]]\nvendors = ["postscale"]\nmode = "direct"\n'
WAIT_SECONDS = 20.0
STEP_SECONDS = 0.02
QUICK = {
    "first_retry_seconds": 0.3,
    "longest_retry_seconds": 0.6,
    "poll_seconds": 0.3,
    "lease_seconds": 8.0,
    "spill_seconds": 1.0,
    "breaker_failures": 1000,
}
"""Settings of [queue] for tests that cannot wait for minutes."""


def settings_text(vendors: str, routes: str, **queue: float) -> str:
    """The settings of a gateway with these tables; queue is on top of QUICK."""
    table = "\n".join(f"{name} = {value}" for name, value in {**QUICK, **queue}.items())
    assert VENDOR in fixtures.SETTINGS, "the fixture's settings have another form now"
    assert ROUTE in fixtures.SETTINGS, "the fixture's settings have another form now"
    return fixtures.SETTINGS.replace(VENDOR, vendors).replace(ROUTE, routes) + f"\n[queue]\n{table}\n"


def vendor(name: str, url: str = OWN_SANDBOX, *, key: Path | None = None, seconds: float = 2.0, more: str = "") -> str:
    """One vendor entry; key is the file of the operator's."""
    secret = f'key = {{{{ file = "{key}" }}}}\n' if key else ""
    return (
        f'[vendors.{name}]\napi = "postscale"\nurl = "{url}"\nexchange_seconds = {seconds}\n'
        f"connect_seconds = {seconds}\nlogin_seconds = {seconds}\n{secret}{more}\n"
    )


def route(*vendors: str, mode: str = "queued", **more: Any) -> str:
    """One route."""
    names = ", ".join(f'"{one}"' for one in vendors)
    lines = [f"vendors = [{names}]", f'mode = "{mode}"', *(f"{name} = {value}" for name, value in more.items())]
    return "\n[[routes]]\n" + "\n".join(lines) + "\n"


@contextlib.contextmanager
def run_queue(folder: Path, text: str) -> Iterator[RunningGateway]:
    """A gateway with these settings."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(fixtures, "SETTINGS", text)
        running = start_gateway(folder)
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


@contextlib.contextmanager
def run_again(before: RunningGateway) -> Iterator[RunningGateway]:
    """The same gateway in a new process, after the one before has ended."""
    config, log_file = before.log_file.with_name("gateway.toml"), before.log_file.with_name("log-again.txt")
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "mailgateway", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"MAILGATEWAY_STATE": str(before.log_file.with_name("state"))},
            cwd=Path(__file__).parents[2],
        )
    running = replace(before, log_file=log_file, process=process)
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def kill(gateway: RunningGateway) -> None:
    """As a power cut would, but for the disk."""
    gateway.process.send_signal(signal.SIGKILL)
    gateway.process.wait()


def submit(gateway: RunningGateway, *recipients: str, key: str = KEY, octets: bytes = b"") -> tuple[int, str]:
    """The reply to one message in a session of its own."""
    with connected(gateway) as client:
        assert log_in(client, "postscale", key)[0] == 235
        return send(client, *recipients, octets=octets)


def until(what: Callable[[], Any], gateway: RunningGateway) -> Any:
    """Wait until this is something; fails with the gateway's log after a while."""
    end = time.monotonic() + WAIT_SECONDS
    while not (result := what()):
        if time.monotonic() > end:
            pytest.fail(f"it never came about:\n{gateway.log()[-8000:]}")
        time.sleep(STEP_SECONDS)
    return result


class Kept:
    """What a gateway's store holds, read beside it."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.path = gateway.log_file.with_name("state") / "store.sqlite"
        self._gateway = gateway

    @contextlib.contextmanager
    def _store(self) -> Iterator[SqliteStore]:
        store = SqliteStore(self.path)
        store.open()
        try:
            yield store
        finally:
            store.close()

    def message(self, message_id: str) -> StoredMessage:
        with self._store() as store:
            found = store.look(lambda one: one.message(message_id))
        assert found is not None, f"{message_id} is not in the store"
        return found

    def states(self, message_id: str) -> dict[str, State]:
        return {one.path: one.state for one in self.message(message_id).recipients}

    def attempts(self, message_id: str) -> list[Any]:
        with self._store() as store:
            return store.look(lambda one: one.attempts(message_id))

    def events(self, message_id: str) -> list[StoredEvent]:
        with self._store() as store:
            return store.look(lambda one: one.events(0, 100, message_id))

    def names(self, message_id: str) -> list[str]:
        return [one.name for one in self.events(message_id)]

    def totals(self) -> Totals:
        with self._store() as store:
            return store.look(lambda one: one.totals())

    def waiting(self) -> list[StoredMessage]:
        with self._store() as store:
            return store.look(lambda one: one.select(Selection(states=(State.QUEUED,)), 1000))

    def octets(self) -> bytes:
        """All of the database's files, as they lie on the disk."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        files = sorted(self.path.parent.glob(f"{self.path.name}*"))
        return b"".join(one.read_bytes() for one in files)

    def wait_for(self, message_id: str, state: State) -> None:
        """Until all recipients of a message are in this state."""
        until(lambda: set(self.states(message_id).values()) == {state}, self._gateway)


def id_of(reply: tuple[int, str]) -> str:
    """The gateway's id in a 250."""
    code, text = reply
    assert code == 250, reply
    return text.split()[1]
