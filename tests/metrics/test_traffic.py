"""/metrics of a running gateway after some traffic: in one process, over several, and when one of these dies."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import time
import urllib.error

import pytest

import tests.conftest as fixtures
from gateway.store.records import State
from tests.metrics.scraped import counted, get, scrape
from tests.queue.api import DOWN, SILENT, TAKEN, Api
from tests.queue.gateways import KEY, Kept, id_of, route, run_queue, settings_text, submit, until, vendor
from tests.running import connected, log_in, send
from tests.service.test_workers import (
    eventually,
    logged_in,
    one_for_each_worker,
    two_workers,
    worker_of_port,
    workers_of,
)
from tests.smtp.own_gateway import own_gateway

GOOD = "ann@cust.example"
LISTENERS = {"main": 'tls = "starttls"\nname = "shops"'}


@pytest.fixture
def api():
    made = Api()
    yield made
    made.close()


def sent(gateway, *recipients):
    """The reply to one message in a session of its own."""
    client, code = logged_in(gateway)
    assert code == 235
    reply = send(client, *recipients)
    client.quit()
    return reply


def ended(gateway, sessions):
    """The scrape that knows that so many sessions have ended: a session's own count comes a moment after its end."""
    return eventually(lambda: (now := scrape(gateway)).sum("sessions_ended_total") == sessions and now)


def test_one_process_counts_sessions_commands_logins_and_messages(tmp_path):
    with own_gateway(tmp_path, LISTENERS) as gateway:
        for _ in range(3):
            assert sent(gateway, GOOD)[0] == 250
        refused, code = logged_in(gateway, "wrong")
        refused.close()
        assert code == 535
        with smtplib.SMTP(gateway.host, gateway.ports["main"]) as client:
            assert client.docmd("XYZZY")[0] == 500
        left_open = smtplib.SMTP(gateway.host, gateway.ports["main"])
        found = ended(gateway, 5)
        left_open.close()
    accepted = {"listener": "shops", "dialect": "postscale", "vendor": "postscale", "outcome": "accepted"}
    assert found.sum("messages_total", **accepted) == found.sum("messages_total") == 3
    assert found.sum("message_octets_total", **accepted) > 3 * 50
    assert found.sum("reply_seconds_count", outcome="accepted") == 3
    assert 0 < found.sum("reply_seconds_sum") < 30
    assert found.sum("reply_seconds_bucket", le="+Inf") == 3
    assert (found.sum("sessions_opened_total"), found.sum("sessions_open")) == (6, 1)
    assert found.sum("sessions_ended_total", ending="quit") == 4
    assert found.sum("sessions_ended_total", ending="client-gone") == 1
    assert found.sum("commands_total", verb="end-of-data", code="250") == 3
    assert found.sum("commands_total", verb="other", code="500") == 1
    assert found.sum("commands_total", verb="AUTH", code="535") == 1
    assert found.sum("logins_total", result="good", mechanism="PLAIN") == 3
    assert found.sum("logins_total", result="refused", mechanism="PLAIN") == 1
    assert found.sum("attempts_total", vendor="postscale", outcome="accepted") == 3
    assert found.sum("vendor_calls_total", vendor="postscale", status="2xx") == 3
    assert found.sum("vendor_call_seconds_count", vendor="postscale") == 3
    assert found.sum("memory_octets", process="main") > 10_000_000
    assert found.sum("certificate_expiry_timestamp_seconds") > time.time()
    assert (found.sum("workers"), found.sum("workers_serving"), found.sum("store_up")) == (1, 1, 1)


def test_nothing_of_a_client_or_a_message_is_a_label(tmp_path):
    with own_gateway(tmp_path, LISTENERS) as gateway:
        sent(gateway, GOOD)
        found = ended(gateway, 1)
    labels = {value for one in found.samples for value in one.labels.values()}
    assert not [one for one in labels if "@" in one or "127.0.0.1" in one or "ps_" in one or "key-" in one]
    assert len(found.samples) < 200


def test_counters_add_up_over_workers_and_a_dead_one_takes_nothing_away(tmp_path):
    with two_workers(tmp_path) as gateway:
        sessions = [logged_in(gateway)[0] for _ in range(6)]
        pids = {worker_of_port(gateway, client.sock.getsockname()[1]) for client in sessions}
        assert len(pids) == 2
        assert {send(client, GOOD)[0] for client in sessions} == {250}
        for client in sessions:
            client.quit()
        before = ended(gateway, 6)
        assert before.sum("messages_total") == before.sum("logins_total") == before.sum("attempts_total") == 6
        assert before.sum("commands_total", verb="end-of-data", code="250") == 6
        assert {one.labels["process"] for one in before.samples if one.name == "mailgateway_memory_octets"} == {
            "main", "worker-1", "worker-2"
        }  # fmt: skip
        clients, (victim, _) = one_for_each_worker(gateway)
        already = scrape(gateway).sum("sessions_opened_total")
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in workers_of(gateway) and len(workers_of(gateway)) == 2 and gateway.is_ready())
        after = scrape(gateway)
        assert [name for name, value in counted(before).items() if counted(after).get(name, 0) < value] == []
        assert after.sum("sessions_ended_total", ending="worker-lost") == 1
        assert after.sum("alarms_total") == before.sum("alarms_total") + 1
        assert after.sum("sessions_opened_total") == already
        for one in clients:
            one.socket.close()
        total = after.sum("messages_total")
        assert sent(gateway, GOOD)[0] == 250
        assert scrape(gateway).sum("messages_total") == total + 1
        last = eventually(lambda: (now := scrape(gateway)).sum("sessions_open") == 0 and now)
    assert last.sum("sessions_ended_total") == last.sum("sessions_opened_total")


