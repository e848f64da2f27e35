"""What the sender is told when a message fails after its 250, by the notices of its route, through a gateway."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from gateway.store.records import State
from tests.http.peers import Server
from tests.queue.api import DOWN, TAKEN, Api
from tests.queue.gateways import Kept, id_of, route, run_queue, settings_text, submit, until, vendor
from tests.running import connected, log_in, send

BAD = "nobody@cust.example"
SENDER = "shop@shop.example"


@pytest.fixture
def api():
    made = Api()
    made.answer = lambda document: (400, {}) if BAD in document["to"] else TAKEN
    yield made
    made.close()


def dsn_of(api: Api) -> dict:
    return next((one for one in api.taken if one["to"] == [SENDER]), {})


def test_a_refusal_after_the_250_comes_back_as_a_dsn_by_the_same_route(tmp_path, api):
    with run_queue(tmp_path, settings_text(vendor("postscale", api.url), route("postscale"))) as gateway:
        message_id = id_of(submit(gateway, BAD))
        dsn = until(lambda: dsn_of(api), gateway)
        assert dsn["subject"] == "Your message could not be delivered"
        assert "asked for" in dsn["text_body"]
        assert message_id in dsn["text_body"]
        until(lambda: Kept(gateway).totals().relayed == 1, gateway)
        assert Kept(gateway).totals().is_whole


def test_a_route_without_notices_tells_nobody(tmp_path, api):
    text = settings_text(vendor("postscale", api.url), route("postscale", notices="[]"))
    with run_queue(tmp_path, text) as gateway:
        Kept(gateway).wait_for(id_of(submit(gateway, BAD)), State.REFUSED)
        Kept(gateway).wait_for(id_of(submit(gateway, "ann@cust.example")), State.RELAYED)
    assert dsn_of(api) == {}


def test_a_refusal_beside_a_deferral_is_told_though_the_reply_was_a_250(tmp_path, api):
    late = "late@cust.example"
    api.answer = lambda document: (400, {}) if BAD in document["to"] else DOWN if late in document["to"] else TAKEN
    octets = b"From: shop@shop.example\r\nTo: list@else.example\r\nSubject: x\r\n\r\nHello.\r\n"
    with run_queue(tmp_path, settings_text(vendor("postscale", api.url), route("postscale", mode="spill"))) as gateway:
        # An accepted one first: a refusal of the first would stand for all
        message_id = id_of(submit(gateway, "ann@cust.example", BAD, late, octets=octets))
        until(lambda: dsn_of(api), gateway)
        assert Kept(gateway).states(message_id)[BAD] == State.REFUSED


def test_a_webhook_hears_what_becomes_of_a_message(tmp_path, api):
    heard: list[str] = []

    def listen(visit):
        head = visit.read_head()
        length = int(dict(one.lower().split(": ", 1) for one in head.splitlines()[1:])["content-length"])
        heard.append(json.loads(visit._file.read(length))["type"])
        visit.answer()

    server = Server(listen)
    secret = tmp_path / "secret"
    secret.write_text(f"whsec_{base64.b64encode(b'k' * 24).decode()}\n")
    hook = f'\n[[webhooks]]\nurl = "{server.url}/hook"\nsecret = {{{{ file = "{secret}" }}}}\n'
    text = settings_text(vendor("postscale", api.url), route("postscale", notices="[]") + hook)
    with run_queue(tmp_path, text) as gateway:
        id_of(submit(gateway, BAD))
        until(lambda: len(heard) >= 2, gateway)
    server.close()
    assert [one.rpartition(".")[2] for one in sorted(heard)] == ["received", "refused"]


def test_late_mail_is_told_once(tmp_path, api):
    api.answer = lambda document: TAKEN if document["to"] == [SENDER] else DOWN
    text = settings_text(vendor("postscale", api.url), route("postscale", warn_after_seconds=0.5))
    with run_queue(tmp_path, text) as gateway:
        message_id = id_of(submit(gateway, "ann@cust.example"))
        until(lambda: Kept(gateway).message(message_id).warned, gateway)
        until(lambda: len(Kept(gateway).attempts(message_id)) >= 5, gateway)
    assert len([one for one in api.taken if one["to"] == [SENDER]]) <= 1


def test_the_bounce_api_is_on_the_console(tmp_path, api):
    text = settings_text(vendor("postscale", api.url), route("postscale", notices='["bounce"]'))
    with run_queue(tmp_path, text) as gateway:
        Kept(gateway).wait_for(id_of(submit(gateway, BAD)), State.REFUSED)
        request = urllib.request.Request(f"{gateway.console_url}/api/v1/postmark/bounces?count=1&offset=0")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 401


def test_postmarks_dialect_takes_a_message_first_and_tells_of_its_failure_as_a_bounce(tmp_path):
    text = settings_text(VENDOR_POSTMARK, "").replace('dialect = "postscale"', 'dialect = "postmark"')
    key = "pm_test_queue_1"
    with run_queue(tmp_path, text) as gateway, connected(gateway) as client:
        assert log_in(client, key, key)[0] == 235
        code, told = send(client, "suppressed@sandbox.example")
        assert (code, told.split()[-1]) == (250, "queued")
        Kept(gateway).wait_for(told.split()[2], State.REFUSED)
        url = f"{gateway.console_url}/api/v1/postmark/bounces?count=10&offset=0"
        request = urllib.request.Request(url, headers={"X-Postmark-Server-Token": key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            (bounce,) = json.load(answer)["Bounces"]
    assert (bounce["Type"], bounce["TypeCode"], bounce["Email"]) == (
        "SMTPApiError",
        100007,
        "suppressed@sandbox.example",
    )


VENDOR_POSTMARK = '[vendors.postmark]\napi = "postmark"\nurl = "http://127.0.0.1:{console}/sandbox/postmark/v1"\n'


def asked(gateway, path):
    """What the console answers; the gateway's vendors are on this machine, so that it asks for no login."""
    with urllib.request.urlopen(gateway.console_url + path, timeout=10) as answer:
        return answer.read().decode()


