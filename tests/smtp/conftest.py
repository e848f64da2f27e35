from __future__ import annotations

import pytest

from tests.smtp.wire import running


@pytest.fixture(scope="session")
def listeners(tmp_path_factory):
    with running(tmp_path_factory.mktemp("smtp")) as child:
        yield child
