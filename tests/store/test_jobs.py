"""Jobs: shared commits, failing alone, several processes at once, large content."""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest
from twisted.internet.defer import Deferred

from gateway.store.interface import PIECE_OCTETS, StoreError
from gateway.store.records import State
from tests.store.mail import add, begin, claim, finish, found, message, totals

LARGE_PIECES = 200  # 50 MiB, the largest that any vendor takes


class Reactor:
    """Runs what threads hand over in the thread that waits."""

    def __init__(self):
        self._calls = SimpleQueue()

    def callFromThread(self, function, *arguments):
        self._calls.put((function, arguments))

    def wait(self, deferreds):
        """What these came to, in order; errors as they are."""
        ended = {}
        for number, one in enumerate(deferreds):
            one.addErrback(lambda failure: failure.value)
            one.addCallback(lambda result, number=number: ended.setdefault(number, result))
        while len(ended) < len(deferreds):
            function, arguments = self._calls.get(timeout=20)
            function(*arguments)
        return [ended[number] for number in range(len(deferreds))]


@pytest.fixture
def reactor():
    return Reactor()


@contextlib.contextmanager
def busy_writers(store):
    """All writers are in a job meanwhile, so that what is given waits, and is a group afterwards."""
    go_on, busy = threading.Event(), threading.Semaphore(0)
    writers, _ = store._threads
    with ThreadPoolExecutor(writers) as threads:
        for _ in range(writers):
            threads.submit(store.run, lambda _: (busy.release(), go_on.wait(20)))
            assert busy.acquire(timeout=20)
        try:
            yield
        finally:
            go_on.set()


def keep(number):
    return lambda one: one.add_message(message(number), [b"x"], ()) or number


def fail(number):
    def job(transaction):
        transaction.add_message(message(number), [b"x"], ())
        raise KeyError(number)

    return job


def given(*coroutines):
    return [Deferred.fromCoroutine(one) for one in coroutines]


def test_whoever_awaits_a_job_has_its_result_after_the_commit(open_store, reactor):
    store = open_store(reactor)
    assert reactor.wait(given(store.write(keep(1)), store.write(keep(2)))) == [1, 2]
    assert reactor.wait(given(store.read(lambda one: one.totals().queued))) == [2]


def test_one_job_that_fails_in_a_group_fails_alone_and_leaves_no_trace(open_store, reactor):
    store = open_store(reactor)
    with busy_writers(store):
        jobs = given(*(store.write(keep(n) if n % 3 else fail(n)) for n in range(12)))
    results = reactor.wait(jobs)
    assert [n for n in range(12) if isinstance(results[n], KeyError)] == [0, 3, 6, 9]
    assert [n for n in range(12) if found(store, message(n))] == [n for n in range(12) if results[n] == n]
    assert totals(store).accepted == 8


def test_an_error_of_the_database_in_a_group_is_that_job_s_alone(open_store, reactor):
    store = open_store(reactor)
    with busy_writers(store):
        bad = store.write(lambda one: one._database.execute("SELECT nonsense"))
        jobs = given(store.write(keep(1)), bad, store.write(keep(2)))
    one, error, two = reactor.wait(jobs)
    assert (one, two) == (1, 2)
    assert isinstance(error, StoreError)
    assert "nonsense" in str(error)


def test_a_job_that_ended_the_transaction_takes_no_other_job_with_it(open_store, reactor):
    store = open_store(reactor)
    with busy_writers(store):
        bad = store.write(lambda one: (one._database.execute("ROLLBACK"), one._database.execute("SELECT nonsense")))
        jobs = given(store.write(keep(1)), bad, store.write(keep(2)))
    one, error, two = reactor.wait(jobs)
    assert (one, two) == (1, 2)
    assert isinstance(error, StoreError)
    assert totals(store).accepted == 2


def test_whoever_gave_up_waiting_troubles_nobody(open_store, reactor):
    store = open_store(reactor)
    with busy_writers(store):
        gone, there = given(store.write(keep(1)), store.write(keep(2)))
        gone.addErrback(lambda failure: None)
        gone.cancel()
    assert reactor.wait([there]) == [2]


def test_a_closed_store_says_so(store):
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.run(keep(1))


def test_two_gateways_that_claim_at_once_never_share_and_miss_nothing(store, open_store):
    add(store, *(message(n) for n in range(120)))
    gateways = [store, open_store(), open_store()]
    start = threading.Barrier(len(gateways))

    def take(number):
        got = []
        start.wait()
        while mine := claim(gateways[number], gateway=f"g-{number}", limit=3):
            begun = begin(gateways[number], *mine)
            got += [one for one in mine if one.message.message_id in begun]
            for one in mine:
                assert finish(gateways[number], one, State.RELAYED)
        return [one.message.message_id for one in got]

    with ThreadPoolExecutor(len(gateways)) as threads:
        taken = [one for part in threads.map(take, range(len(gateways))) for one in part]
    assert len(taken) == len(set(taken)) == 120
    assert totals(store).relayed == 120


def test_large_content_is_never_whole_in_memory(store):
    piece = bytes(range(256)) * (PIECE_OCTETS // 256)
    tracemalloc.start()
    try:
        store.run(lambda one: one.add_message(message(1), (piece for _ in range(LARGE_PIECES)), ()))
        read = store.look(lambda one: sum(len(piece) for piece in one.content(message(1).message_id)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == LARGE_PIECES * PIECE_OCTETS
    assert most < 12 * PIECE_OCTETS


def test_large_content_holds_nobody_up_for_seconds(store):
    with ThreadPoolExecutor(2) as threads:
        pieces = [bytes(PIECE_OCTETS)] * LARGE_PIECES
        large = threads.submit(store.run, lambda one: one.add_message(message(1), pieces, ()))
        waits = []
        while not large.done():
            before = time.monotonic()
            add(store, message(100 + len(waits)))
            waits.append(time.monotonic() - before)
        large.result()
    assert max(waits) < 5


def test_readers_do_not_wait_for_writers(store):
    add(store, message(1))
    with busy_writers(store):
        assert store.look(lambda one: one.totals().queued) == 1


def test_what_was_given_before_the_end_is_done(store, open_store):
    with ThreadPoolExecutor(20) as threads:
        jobs = [threads.submit(store.run, keep(n)) for n in range(20)]
        [one.result(20) for one in jobs]
    store.close()
    assert totals(open_store()).accepted == 20
