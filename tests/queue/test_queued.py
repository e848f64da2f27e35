"""Mode queued through a running gateway: the 250 comes from the disk, and the mail leaves by itself."""

from __future__ import annotations

import re
import time

import pytest

from gateway.store.records import State
from tests.queue.gateways import KEY, Kept, id_of, route, run_queue, settings_text, submit, until, vendor
from tests.running import leaks, letter

GOOD = "ann@cust.example"


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    """A gateway that stores everything first, at its own sandbox."""
    folder = tmp_path_factory.mktemp("queued")
    with run_queue(folder, settings_text(vendor("postscale"), route("postscale"))) as running:
        yield running


def test_a_message_is_stored_and_then_relayed(relay):
    relay.clear()
    reply = submit(relay, GOOD)
    message_id = id_of(reply)
    assert re.fullmatch(r"OK [0-9a-z]{20} queued", reply[1])
    kept = Kept(relay)
    kept.wait_for(message_id, State.RELAYED)
    (sent,) = relay.messages()
    assert sent["request"]["json"]["to"] == [GOOD]
    assert kept.names(message_id) == ["received", "relayed"]
    (attempt,) = kept.attempts(message_id)
    assert attempt.outcomes == {GOOD: "accepted"}
    assert [(call.method, call.status) for call in attempt.calls] == [("POST", 202)]
    (recipient,) = kept.message(message_id).recipients
    assert f"vendor_message_id={recipient.vendor_message_id}" in relay.log()
    session_id = kept.message(message_id).session_id
    assert f"stored session_id={session_id} message_id={message_id}" in relay.log()


def test_it_leaves_at_once_and_not_at_the_next_poll(relay):
    kept, took = Kept(relay), []
    for _ in range(5):
        message_id = id_of(submit(relay, GOOD))
        kept.wait_for(message_id, State.RELAYED)
        took.append(kept.attempts(message_id)[0].began_at - kept.message(message_id).received_at)
    assert min(took) < 0.2


def test_what_can_be_told_now_is_not_stored(relay):
    before = Kept(relay).totals()
    assert submit(relay, GOOD, octets=b"From: a@shop.example\r\n" + letter(GOOD)) == (554, "Failed to parse message")
    code, _ = submit(relay, GOOD, octets=b"X-Postscale-Metadata: {'a': 1}\r\n" + letter(GOOD))
    assert code == 554
    assert Kept(relay).totals() == before


def test_a_refusal_after_the_250_is_kept_with_the_vendors_words(relay):
    message_id = id_of(submit(relay, "badrequest@sandbox.example"))
    kept = Kept(relay)
    kept.wait_for(message_id, State.REFUSED)
    (recipient,) = kept.message(message_id).recipients
    assert (recipient.cause, recipient.reason) == ("INVALID", "bad request asked for")
    assert kept.names(message_id) == ["received", "refused", "notified"]
    assert f"ended session_id={kept.message(message_id).session_id} message_id={message_id}" in relay.log()


def test_a_clients_own_key_is_nowhere_in_the_database_while_its_mail_waits(relay):
    message_id = id_of(submit(relay, "unavailable@sandbox.example"))
    kept = Kept(relay)
    until(lambda: kept.attempts(message_id), relay)
    assert kept.states(message_id) == {"unavailable@sandbox.example": State.QUEUED}
    octets = kept.octets()
    assert message_id.encode() in octets
    assert KEY.encode() not in octets
    assert leaks(relay.log()) == []


def test_who_was_taken_is_done_and_only_the_rest_is_attempted_again(relay):
    relay.clear()
    octets = letter(header_to="list@else.example", subject="partial")
    limited = "unavailable@sandbox.example"
    message_id = id_of(submit(relay, GOOD, limited, octets=octets))
    kept = Kept(relay)
    until(lambda: len(kept.attempts(message_id)) >= 3, relay)
    assert kept.states(message_id) == {GOOD: State.RELAYED, limited: State.QUEUED}
    asked = [to for one in relay.messages() if one["request"]["json"]["subject"] == "partial" for to in _to(one)]
    assert asked.count(GOOD) == 1
    outcomes = [one.outcomes for one in kept.attempts(message_id)]
    assert outcomes[:3] == [{GOOD: "accepted", limited: "deferred"}, {limited: "deferred"}, {limited: "deferred"}]


def test_a_vendors_retry_after_is_waited_for(relay):
    message_id = id_of(submit(relay, "ratelimit@sandbox.example"))
    kept = Kept(relay)
    until(lambda: kept.attempts(message_id), relay)
    due_at = until(lambda: kept.message(message_id).next_attempt_at, relay)
    assert 25 < due_at - time.time() <= 31


def test_the_sum_holds(relay):
    """Last, over all that was done above."""
    assert Kept(relay).totals().is_whole
    assert Kept(relay).totals().accepted >= 8


def _to(sent):
    return sent["request"]["json"]["to"]