def shown(gateway, message_id):
    """What `mailgateway messages show` says."""
    program, config = Path(sys.executable).with_name("mailgateway"), gateway.log_file.with_name("gateway.toml")
    command = [program, "messages", "--config", config, "show", message_id]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def test_a_dsn_that_waits_can_be_looked_at_as_any_mail(tmp_path, api):
    api.answer = lambda document: (400, {}) if BAD in document["to"] else DOWN
    with run_queue(tmp_path, settings_text(vendor("postscale", api.url), route("postscale"))) as gateway:
        message_id = id_of(submit(gateway, BAD))
        until(lambda: "notified" in Kept(gateway).names(message_id), gateway)
        (dsn,) = json.loads(asked(gateway, f"/api/v1/messages/{message_id}"))["notices"]
        assert dsn["state"] == "queued"
        for rest in ("", "/content", "/source"):
            assert "Your message could not be delivered" in asked(gateway, f"/messages/{dsn['id']}{rest}")


def test_a_message_and_its_dsn_lead_to_each_other(tmp_path, api):
    with run_queue(tmp_path, settings_text(vendor("postscale", api.url), route("postscale"))) as gateway:
        message_id = id_of(submit(gateway, BAD))
        until(lambda: dsn_of(api), gateway)
        until(lambda: Kept(gateway).totals().relayed == 1, gateway)
        story = json.loads(asked(gateway, f"/api/v1/messages/{message_id}"))
        (dsn,) = story["notices"]
        assert (dsn["state"], story["notice_of"]) == ("relayed", None)
        assert story["story"]["events"][-1]["detail"] == {"dsn": dsn["id"]}
        other = json.loads(asked(gateway, f"/api/v1/messages/{dsn['id']}"))
        assert (other["kind"], other["notices"]) == ("dsn", [])
        assert other["notice_of"] == {"id": message_id, "state": "refused"}
        assert f'href="/messages/{dsn["id"]}"' in asked(gateway, f"/messages/{message_id}")
        assert f'href="/messages/{message_id}"' in asked(gateway, f"/messages/{dsn['id']}")
        assert f" notified {dsn['id']}\n" in shown(gateway, message_id)
        assert f"a DSN about:      {message_id}\n" in shown(gateway, dsn["id"])
