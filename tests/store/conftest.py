"""The store under test: each case of the shared suite runs on every backend."""

from __future__ import annotations

import pytest

from gateway.store.sqlite import SqliteStore


@pytest.fixture(params=["sqlite"])
def open_store(request, tmp_path):
    """Makes an open store on one and the same database, as another gateway would; all are closed at the end."""
    opened = []

    def open_one(reactor=None):
        one = SqliteStore(tmp_path / "state" / "store.sqlite", reactor)
        opened.append(one)
        one.open()
        return one

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def store(open_store):
    return open_store()
