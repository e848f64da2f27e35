from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.store.sqlite import SqliteStore
from tests.console.browser import PROGRAM, Visit, chromium
from tests.sandbox.console_process import ConsoleProcess, running


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    with running(tmp_path_factory.mktemp("console") / "inbox") as console:
        yield console


@pytest.fixture
def console(process):
    """The running console with an empty inbox."""
    process.call("DELETE", "/api/v1/sandbox/messages")
    return process


@dataclass
class Operated:
    """A console in a process of its own, and the store that it shows."""

    process: ConsoleProcess
    store: SqliteStore
    folder: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.process.port}"


@pytest.fixture
def operated(tmp_path, request):
    """A console with a store of its own. Its parameter, when it has one, is an argument of serve.py's."""
    with running(tmp_path / "inbox", *([request.param] if hasattr(request, "param") else [])) as process:
        store = SqliteStore(tmp_path / "store.sqlite")
        store.open()
        try:
            yield Operated(process, store, tmp_path)
        finally:
            store.close()


@pytest.fixture(scope="module")  # not longer: while it runs, no other test can have an event loop of its own
def browser(needs):
    needs(PROGRAM is not None, "chromium")
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, operated):
    """A browser at the console; whatever the test does, nothing may go wrong in it."""
    visiting = Visit(browser, operated.base)
    yield visiting
    visiting.context.close()
    assert visiting.troubles == []
