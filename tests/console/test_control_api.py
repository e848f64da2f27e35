"""The control API of a running gateway: what it tells of messages, what it changes, and that it is as described."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

import tests.conftest as fixtures
from gateway.console.access import Role, read_token
from gateway.store.records import Attempt, Call, State, StoredEvent
from gateway.store.sqlite import SqliteStore
from tests.conftest import start_gateway
from tests.store.mail import add, message

DESCRIPTION = json.loads((Path(__file__).parents[2] / "gateway/console/openapi.json").read_text("utf-8"))
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
NOW = float(int(time.time()) - 3600)  # not so long ago that it would be deleted
HELD = 7
ATTEMPT = Attempt(
    "postscale",
    NOW,
    0.25,
    {"late@cust.example": "deferred"},
    "busy",
    30.0,
    (Call("POST", "https://api.example/send", 503, 0.2, '{"error":"busy"}'),),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A gateway whose store holds some messages that are held, and some that have ended."""
    folder = tmp_path_factory.mktemp("control")
    with pytest.MonkeyPatch.context() as changed:
        # Kept for ever: the times of these messages are the test's own, and retention goes by the day it is
        kept = "[store]\ncontent_days = 36500.0\nlog_days = 36500.0\n[console]\nlogin = true\n"
        changed.setattr(fixtures, "SETTINGS", fixtures.SETTINGS.replace("[console]\n", kept))
        gateway = start_gateway(folder)
    gateway.wait_until_ready()
    store = SqliteStore(folder / "state" / "store.sqlite")
    store.open()
    for number in range(1, HELD + 1):
        add(store, message(number, state=State.HELD, at=NOW + number, subject=f"Invoice {number}"))
    add(store, message(90, "done@cust.example", state=State.RELAYED, at=NOW, header_message_id="<a@shop.example>"))
    add(store, message(91, "late@cust.example", state=State.EXPIRED, at=NOW, account_name="other"))
    store.run(lambda transaction: transaction.add_message(message(92, state=State.REFUSED), None, [ATTEMPT]))
    store.run(lambda transaction: transaction.add_events([StoredEvent(NOW, "received", message(92).message_id)]))
    store.close()
    yield gateway
    gateway.stop()


def token(running):
    return {"Authorization": f"Bearer {read_token(running.log_file.with_name('state'), Role.STEER)}"}


def call(running, path, document=None):
    """The status and the JSON of an answer."""
    body = json.dumps(document).encode() if document is not None else None
    request = urllib.request.Request(
        running.console_url + path, body, token(running) | {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def command(running, *words):
    """`mailgateway` with the gateway's settings."""
    program = Path(sys.executable).with_name("mailgateway")
    config = running.log_file.with_name("gateway.toml")
    return subprocess.run(
        [str(program), *words, "--config", str(config)], check=False, capture_output=True, text=True, timeout=60
    )


def ids(answer):
    return [one["id"] for one in answer[1]["messages"]]


def test_messages_are_listed_newest_first_and_paged(running):
    status, first = call(running, "/api/v1/messages?limit=4")
    assert status == 200
    _, second = call(running, f"/api/v1/messages?limit=500&before={first['next']}")
    every = [one["id"] for one in first["messages"] + second["messages"]]
    assert every == sorted(every, reverse=True)
    assert len(every) == HELD + 3
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("recipient=DONE", [90]),
        ("account=other", [91]),
        ("header_message_id=a@shop.example", [90]),
        ("text=invoice%203", [3]),
        ("state=expired&state=refused", [92, 91]),
        ("id=01jd0000000000000090", [90]),
        ("recipient=nobody", []),
        ("recipient=%25", []),
    ],
)
def test_where_is_my_mail(running, query, found):
    assert ids(call(running, f"/api/v1/messages?{query}")) == [message(one).message_id for one in found]


def test_a_messages_story_has_its_attempts_with_what_was_called_and_answered(running):
    status, story = call(running, f"/api/v1/messages/{message(92).message_id}")
    assert status == 200
    (attempt,) = story["story"]["attempts"]
    assert attempt["calls"][0] | {"seconds": 0} == {
        "method": "POST",
        "url": "https://api.example/send",
        "status": 503,
        "seconds": 0,
        "answer": '{"error":"busy"}',
    }
    assert [one["name"] for one in story["story"]["events"]] == ["received"]


def test_the_content_is_a_download_and_never_a_page(running):
    url = f"{running.console_url}/api/v1/messages/{message(1).message_id}/content"
    with urllib.request.urlopen(urllib.request.Request(url, headers=token(running))) as answer:
        assert answer.read() == b"content"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")


def test_what_waits_is_steered_and_every_step_is_an_event(running):
    one = message(2).message_id
    assert call(running, "/api/v1/queue", {"action": "cancel", "ids": [one]})[1]["changed"] == [one]
    assert call(running, "/api/v1/queue", {"action": "cancel", "ids": [one]})[1]["changed"] == []
    _, story = call(running, f"/api/v1/messages/{one}")
    assert story["state"] == "cancelled"
    assert story["story"]["events"][-1]["name"] == "cancelled"
    assert call(running, "/api/v1/totals")[1]["whole"]


