from __future__ import annotations

import pytest

from tests.sandbox.console_process import running


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    with running(tmp_path_factory.mktemp("console") / "inbox") as console:
        yield console


@pytest.fixture
def console(process):
    """The running console with an empty inbox."""
    process.call("DELETE", "/api/v1/sandbox/messages")
    return process
