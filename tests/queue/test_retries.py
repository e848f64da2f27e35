"""What becomes of stored mail when the vendor is away, slow, or refuses; and what the gateway's end does to it."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from gateway.store.records import State
from tests.queue.api import DOWN, SILENT, TAKEN, Api
from tests.queue.gateways import Kept, id_of, kill, route, run_again, run_queue, settings_text, submit, until, vendor
from tests.running import letter

GOOD = "ann@cust.example"


@pytest.fixture
def api():
    made = Api()
    yield made
    made.close()


def text(api: Api, *, mode: str = "queued", on_unknown: str = "retry", more: str = "", **queue: float) -> str:
    return settings_text(
        vendor("postscale", api.url, more=more), route("postscale", mode=mode, on_unknown=f'"{on_unknown}"'), **queue
    )


def test_mail_waits_for_a_vendor_that_is_down_and_leaves_when_it_is_up(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, text(api)) as gateway:
        kept = Kept(gateway)
        sent = [id_of(submit(gateway, f"{number}@cust.example")) for number in range(3)]
        until(lambda: all(len(kept.attempts(one)) >= 2 for one in sent), gateway)
        assert {state for one in sent for state in kept.states(one).values()} == {State.QUEUED}
        api.say(TAKEN)
        for one in sent:
            kept.wait_for(one, State.RELAYED)
        assert sorted(api.taken_to()) == ["0@cust.example", "1@cust.example", "2@cust.example"]
        assert kept.totals().is_whole
        assert kept.names(sent[0])[:2] == ["received", "deferred"]
        assert f"waiting session_id={kept.message(sent[0]).session_id} message_id={sent[0]}" in gateway.log()


def test_mail_that_is_too_old_expires_with_the_next_attempt_that_fails(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, text(api, expire_seconds=1.0)) as gateway:
        kept = Kept(gateway)
        message_id = id_of(submit(gateway, GOOD))
        kept.wait_for(message_id, State.EXPIRED)
        assert kept.attempts(message_id)[-1].began_at >= kept.message(message_id).expires_at
        assert kept.names(message_id)[-2:] == ["expired", "notified"]
        assert kept.totals().is_whole


def test_a_retry_after_beyond_the_expiry_makes_nobody_wait_longer(tmp_path, api):
    """The last attempt is made when the message expires; what comes meanwhile has its own attempts and time."""
    api.say((429, {"Retry-After": "604800"}))
    with run_queue(tmp_path, text(api, expire_seconds=2.0)) as gateway:
        kept = Kept(gateway)
        first = id_of(submit(gateway, GOOD))
        until(lambda: kept.attempts(first), gateway)
        second = id_of(submit(gateway, "bob@cust.example"))
        for one in (first, second):
            kept.wait_for(one, State.EXPIRED)
            assert kept.attempts(one)[-1].began_at - kept.message(one).expires_at < 5.0
        assert len(kept.attempts(first)) == 2
        assert kept.totals().is_whole


def test_an_unknown_outcome_holds_the_message_where_the_route_says_so(tmp_path, api):
    api.say(SILENT)
    with run_queue(tmp_path, text(api, on_unknown="hold")) as gateway:
        kept = Kept(gateway)
        message_id = id_of(submit(gateway, GOOD))
        kept.wait_for(message_id, State.HELD)
        assert kept.message(message_id).recipients[0].is_unknown
        assert kept.names(message_id) == ["received", "unknown", "held"]
        assert kept.totals().held == 1
        assert "held session_id=" in gateway.log()


def test_an_unknown_outcome_is_repeated_where_the_route_does_not_mind(tmp_path, api):
    api.say(SILENT)
    with run_queue(tmp_path, text(api)) as gateway:
        kept = Kept(gateway)
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: "unknown" in kept.names(message_id), gateway)
        api.say(TAKEN)
        kept.wait_for(message_id, State.RELAYED)
        first, *between, last = kept.names(message_id)
        assert (first, set(between), last) == ("received", {"unknown"}, "relayed")


def test_mail_that_waits_is_there_after_a_stop_and_leaves_then(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, text(api)) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: Kept(gateway).attempts(message_id), gateway)
        gateway.stop()
        api.say(TAKEN)
        with run_again(gateway) as again:
            Kept(again).wait_for(message_id, State.RELAYED)
    assert api.taken_to() == [GOOD]


def test_a_stop_waits_for_the_attempts_in_hand(tmp_path, api):
    api.seconds = 1.0
    with run_queue(tmp_path, text(api)) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: api.asked, gateway)
        gateway.stop()
        assert set(Kept(gateway).states(message_id).values()) == {State.RELAYED}


def test_after_a_kill_an_attempt_that_was_under_way_is_unknown_and_repeated(tmp_path, api):
    api.say(SILENT)
    with run_queue(tmp_path, text(api, lease_seconds=2.0)) as gateway:
        first = id_of(submit(gateway, GOOD))
        until(lambda: api.asked, gateway)
        second = id_of(submit(gateway, "bob@cust.example"))
        kill(gateway)
        api.say(TAKEN)
        with run_again(gateway) as again:
            kept = Kept(again)
            kept.wait_for(first, State.RELAYED)
            kept.wait_for(second, State.RELAYED)
            assert kept.names(first) == ["received", "unknown", "relayed"]
            assert kept.message(first).recipients[0].is_unknown
            assert kept.totals().is_whole
            assert f"message_id={first}" in next(one for one in again.log().splitlines() if "in-doubt" in one)
    assert sorted(set(api.taken_to())) == [GOOD, "bob@cust.example"]


def test_after_a_kill_a_gateway_that_starts_again_waits_for_no_lease_of_its_own(tmp_path, api):
    api.say(SILENT)
    with run_queue(tmp_path, text(api, lease_seconds=3600.0)) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: api.asked, gateway)
        kill(gateway)
        api.say(TAKEN)
        with run_again(gateway) as again:
            kept = Kept(again)
            kept.wait_for(message_id, State.RELAYED)
            assert kept.names(message_id) == ["received", "unknown", "relayed"]
            assert len(list((again.log_file.with_name("state") / "processes").iterdir())) == 1


def test_what_a_killed_worker_had_in_hand_is_attempted_by_another_at_once(tmp_path, api):
    api.say(SILENT)
    two = text(api, lease_seconds=3600.0, attempts_per_lane=16).replace("workers = 1", "workers = 2")
    with run_queue(tmp_path, two) as gateway:
        kept = Kept(gateway)
        sent = [id_of(submit(gateway, f"{number}@cust.example")) for number in range(4)]
        until(lambda: len(api.asked) == len(sent), gateway)
        api.say(TAKEN)
        workers = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
        assert len(workers) == 2
        for pid in workers:
            os.kill(int(pid), signal.SIGKILL)
        for one in sent:
            kept.wait_for(one, State.RELAYED)
            assert kept.names(one) == ["received", "unknown", "relayed"]
            assert any("in-doubt" in line and one in line for line in gateway.log().splitlines())
        assert sorted(api.taken_to()) == [f"{number}@cust.example" for number in range(4)]


def test_after_a_kill_an_attempt_that_was_under_way_is_held_where_the_route_says_so(tmp_path, api):
    api.say(SILENT)
    with run_queue(tmp_path, text(api, on_unknown="hold", lease_seconds=2.0)) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: api.asked, gateway)
        kill(gateway)
        api.say(TAKEN)
        with run_again(gateway) as again:
            Kept(again).wait_for(message_id, State.HELD)
            assert Kept(again).names(message_id) == ["received", "unknown", "held"]
    assert api.taken == []


def test_a_lane_that_fails_is_left_alone_and_one_message_probes(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, text(api, breaker_failures=3, breaker_seconds=1.5, attempts_per_lane=1)) as gateway:
        sent = [id_of(submit(gateway, f"{number}@cust.example")) for number in range(8)]
        until(lambda: len(api.asked) >= 3, gateway)
        time.sleep(0.7)  # nothing is to happen meanwhile
        assert len(api.asked) == 3
        until(lambda: len(api.asked) == 4, gateway)
        api.say(TAKEN)
        for one in sent:
            Kept(gateway).wait_for(one, State.RELAYED)
        assert len(api.asked) == 4 + len(sent)


def test_a_loud_account_does_not_starve_another(tmp_path, api):
    api.seconds = 0.05
    loud, quiet = "ps_test_loud", "ps_test_quiet"
    operator = tmp_path / "key"
    operator.write_text("ps_test_operator\n")
    tables = vendor("postscale", api.url) + vendor("shared", api.url, key=operator)
    with run_queue(tmp_path, settings_text(tables, route("shared"), attempts_per_lane=1)) as gateway:
        api.say(DOWN)
        for number in range(40):
            submit(gateway, f"loud{number}@cust.example", key=loud)
        api.say(TAKEN)
        api.taken.clear()
        for number in range(3):
            submit(gateway, f"quiet{number}@cust.example", key=quiet)
        until(lambda: len(api.taken) == 43, gateway)
        last = max(place for place, to in enumerate(api.taken_to()) if to.startswith("quiet"))
    assert last < 30


def test_no_more_leaves_at_once_than_a_lane_may_have(tmp_path, api):
    api.seconds = 0.3
    with run_queue(tmp_path, text(api, attempts_per_lane=2)) as gateway:
        sent = [id_of(submit(gateway, f"{number}@cust.example")) for number in range(8)]
        for one in sent:
            Kept(gateway).wait_for(one, State.RELAYED)
    assert api.most_at_once == 2


def test_recovery_keeps_to_the_rate(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, text(api, more="rate_per_second = 10.0")) as gateway:
        sent = [id_of(submit(gateway, f"{number}@cust.example")) for number in range(25)]
        api.say(TAKEN)
        for one in sent:
            Kept(gateway).wait_for(one, State.RELAYED)
    times = [at for at, _ in api.asked]
    assert max(sum(start <= at < start + 1 for at in times) for start in times) <= 12  # ten, and the network's jitter


def test_a_changed_route_applies_to_mail_that_waits(tmp_path, api):
    api.say(DOWN)
    other = Api()
    operator = tmp_path / "key"
    operator.write_text("ps_test_operator\n")
    tables = vendor("postscale", api.url) + vendor("other", other.url, key=operator)
    with run_queue(tmp_path, settings_text(tables, route("postscale"))) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: Kept(gateway).attempts(message_id), gateway)
        gateway.stop()
        config = gateway.log_file.with_name("gateway.toml")
        config.write_text(config.read_text().replace('vendors = ["postscale"]', 'vendors = ["other"]'))
        with run_again(gateway) as again:
            Kept(again).wait_for(message_id, State.RELAYED)
            assert Kept(again).message(message_id).lane.startswith("other/")
    assert other.taken_to() == [GOOD]
    other.close()


def test_a_large_message_travels_through_the_store_whole(tmp_path, api):
    body = ("x" * 998 + "\r\n") * 3000
    octets = letter(GOOD, subject="large") + body.encode()
    with run_queue(tmp_path, text(api)) as gateway:
        message_id = id_of(submit(gateway, GOOD, octets=octets))
        Kept(gateway).wait_for(message_id, State.RELAYED)
    (document,) = api.taken
    assert document["text_body"].replace("\n", "") == "Hello." + "x" * 998 * 3000


def test_a_stop_does_not_wait_for_ever_and_the_attempt_counts_as_unknown(tmp_path, api):
    api.say(SILENT)
    tables = settings_text(vendor("postscale", api.url, seconds=30.0), route("postscale"), lease_seconds=60.0)
    with run_queue(tmp_path, f"{tables}\n[limits]\ndrain_seconds = 1\n") as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: api.asked, gateway)
        began = time.monotonic()
        gateway.stop()
        assert time.monotonic() - began < 10
        assert "attempts are left behind" in gateway.log()
        assert "Traceback" not in gateway.log()
        assert Kept(gateway).states(message_id) == {GOOD: State.QUEUED}


def test_a_message_whose_content_was_lost_is_refused_and_reported(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, text(api)) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        with sqlite3.connect(Kept(gateway).path) as connection:
            connection.execute("DELETE FROM content WHERE message_id = ?", (message_id,))
        connection.close()
        Kept(gateway).wait_for(message_id, State.REFUSED)
        assert f"{message_id}: its stored content ends after 0 octets" in gateway.log()


def test_a_message_whose_key_cannot_be_opened_waits_and_is_reported(tmp_path, api):
    api.say(DOWN)
    with run_queue(tmp_path, text(api)) as gateway:
        message_id = id_of(submit(gateway, GOOD))
        until(lambda: Kept(gateway).attempts(message_id), gateway)
        gateway.stop()
        (tmp_path / "state" / "credentials.key").unlink()
        api.asked.clear()
        with run_again(gateway) as again:
            until(lambda: "does not fit credentials.key" in again.log(), again)
            until(lambda: "waiting session_id" in again.log(), again)
            assert Kept(again).states(message_id) == {GOOD: State.QUEUED}
    assert api.asked == []
