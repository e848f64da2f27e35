"""Modes spill and direct beside the store, and failover over the vendors of a route, through a running gateway."""

from __future__ import annotations

import time

import pytest

from gateway.store.records import State
from tests.queue.api import DOWN, SILENT, TAKEN, Api
from tests.queue.gateways import Kept, id_of, kill, route, run_again, run_queue, settings_text, submit, until, vendor
from tests.running import letter

GOOD, BOB = "ann@cust.example", "bob@cust.example"
TO_LIST = letter(header_to="list@else.example")  # hides its recipients: each gets a request of its own


class Two:
    """Two vendors: first with the client's own key, second with the operator's."""

    def __init__(self, folder) -> None:
        self.first, self.second = Api(), Api()
        operator = folder / "key"
        operator.write_text("ps_test_operator\n")
        self.tables = vendor("first", self.first.url) + vendor("second", self.second.url, key=operator)

    def run(self, folder, *, mode: str, **queue):
        return run_queue(folder, settings_text(self.tables, route("first", "second", mode=mode), **queue))


@pytest.fixture
def two(tmp_path):
    made = Two(tmp_path)
    yield made
    made.first.close()
    made.second.close()


@pytest.fixture
def api():
    made = Api()
    yield made
    made.close()


def spill(api: Api, **queue) -> str:
    return settings_text(vendor("postscale", api.url, seconds=10.0), route("postscale", mode="spill"), **queue)


# -- spill


def test_spill_tells_the_vendors_own_word_when_it_comes_in_time(tmp_path, api):
    with run_queue(tmp_path, spill(api)) as gateway:
        code, text = submit(gateway, GOOD)
        assert (code, text.split()[2]) == (250, "v1")
        api.say((400, {}))
        assert submit(gateway, GOOD) == (554, "asked for")
        until(lambda: Kept(gateway).totals().accepted == 1, gateway)
        assert Kept(gateway).totals().relayed == 1


def test_spill_stores_what_the_vendor_cannot_take_now(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, spill(api)) as gateway:
        reply = submit(gateway, GOOD)
        message_id = id_of(reply)
        assert reply[1].endswith("queued")
        kept = Kept(gateway)
        assert len(kept.attempts(message_id)) >= 1
        assert kept.names(message_id)[:2] == ["received", "deferred"]
        api.say(TAKEN)
        kept.wait_for(message_id, State.RELAYED)
        assert kept.totals().is_whole


def test_spill_stores_what_a_slow_vendor_may_have_as_unknown(tmp_path, api):
    api.say(SILENT)
    with run_queue(tmp_path, spill(api, spill_seconds=0.7)) as gateway:
        began = time.monotonic()
        message_id = id_of(submit(gateway, GOOD))
        assert time.monotonic() - began < 5
        assert Kept(gateway).message(message_id).recipients[0].is_unknown
        api.say(TAKEN)
        Kept(gateway).wait_for(message_id, State.RELAYED)
        assert Kept(gateway).names(message_id) == ["received", "unknown", "relayed"]


def test_spill_stores_the_rest_of_a_message_that_was_taken_in_part(tmp_path, api):
    api.answer = lambda document: DOWN if BOB in document["to"] else TAKEN
    with run_queue(tmp_path, spill(api)) as gateway:
        message_id = id_of(submit(gateway, GOOD, BOB, octets=TO_LIST))
        assert Kept(gateway).states(message_id) == {GOOD: State.RELAYED, BOB: State.QUEUED}
        api.say(TAKEN)
        Kept(gateway).wait_for(message_id, State.RELAYED)
    assert sorted(api.taken_to()) == [GOOD, BOB]


def test_spill_does_not_make_a_client_wait_for_a_vendor_that_is_known_to_be_down(tmp_path, api):
    api.say(SILENT)
    text = spill(api, spill_seconds=0.6, breaker_failures=1, breaker_seconds=60.0, longest_breaker_seconds=60.0)
    with run_queue(tmp_path, text) as gateway:
        submit(gateway, GOOD)
        api.asked.clear()
        assert submit(gateway, BOB)[1].endswith("queued")
        assert api.to() == []


# -- failover


@pytest.mark.parametrize("mode", ["direct", "queued", "spill"])
def test_what_the_first_vendor_defers_leaves_by_the_second(tmp_path, two, mode):
    two.first.say(DOWN)
    with two.run(tmp_path, mode=mode, spill_seconds=8.0) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: two.second.taken, gateway)
        kept = Kept(gateway)
        until(lambda: kept.totals().relayed, gateway)
        assert [one.vendor for one in kept.attempts(message_id)] == ["first", "second"]
        assert kept.message(message_id).recipients[0].vendor == "second"
        assert kept.totals().is_whole
    assert two.second.taken_to() == [GOOD]


