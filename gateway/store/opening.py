"""Opens the store that a URL names: "sqlite:" and a path, or "postgresql://"."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.interfaces import IReactorFromThreads

from gateway.store.interface import Store, StoreError
from gateway.store.sqlite import SqliteStore


def open_store(url: str, password: str | None = None, reactor: IReactorFromThreads | None = None) -> Store:
    """The open store; blocks. StoreError when it cannot be used. Without a reactor, jobs can only be waited for."""
    store = _made(url, password, reactor)
    store.open()
    return store


def _made(url: str, password: str | None, reactor: IReactorFromThreads | None) -> Store:
    if url.startswith("sqlite:"):
        return SqliteStore(Path(url.removeprefix("sqlite:")), reactor)
    try:
        from gateway.store.postgres import PostgresStore  # noqa: PLC0415 - psycopg is needed by few
    except ImportError:
        needs = 'a store at postgresql:// needs psycopg: pip install "mailgateway[postgresql]"'
        raise StoreError(needs) from None
    return PostgresStore(url, password, reactor)