def test_mail_that_waits_is_shown_with_its_age_and_the_open_breaker_is_a_warning(tmp_path, api):
    api.say(DOWN)
    text = settings_text(
        vendor("postscale", api.url), route("postscale"), breaker_failures=2, breaker_seconds=60.0
    ).replace("[console]\n", "[console]\nqueue_age_seconds = 0.1\n")
    with run_queue(tmp_path, text) as gateway:
        for number in range(3):
            assert submit(gateway, f"{number}@cust.example")[0] == 250
        found = until(lambda: (now := scrape(gateway)).sum("lanes", vendor="postscale", state="open") and now, gateway)
        found = until(lambda: (now := scrape(gateway)).sum("queue_messages", vendor="postscale") == 3 and now, gateway)
        assert found.sum("messages_total", outcome="stored", vendor="postscale") == 3
        assert 0 < found.sum("queue_oldest_seconds", vendor="postscale") < 60
        assert found.sum("recipients", state="queued") == 3
        assert found.sum("vendor_calls_total", vendor="postscale", status="5xx") >= 2
        health = json.loads(get(gateway, "/readyz"))
        assert health["status"] == "ready"
        assert health["warnings"][0] == "vendors.postscale: the breaker is open"
        assert health["warnings"][1].startswith("the oldest message that waits is ")
        page = get(gateway, "/vendors").decode()
        assert "open" in page
        assert "unavailable" in page


def test_held_mail_and_ended_recipients_are_counted(tmp_path, api):
    api.say(SILENT)
    text = settings_text(vendor("postscale", api.url, seconds=0.5), route("postscale", on_unknown='"hold"'))
    with run_queue(tmp_path, text) as gateway:
        Kept(gateway).wait_for(id_of(submit(gateway, GOOD)), State.HELD)
        api.say(TAKEN)
        Kept(gateway).wait_for(id_of(submit(gateway, GOOD)), State.RELAYED)
        found = until(lambda: (now := scrape(gateway)).sum("recipients", state="relayed") == 1 and now, gateway)
    assert found.sum("recipients", state="held") == 1
    assert found.sum("vendor_calls_total", status="none") == 1
    assert found.sum("recipients_ended_total", vendor="postscale", state="relayed") == 1


def test_workers_tell_the_state_of_their_lanes(tmp_path, api):
    api.say((429, {"Retry-After": "60"}))
    more = f'[vendors.slow]\napi = "postscale"\nurl = "{api.url}"\n[[routes]]\nvendors = ["slow"]\nmode = "queued"\n'
    with two_workers(tmp_path, more) as gateway:
        sent(gateway, GOOD)
        eventually(lambda: scrape(gateway).sum("lanes", vendor="slow", state="paused") == 1)
        page = get(gateway, "/vendors").decode()
        assert "paused" in page
        assert "rate limited" in page


def test_a_message_that_is_refused_or_too_large_is_counted_as_that(tmp_path, api):
    api.say((422, {}))
    with run_queue(tmp_path, settings_text(vendor("postscale", api.url), route("postscale", mode="direct"))) as gateway:
        with connected(gateway) as client:
            assert log_in(client, "postscale", KEY)[0] == 235
            assert send(client, GOOD)[0] >= 500
            assert send(client, GOOD, octets=b"no header\r\n\r\n")[0] >= 500
        found = scrape(gateway)
    assert found.sum("messages_total", outcome="refused", vendor="postscale") >= 1
    assert found.sum("messages_total", outcome="refused") == 2
    assert found.sum("attempts_total", outcome="refused") >= 1


def test_a_full_disk_makes_the_gateway_not_ready_and_says_why(tmp_path, monkeypatch):
    more_than_there_is = "[console]\nfree_octets = 1_000_000_000_000_000\n"
    monkeypatch.setattr(fixtures, "SETTINGS", fixtures.SETTINGS.replace("[console]\n", more_than_there_is))
    gateway = fixtures.start_gateway(tmp_path)
    try:
        told = eventually(lambda: not_ready(gateway))
        assert told["status"] == "not ready"
        assert "octets free, less than 1,000,000,000,000,000" in told["reasons"][-1]
        assert json.loads(get(gateway, "/livez")) == {"status": "live"}
    finally:
        gateway.stop()


def not_ready(gateway):
    """What /readyz says with its 503; None for anything else."""
    try:
        get(gateway, "/readyz")
    except urllib.error.HTTPError as error:
        return json.load(error) if error.code == 503 else None
    except OSError:
        return None
    return None