def test_an_action_on_a_selection_goes_on_from_page_to_page(running):
    asked = {"action": "hold", "selection": {"text": "Invoice"}, "limit": 3}
    _, first = call(running, "/api/v1/queue", asked)
    assert len(first["changed"]) == 3
    asked["selection"]["before"] = first["next"]
    _, second = call(running, "/api/v1/queue", asked)
    assert not set(first["changed"]) & set(second["changed"])


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"action": "burn", "ids": ["01jd0000000000000001"]}, "action"),
        ({"action": "hold"}, "either ids"),
        ({"action": "move", "ids": ["01jd0000000000000001"]}, "vendors"),
        ({"action": "hold", "ids": ["01jd0000000000000001"], "other": 1}, "openapi.json"),
        ({"action": "hold", "selection": {"colour": "red"}}, "there is no parameter colour"),
        ([], "openapi.json"),
    ],
)
def test_an_action_that_cannot_be_understood_is_told_what_was_expected(running, document, told):
    status, answer = call(running, "/api/v1/queue", document)
    assert status == 400
    assert told in answer["error"]


def test_moving_to_a_vendor_that_is_not_there_is_told_which_are(running):
    status, answer = call(
        running, "/api/v1/queue", {"action": "move", "ids": [message(1).message_id], "vendors": ["x"]}
    )
    assert status == 404
    assert "there are: postscale" in answer["error"]


def test_a_credential_is_made_renewed_and_deactivated_and_its_secret_told_once(running):
    status, made = call(running, "/api/v1/credentials", {"vendor": "postscale", "user_name": "printer", "stream": "s"})
    assert (status, made["user_name"]) == (201, "printer")
    status, again = call(running, "/api/v1/credentials/printer/regenerate", {})
    assert (status, again["secret"] != made["secret"]) == (200, True)
    assert call(running, "/api/v1/credentials/printer/deactivate", {}) == (
        200,
        {"user_name": "printer", "active": False},
    )
    status, listed = call(running, "/api/v1/credentials")
    (one,) = (one for one in listed["credentials"] if one["user_name"] == "printer")
    assert (one["active"], one["stream"], one["last_used_at"]) == (False, "s", None)
    assert made["secret"] not in json.dumps(listed)


@pytest.mark.parametrize(
    ("document", "status", "told"),
    [
        ({"vendor": "nobody"}, 409, "there are: postscale"),
        ({"vendor": "postscale", "user_name": "a"}, 409, "3 to 64"),
        ({"vendor": "postscale", "user_name": "postscale"}, 409, "choose another"),
        ({"user_name": "ann"}, 400, "vendor"),
        ({"vendor": "postscale", "password": "mine"}, 400, "password"),
    ],
)
def test_a_credential_that_cannot_be_made_is_told_why(running, document, status, told):
    answered, answer = call(running, "/api/v1/credentials", document)
    assert answered == status
    assert told in answer["error"]


def test_the_feed_is_live_for_who_accepts_server_sent_events(running):
    headers = token(running) | {"Accept": "text/event-stream"}
    request = urllib.request.Request(f"{running.console_url}/api/v1/events", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as stream:
        assert stream.readline() == b"retry: 2000\n"
        one = message(3).message_id
        call(running, "/api/v1/queue", {"action": "hold", "ids": [one]})
        lines = iter(stream.readline, b"")
        data = next(line for line in lines if line.startswith(b"data: "))
    told = json.loads(data.removeprefix(b"data: "))
    assert (told["name"], told["message_id"]) == ("held", one)


def test_the_command_line_finds_steers_and_sums(running):
    listed = command(running, "messages", "--recipient", "late@")
    assert "late@cust.example" in listed.stdout
    shown = command(running, "queue", "show", message(92).message_id)
    assert "POST https://api.example/send: 503" in shown.stdout
    done = command(running, "queue", "cancel", message(4).message_id)
    assert done.stdout == "cancel: 1 of 1 messages\n"
    as_json = json.loads(command(running, "queue", "list", "--json", "--state", "held").stdout)
    assert message(5).message_id in [one["id"] for one in as_json]
    totals = command(running, "queue", "totals")
    assert (totals.returncode, "accepted 10 = relayed 1" in totals.stdout) == (0, True)


def test_a_message_that_waits_no_longer_is_named_by_the_command_line(running):
    relayed, waits = message(90).message_id, message(6).message_id
    done = command(running, "queue", "hold", relayed, waits)
    assert (done.returncode, done.stdout) == (0, "hold: 1 of 2 messages\n")
    assert f"{relayed} was not changed" in done.stderr
    as_json = json.loads(command(running, "queue", "hold", relayed, waits, "--json").stdout)
    assert as_json == {"changed": [waits], "unchanged": [relayed]}


def test_the_command_line_does_nothing_to_all_by_mistake(running):
    done = command(running, "queue", "cancel")
    assert done.returncode != 0
    assert "--all" in done.stderr


def test_the_command_line_says_when_no_gateway_runs(running, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n[console]\nendpoint = "tcp:9:interface=127.0.0.1"\n')
    (tmp_path / "console-steer.token").write_text("t\n")
    program = Path(sys.executable).with_name("mailgateway")
    done = subprocess.run(
        [str(program), "queue", "list", "--config", str(config)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "does the gateway run?" in done.stderr
    assert "Traceback" not in done.stderr


@SCHEMA.include(method="GET").parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_read_is_as_described(running, case):
    case.call_and_validate(base_url=running.console_url, headers=token(running), timeout=20)


@SCHEMA.include(method="POST").parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_changed_is_as_described(running, case):
    case.call_and_validate(base_url=running.console_url, headers=token(running), timeout=20)
