"""The store under test: each case of the shared suite runs on every backend."""

from __future__ import annotations

import pytest

from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SqliteStore
from tests.postgres_server import PASSWORD


@pytest.fixture(params=["sqlite", "postgresql"])
def open_store(request, tmp_path):
    """Makes an open store on one and the same database, as another gateway would; all are closed at the end."""
    opened = []
    url = request.getfixturevalue("postgres").new_place() if request.param == "postgresql" else None

    def open_one(reactor=None):
        path = tmp_path / "state" / "store.sqlite"
        one = PostgresStore(url, PASSWORD, reactor) if url else SqliteStore(path, reactor)
        opened.append(one)
        one.open()
        return one

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def store(open_store):
    return open_store()