@pytest.mark.parametrize("mode", ["direct", "queued"])
def test_what_the_first_vendor_may_have_never_leaves_by_the_second(tmp_path, two, mode):
    two.first.say(SILENT)
    with two.run(tmp_path, mode=mode) as gateway:
        code, _ = submit(gateway, GOOD)
        assert code == (451 if mode == "direct" else 250)
        if mode == "queued":
            (message,) = until(lambda: Kept(gateway).waiting(), gateway)
            until(lambda: len(Kept(gateway).attempts(message.message_id)) >= 2, gateway)
            # Known to be down afterwards does not undo that it may have taken it before
            two.first.say(DOWN)
            until(lambda: Kept(gateway).names(message.message_id)[-1] == "deferred", gateway)
    assert two.second.asked == []


def test_a_kill_while_the_second_vendor_is_asked_leaves_the_doubt_there(tmp_path, two):
    two.first.say(DOWN)
    two.second.say(SILENT)
    with two.run(tmp_path, mode="queued", lease_seconds=2.0) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: two.second.asked, gateway)
        kill(gateway)
        two.first.say(TAKEN)
        two.second.say(TAKEN)
        with run_again(gateway) as again:
            Kept(again).wait_for(message_id, State.RELAYED)
            assert Kept(again).message(message_id).recipients[0].vendor == "second"
    assert two.first.taken == []


def test_a_kill_while_the_second_vendor_is_asked_repeats_nothing_that_the_first_has_taken(tmp_path, two):
    two.first.answer = lambda document: DOWN if BOB in document["to"] else TAKEN
    two.second.say(SILENT)
    with two.run(tmp_path, mode="queued", lease_seconds=2.0) as gateway:
        message_id = id_of(submit(gateway, GOOD, BOB, octets=TO_LIST))
        until(lambda: two.second.asked, gateway)
        kill(gateway)
        two.second.say(TAKEN)
        with run_again(gateway) as again:
            kept = Kept(again)
            kept.wait_for(message_id, State.RELAYED)
            assert sorted(kept.names(message_id)) == ["received", "relayed", "relayed", "unknown"]
            assert kept.totals().is_whole
    assert two.first.taken_to() == [GOOD]
    assert set(two.second.taken_to()) == {BOB}


def test_mail_whose_first_vendor_is_left_alone_leaves_by_the_second_without_waiting(tmp_path, two):
    two.first.say(DOWN)
    with two.run(tmp_path, mode="queued", breaker_failures=1, breaker_seconds=60.0, longest_breaker_seconds=60.0) as gw:
        for number in range(3):
            message_id = id_of(submit(gw, f"{number}@cust.example"))
            Kept(gw).wait_for(message_id, State.RELAYED)
    assert len(two.first.asked) == 1
    assert len(two.second.taken) == 3


# -- direct


def test_direct_mail_is_logged_with_what_the_client_was_told(tmp_path, api):
    api.answer = lambda document: (400, {}) if BOB in document["to"] else TAKEN
    text = settings_text(vendor("postscale", api.url), route("postscale", mode="direct"))
    with run_queue(tmp_path, text) as gateway:
        taken = id_of(submit(gateway, GOOD, BOB, octets=TO_LIST))
        api.say(DOWN)
        assert submit(gateway, GOOD)[0] == 451
        kept = Kept(gateway)
        until(lambda: kept.totals().accepted == 2, gateway)
        assert kept.states(taken) == {GOOD: State.RELAYED, BOB: State.REFUSED}
        assert kept.names(taken) == ["received", "relayed", "refused"]
        assert not kept.message(taken).has_content
        assert kept.totals().is_whole


def test_direct_mail_goes_on_without_the_store_and_is_counted(tmp_path, api):
    text = settings_text(vendor("postscale", api.url), route("postscale", mode="direct"))
    with run_queue(tmp_path, text) as gateway:
        spoil(Kept(gateway).path)
        for _ in range(3):
            assert submit(gateway, GOOD)[0] == 250
        until(lambda: "could not be logged" in gateway.log(), gateway)
        assert len(api.taken) == 3


def test_a_message_that_cannot_be_stored_is_not_accepted(tmp_path, api):
    text = settings_text(vendor("postscale", api.url), route("postscale", mode="queued"))
    with run_queue(tmp_path, text) as gateway:
        spoil(Kept(gateway).path)
        assert submit(gateway, GOOD) == (451, "Message cannot be stored now, try again later")
        assert "a message could not be stored" in gateway.log()
    assert api.asked == []


def spoil(path) -> None:
    """Make every further commit fail."""
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE messages RENAME TO elsewhere")
    connection.close()
