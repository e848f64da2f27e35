"""Stand-in vendors and quick starts for the tests of what survives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.quick_start import QuickStart
from tests.faults.vendors import Vendors


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    made = Vendors()
    yield made
    made.close()


@pytest.fixture(scope="session")
def starts() -> Iterator[QuickStart]:
    made = QuickStart()
    yield made
    made.close()
