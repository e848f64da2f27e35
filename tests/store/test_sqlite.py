"""The store's file: who may read it, what becomes of older and newer ones, and of files that are none."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from importlib import resources

import pytest

from gateway.store import sqlite
from gateway.store.sqlite import SCHEMA, Credential, SqliteStore, StoreError

ANN = Credential("ann", "$argon2id$x", "main", active=True, created_at="2026-11-21T16:00:00+00:00")


@pytest.fixture
def store(tmp_path):
    made = SqliteStore(tmp_path / "state" / "store.sqlite")
    made.open()
    return made


def version_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_what_is_kept_is_found_again_by_another_process(store):
    store.add_credential(ANN)
    again = SqliteStore(store.path)
    again.open()
    assert again.credentials() == [ANN]
    assert again.credential("ANN") == ANN
    assert again.credential("bob") is None


def test_a_user_name_is_kept_once(store):
    store.add_credential(ANN)
    with pytest.raises(ValueError, match="already"):
        store.add_credential(Credential("Ann", "other", "main", active=True, created_at="now"))
    assert store.credentials() == [ANN]


def test_deactivating_keeps_the_name_and_says_whether_there_was_one(store):
    store.add_credential(ANN)
    assert store.deactivate_credential("ANN")
    assert not store.deactivate_credential("bob")
    assert store.credentials() == [Credential("ann", "$argon2id$x", "main", active=False, created_at=ANN.created_at)]
    with pytest.raises(ValueError, match="already"):
        store.add_credential(ANN)


def test_only_the_owner_may_read_the_file_and_the_folder(store):
    store.add_credential(ANN)
    for file in store.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(store):
    store.path.chmod(0o644)
    store.open()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


# -- the schema


def test_an_empty_file_gets_the_whole_schema(tmp_path):
    (tmp_path / "s").touch()
    SqliteStore(tmp_path / "s").open()
    assert version_of(tmp_path / "s") == len(SCHEMA)


def test_an_older_schema_is_brought_up_to_date_and_keeps_what_it_holds(store, monkeypatch, tmp_path):
    store.add_credential(ANN)
    (tmp_path / "more.sql").write_text("CREATE TABLE more (x INTEGER) STRICT; INSERT INTO more VALUES (1);")
    monkeypatch.setattr(sqlite, "SCHEMA", (*SCHEMA, "more.sql"))
    monkeypatch.setattr(sqlite.importlib.resources, "files", lambda package: tmp_path)
    store.open()
    store.open()
    assert version_of(store.path) == len(sqlite.SCHEMA)
    assert store.credentials() == [ANN]


def test_a_step_that_fails_leaves_the_schema_as_it_was(store, monkeypatch, tmp_path):
    (tmp_path / "bad.sql").write_text("CREATE TABLE half (x INTEGER); CREATE TABLE half (x INTEGER);")
    monkeypatch.setattr(sqlite, "SCHEMA", (*SCHEMA, "bad.sql"))
    monkeypatch.setattr(sqlite.importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(StoreError):
        store.open()
    assert version_of(store.path) == len(SCHEMA)
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)


def test_a_newer_schema_is_left_alone(store):
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")
    with pytest.raises(StoreError, match="made by a newer mailgateway"):
        store.open()
    assert version_of(store.path) == len(SCHEMA) + 1


def test_gateway_and_command_line_can_make_the_file_at_the_same_time(tmp_path):
    errors: list[Exception] = []
    start = threading.Barrier(6)

    def open_it():
        start.wait()
        try:
            SqliteStore(tmp_path / "s").open()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []


# -- files that cannot be used


CALLS = [
    lambda store: store.open(),
    lambda store: store.credentials(),
    lambda store: store.credential("ann"),
    lambda store: store.add_credential(ANN),
    lambda store: store.deactivate_credential("ann"),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_is_no_database_is_told_with_its_name(store, call):
    store.path.write_bytes(b"no database " * 1000)
    with pytest.raises(StoreError, match=r"store\.sqlite: "):
        call(store)


@pytest.mark.parametrize("call", CALLS)
def test_a_damaged_database_is_told_with_its_name(store, call):
    octets = bytearray(store.path.read_bytes())
    octets[100:] = b"\xa5" * (len(octets) - 100)  # the header stays, every page behind it is damaged
    store.path.write_bytes(octets)
    with pytest.raises(StoreError, match=r"store\.sqlite: "):
        call(store)


@pytest.mark.parametrize("call", CALLS[3:])
def test_a_file_that_another_process_holds_is_waited_for_and_then_told(store, call, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            call(store)
    call(store)


def test_a_folder_in_place_of_the_file_is_told(tmp_path):
    with pytest.raises(StoreError, match=str(tmp_path)):
        SqliteStore(tmp_path).open()


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        SqliteStore(tmp_path / "file" / "store.sqlite").open()


def test_the_last_use_is_kept_and_an_unknown_name_is_no_matter(store):
    store.add_credential(replace(ANN, stream="news"))
    store.note_use("Ann", "2026-11-21T17:00:00+00:00")
    store.note_use("nobody", "2026-11-21T17:00:00+00:00")
    assert store.credentials() == [replace(ANN, stream="news", last_used_at="2026-11-21T17:00:00+00:00")]


def test_a_store_of_the_second_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "store.sqlite"
    scripts = [resources.files("gateway.store").joinpath(name).read_text("utf-8") for name in SCHEMA[:2]]
    insert = (
        "INSERT INTO credentials (user_name, secret_hash, vendor, created_at) VALUES ('old', 'hash', 'main', 'then');"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join([*scripts, insert, "PRAGMA user_version = 2;"]))
    store = SqliteStore(path)
    store.open()
    assert store.credential("old") == Credential("old", "hash", "main", active=True, created_at="then")
