"""The PostgreSQL store: its schema, a server that comes and goes, commits of which nobody knows, and its password."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from gateway.store import postgres as backend
from gateway.store.interface import StoreError
from gateway.store.postgres import SCHEMA, PostgresDatabase, PostgresStore
from gateway.store.records import StoredEvent
from tests.postgres_server import PASSWORD
from tests.store.mail import NOW, add, claim, found, message, totals


@pytest.fixture
def url(postgres):
    return postgres.new_place()


@pytest.fixture
def store(url):
    made = PostgresStore(url, PASSWORD)
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="module")
def own_server():
    """A server that a test may kill without troubling others."""
    from tests.postgres_server import PostgresServer

    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


# -- the schema


def test_gateways_that_start_together_make_the_schema_once(url):
    stores = [PostgresStore(url, PASSWORD) for _ in range(5)]
    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(lambda one: one.open(), stores))
    add(stores[0], message(1))
    assert all(found(one, message(1)) == message(1) for one in stores)
    for one in stores:
        one.close()


def test_a_newer_schema_is_left_alone(store, url):
    store.run(lambda one: one._database.execute("UPDATE mailgateway_schema SET version = ?", [len(SCHEMA) + 1]))
    with pytest.raises(StoreError, match="made by a newer mailgateway"):
        PostgresStore(url, PASSWORD).open()


def test_a_step_that_fails_leaves_the_database_as_it_was(url, postgres, monkeypatch, tmp_path):
    (tmp_path / "bad.sql").write_text("CREATE TABLE half (x INTEGER); CREATE TABLE half (x INTEGER);")
    monkeypatch.setattr(backend, "SCHEMA", ("bad.sql",))
    monkeypatch.setattr(backend.importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(StoreError, match="already exists"):
        PostgresStore(url, PASSWORD).open()
    with closing(postgres.connect(url)) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)


# -- what is promised by a commit


def test_a_server_that_loses_commits_is_refused(url, postgres):
    with closing(postgres.connect(url)) as connection:
        try:
            _set_fsync(connection, "off")
            with pytest.raises(StoreError, match="fsync = off"):
                PostgresStore(url, PASSWORD).open()
        finally:
            _set_fsync(connection, "on")


def _set_fsync(connection, value):
    connection.execute(f"ALTER SYSTEM SET fsync = {value}")
    connection.execute("SELECT pg_reload_conf()")
    while connection.execute("SELECT current_setting('fsync')").fetchone() != (value,):
        connection.execute("SELECT pg_sleep(0.01)")


def test_a_commit_is_on_the_disk_whatever_the_server_s_default_is(url):
    store = PostgresStore(f"{url}%20-csynchronous_commit%3Doff", PASSWORD)
    store.open()
    ask = "SELECT current_setting('synchronous_commit')"
    assert store.run(lambda one: one._database.execute(ask).fetchone()) == ("on",)
    store.close()


def test_a_job_that_passed_over_an_error_of_the_database_is_not_told_to_have_succeeded(store):
    """The server undoes such a transaction at its COMMIT without an error."""

    def job(transaction):
        transaction.add_events([StoredEvent(NOW, "received", "m")])
        with pytest.raises(psycopg.Error):
            transaction._database.execute("SELECT nonsense")

    with pytest.raises(StoreError, match="ROLLBACK"):
        store.run(job)
    assert store.look(lambda one: one.last_event_number()) == 0


# -- a server that comes and goes


def test_a_restarted_server_is_found_again_without_anybody_noticing(own_server):
    store = PostgresStore(own_server.new_place(), PASSWORD)
    store.open()
    add(store, message(1))
    assert found(store, message(1)) == message(1)
    own_server.stop()
    own_server.start()
    add(store, message(2))
    assert [found(store, message(n)) for n in (1, 2)] == [message(1), message(2)]
    store.close()


def test_a_killed_server_is_told_and_what_was_committed_is_there_when_it_is_back(own_server):
    store = PostgresStore(own_server.new_place(), PASSWORD)
    store.open()
    add(store, message(1))
    own_server.kill()
    for call in (lambda: add(store, message(2)), lambda: found(store, message(1)), store.open):
        with pytest.raises(StoreError, match=r"^postgresql://gateway@/?.*: "):
            call()
    own_server.start()
    add(store, message(3))
    assert [found(store, message(n)) is None for n in (1, 2, 3)] == [False, True, False]
    assert totals(store).accepted == 2
    store.close()


@pytest.mark.parametrize("is_written", [True, False])
def test_a_commit_whose_end_nobody_knows_is_never_told_as_success_and_never_repeated(store, monkeypatch, is_written):
    commit, calls = PostgresDatabase.commit, []

    def cut(database):
        monkeypatch.setattr(PostgresDatabase, "commit", commit)
        if is_written:
            commit(database)
        database._connection.pgconn.finish()
        commit(database)

    def job(transaction):
        calls.append(1)
        transaction.add_message(message(1), [b"x"], ())

    monkeypatch.setattr(PostgresDatabase, "commit", cut)
    with pytest.raises(StoreError):
        store.run(job)
    assert len(calls) == 1
    assert (found(store, message(1)) is not None) == is_written
    add(store, message(2))


def test_a_connection_that_breaks_in_a_job_is_replaced_and_the_job_done_anew(store, url, postgres):
    calls = []

    def job(transaction):
        calls.append(1)
        transaction.add_message(message(1), [b"x"], ())
        if len(calls) == 1:
            (pid,) = transaction._database.execute("SELECT pg_backend_pid()").fetchone()
            with closing(postgres.connect(url)) as connection:
                connection.execute("SELECT pg_terminate_backend(%s, 20000)", [pid])
        transaction.add_events([StoredEvent(NOW, "received", message(1).message_id)])

    store.run(job)
    assert len(calls) == 2
    assert totals(store).accepted == len(store.look(lambda one: one.events(0, 10))) == 1


# -- others at the same database


def test_a_row_that_somebody_holds_is_passed_over(store, url, postgres):
    add(store, message(1), message(2))
    with closing(postgres.connect(url)) as connection, connection.transaction():
        connection.execute("SELECT 1 FROM queue WHERE message_id = %s FOR UPDATE", [message(1).message_id])
        assert [one.message for one in claim(store)] == [message(2)]
    assert [one.message for one in claim(store)] == [message(1)]


def test_a_deadlock_is_solved_by_doing_a_job_anew(store):
    add(store, message(1), message(2))
    both = threading.Barrier(2)
    calls = []

    def job(first, second):
        def one(transaction):
            calls.append(1)
            sql = "UPDATE messages SET attempts = attempts + 1 WHERE message_id = ?"
            transaction._database.execute(sql, [message(first).message_id])
            if len(calls) <= 2:
                both.wait(20)
            transaction._database.execute(sql, [message(second).message_id])

        return one

    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(store.run, job(1, 2)), threads.submit(store.run, job(2, 1))]:
            one.result(20)
    assert len(calls) == 3
    assert [found(store, message(n)).attempts for n in (1, 2)] == [2, 2]


def test_nobody_reads_past_an_event_that_is_still_to_be_committed(store):
    given, go_on = threading.Event(), threading.Event()

    def slow(transaction):
        transaction.add_events([StoredEvent(NOW, "received", "slow")])
        given.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(store.run, slow)
        assert given.wait(20)
        store.run(lambda one: one.add_events([StoredEvent(NOW, "received", "quick")]))
        reader = threads.submit(store.look, lambda one: one.events(0, 10))
        while not store.run(lambda one: one._database.execute(WAITS_FOR_ORDER).fetchone()[0]):
            assert not reader.done()
        go_on.set()
        first.result(20)
        assert [one.message_id for one in reader.result(20)] == ["slow", "quick"]


WAITS_FOR_ORDER = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


# -- the password


@pytest.mark.parametrize(
    ("change", "password"),
    [
        (lambda url: url, "wrong-Secret"),
        (lambda url: url.replace("host=", "host=/nosuch"), PASSWORD),
        (lambda url: f"{url}&nosuch={PASSWORD}", PASSWORD),
        (lambda url: url.replace("?", f":{PASSWORD}?"), PASSWORD),
        (lambda url: url.replace("@", ":Hid-den@"), "Hid-den"),
        (lambda url: f"{url}&password=Hid-den", "Hid-den"),
        (lambda url: f"{url}&sslmode={PASSWORD}", PASSWORD),
    ],
)
def test_no_error_shows_the_password(url, change, password):
    with pytest.raises(StoreError) as error:
        PostgresStore(change(url), None if password == "Hid-den" else password).open()
    assert password not in str(error.value)
    assert "\n" not in str(error.value)


def test_the_name_of_a_store_has_no_password():
    store = PostgresStore("postgresql://ann:hidden@db.example:5433/mail?sslmode=require")
    assert store.name == "postgresql://ann@db.example:5433/mail"
