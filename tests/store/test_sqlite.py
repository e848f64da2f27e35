"""The store's file: who may read it, what becomes of older and newer ones, and of files that are none."""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from gateway.store import sqlite
from gateway.store.credential import Credential
from gateway.store.interface import StoreError
from gateway.store.records import State
from gateway.store.sqlite import SCHEMA, SqliteStore
from tests.store.mail import NOW, add, found, message, totals

ANN = Credential("ann", "$argon2id$x", "main", active=True, created_at="2026-11-21T16:00:00+00:00")


@pytest.fixture
def store(tmp_path):
    made = SqliteStore(tmp_path / "state" / "store.sqlite")
    made.open()
    yield made
    made.close()


def keep(store, credential=ANN):
    store.run(lambda one: one.add_credential(credential))


def kept(store):
    return store.look(lambda one: one.credentials())


def version_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_only_the_owner_may_read_the_file_and_the_folder(store):
    keep(store)
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
    keep(store)
    (tmp_path / "more.sql").write_text("CREATE TABLE more (x INTEGER) STRICT; INSERT INTO more VALUES (1);")
    monkeypatch.setattr(sqlite, "SCHEMA", (*SCHEMA, "more.sql"))
    monkeypatch.setattr(sqlite.importlib.resources, "files", lambda package: tmp_path)
    store.open()
    store.open()
    assert version_of(store.path) == len(sqlite.SCHEMA)
    assert kept(store) == [ANN]


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
    kept,
    lambda store: add(store, message(2)),
    lambda store: found(store, message(1)),
    keep,
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


@pytest.mark.parametrize("call", [keep, lambda store: add(store, message(2))])
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


def test_a_store_that_was_not_opened_says_so(tmp_path):
    with pytest.raises(StoreError, match="not open"):
        kept(SqliteStore(tmp_path / "s"))


def test_a_torn_file_is_told_and_writes_nothing_into_it(store):
    add(store, *(message(n) for n in range(200)))
    store.close()
    octets = store.path.read_bytes()
    store.path.write_bytes(octets[: len(octets) // 2])
    with pytest.raises(StoreError, match=r"store\.sqlite: .*malformed"):
        SqliteStore(store.path).open()
    assert store.path.read_bytes() == octets[: len(octets) // 2]


def test_a_file_that_is_torn_while_it_is_in_use_is_told(store):
    add(store, *(message(n) for n in range(200)))
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    os.truncate(store.path, store.path.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"store\.sqlite: "):
        store.look(lambda one: one.recount())
    with pytest.raises(StoreError, match=r"store\.sqlite: "):
        add(store, *(message(n) for n in range(1000, 1200)))


def test_a_file_that_may_not_be_written_is_told_and_read_all_the_same(store, monkeypatch):
    add(store, message(1))
    connect = sqlite3.connect

    def read_only(path, **options):
        return connect(f"file:{path}?mode=ro", uri=True, **options)

    store.close()
    again = SqliteStore(store.path)
    again.open()
    monkeypatch.setattr(sqlite.sqlite3, "connect", read_only)
    with pytest.raises(StoreError, match=r"store\.sqlite: .*readonly"):
        add(again, message(2))
    assert found(again, message(1)) == message(1)
    again.close()


@pytest.fixture
def full_disk(store):
    """A store whose file may grow by a few pages only, until it is told otherwise: the same error as that of ENOSPC."""
    pages = store.run(lambda one: one._database.execute("PRAGMA page_count").fetchone()[0])

    def limit(more):
        store.run(lambda one: one._database.execute(f"PRAGMA max_page_count = {pages + more}").fetchone())

    limit(40)
    yield limit


def test_a_full_disk_is_told_leaves_no_trace_and_stops_nothing_else(store, full_disk):
    with pytest.raises(StoreError, match=r"store\.sqlite: .*full"):
        add(store, message(1), content=bytes(2_000_000))
    assert found(store, message(1)) is None
    assert store.look(lambda one: list(one.content(message(1).message_id))) == []
    assert totals(store).accepted == 0
    add(store, message(2))
    full_disk(10_000)
    add(store, message(1), content=bytes(2_000_000))
    assert totals(store).accepted == 2


def test_pages_that_retention_freed_are_given_back_in_steps(store):
    add(store, *(message(n, state=State.RELAYED) for n in range(20)), content=bytes(1_000_000))
    pages = "PRAGMA page_count"
    before = store.run(lambda one: one._database.execute(pages).fetchone()[0])
    sizes = [before]
    while store.run(lambda one: one.prune(NOW * 2, 0.0, 4)):
        sizes.append(store.run(lambda one: one._database.execute(pages).fetchone()[0]))
    steps = [one - other for one, other in itertools.pairwise(sizes)]
    assert 0 < max(steps) <= sqlite.STEP_PAGES * 1.1  # SQLite's own pages about them go too
    assert sizes[-1] < before / 2


def test_a_file_of_the_first_days_becomes_one_that_can_give_pages_back(tmp_path):
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        for number, name in enumerate(SCHEMA[:2], 1):
            script = sqlite.importlib.resources.files("gateway.store").joinpath(name).read_text()
            connection.executescript(f"{script}; PRAGMA user_version = {number};")
        connection.execute(
            "INSERT INTO credentials (user_name, secret_hash, vendor, created_at) VALUES (?, ?, ?, ?)",
            (ANN.user_name, ANN.secret_hash, ANN.vendor, ANN.created_at),
        )
        connection.commit()
    store = SqliteStore(path)
    store.open()
    assert kept(store) == [ANN]
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
