"""Which store a URL opens."""

from __future__ import annotations

import sys

import pytest

from gateway.store.interface import StoreError
from gateway.store.opening import open_store
from tests.postgres_server import PASSWORD
from tests.store.mail import add, found, message


def test_a_url_opens_its_store(postgres, tmp_path):
    for url, password in ((f"sqlite:{tmp_path}/s", None), (postgres.new_place(), PASSWORD)):
        store = open_store(url, password)
        add(store, message(1))
        assert found(store, message(1)) == message(1)
        store.close()


def test_without_psycopg_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.delitem(sys.modules, "gateway.store.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"mailgateway\[postgresql\]"):
        open_store("postgresql://x")
