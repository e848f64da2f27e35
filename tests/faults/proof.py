"""What has to be true after every fault: nothing that was accepted is lost, and nothing is there twice unexplained."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from gateway.store.interface import Store, StoreError
from gateway.store.opening import open_store
from gateway.store.records import Selection, StoredMessage, Totals
from tests.faults.gateways import token_of
from tests.faults.load import Load
from tests.faults.vendors import Vendors
from tests.postgres_server import PASSWORD

WAIT_SECONDS = 40.0
POLL_SECONDS = 0.1
MESSAGES = 1_000_000


def until(what: Callable[[], object], seconds: float = WAIT_SECONDS) -> bool:
    """Whether this becomes true in time."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def opened(url: str) -> Store:
    return open_store(url, PASSWORD if url.startswith("postgresql:") else None)


def whole_totals(url: str, *, is_quiet: bool = True) -> Totals:
    """The sum, which has to hold, and to be what a new count gives; of another moment, unless all is quiet."""
    store = opened(url)
    try:
        kept, counted = store.look(lambda one: (one.totals(), one.recount()))
    finally:
        store.close()
    assert counted.is_whole, counted
    assert kept == counted or not is_quiet
    assert kept.is_whole, kept
    return kept


def prove(
    url: str,
    vendors: Vendors,
    load: Load,
    in_flight: Counter[str],
    log: Callable[[], str],
    *,
    logs_all: bool = True,
) -> None:
    """All that is accepted has left; in_flight counts for each token the faults at which it was being attempted.

    logs_all: whether all that was accepted is in the store, as it is unless a vendor took some while the client waited.
    """
    told = load.told
    assert until(lambda: _all_left(url, vendors, load)), f"{_missing(vendors, load)} never left:\n{log()[-8000:]}"
    totals = whole_totals(url)
    assert totals.accepted == totals.relayed, totals
    assert totals.accepted >= load.accepted() or not logs_all
    with_key, without_key = vendors.seen("poststack"), vendors.seen("postscale")
    assert with_key.changed == []
    assert {token: times for token, times in with_key.deliveries.items() if times > 1} == {}
    for name, seen in (("poststack", with_key), ("postscale", without_key)):
        assert set(seen.deliveries) <= (told[name].sent if name in told else set())
    twice = {token: times for token, times in without_key.deliveries.items() if times > 1}
    assert {token: times for token, times in twice.items() if times - 1 > in_flight[token]} == {}
    _prove_told(url, twice, log())


def _prove_told(url: str, twice: dict[str, int], log: str) -> None:
    """Each delivery after the first was announced as possible: by an event, by the message's state, and in the log."""
    store = opened(url)
    try:
        messages = {token_of(one.recipients[0].path): one for one in store.look(_all_messages)}
        for token, times in twice.items():
            message_id = messages[token].message_id
            names = [one.name for one in store.look(lambda one, id=message_id: one.events(0, 1000, id))]
            assert names.count("unknown") >= times - 1, (token, times, names)
            assert messages[token].recipients[0].is_unknown
            assert any(message_id in line for line in log.splitlines() if "unknown" in line or "in-doubt" in line)
    finally:
        store.close()


def _all_messages(transaction: object) -> list[StoredMessage]:
    found: list[StoredMessage] = transaction.select(Selection(), MESSAGES)  # type: ignore[attr-defined]
    return found


def _missing(vendors: Vendors, load: Load) -> dict[str, list[str]]:
    return {name: sorted(told.accepted - set(vendors.seen(name).deliveries)) for name, told in load.told.items()}


def _all_left(url: str, vendors: Vendors, load: Load) -> bool:
    if any(_missing(vendors, load).values()):
        return False
    try:
        store = opened(url)
        try:
            return store.look(lambda one: one.totals()).queued == 0
        finally:
            store.close()
    except StoreError:
        return False
