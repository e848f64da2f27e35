"""What a reload changes of webhooks and of retention: in one process and in workers, all or nothing."""

from __future__ import annotations

import base64
import json
import smtplib
import ssl
import time
import urllib.error
import urllib.request

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from tests.http.peers import Server
from tests.running import letter
from tests.service.test_reload import change, reload
from tests.smtp.own_gateway import own_gateway

WAIT_SECONDS = 20.0
KEY = "ps_test_reload"


class Receiver:
    """A webhook's receiver: what it has heard, verified with its own secret."""

    def __init__(self, folder, name):
        self.name = name
        self.secret = folder / f"{name}.secret"
        self.heard: list[dict] = []
        self.bad: list[str] = []
        self.key = "whsec_" + base64.b64encode(name.encode() * 24)[:32].decode()
        self.secret.write_text(self.key)
        self._server = Server(self._listen)

    def _listen(self, visit):
        fields = (one.split(": ", 1) for one in visit.read_head().splitlines()[1:])
        head = {name.lower(): value for name, value in fields}
        body = visit._file.read(int(head["content-length"]))
        try:
            self.heard.append(Verifier(self.key).verify(body, head))
        except Exception as error:
            self.bad.append(repr(error))
        visit.answer()

    def table(self, *more):
        lines = [f'url = "{self._server.url}/hook"', f'secret = {{ file = "{self.secret}" }}', f'name = "{self.name}"']
        return "\n".join(["[[webhooks]]", *lines, *more]) + "\n"

    def wait_for(self, *kinds):
        until = time.monotonic() + WAIT_SECONDS
        while sorted(one["type"].rpartition(".")[2] for one in self.heard) != sorted(kinds):
            assert time.monotonic() < until, (kinds, self.heard, self.bad)
            time.sleep(0.02)
        self.heard.clear()

    def close(self):
        self._server.close()


@pytest.fixture
def receivers(tmp_path):
    made = [Receiver(tmp_path, "first"), Receiver(tmp_path, "second")]
    yield made
    assert [one.bad for one in made] == [[], []]
    for one in made:
        one.close()


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def workers(request):
    return request.param


def send(gateway):
    """A message in a session of its own; its id."""
    with smtplib.SMTP(gateway.host, gateway.ports["main"], timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(gateway.ca_file)))
        client.login("postscale", KEY)
        client.mail("shop@shop.example")
        client.rcpt("ann@cust.example")
        code, told = client.data(letter("ann@cust.example"))
    assert code == 250
    return told.decode().split()[1]


def test_webhooks_come_change_and_go_with_a_reload(tmp_path, receivers, workers):
    first, second = receivers
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, "#here\n", workers) as gateway:
        change(gateway, "#here\n", first.table())
        assert reload(gateway)[0] == 0
        send(gateway)
        first.wait_for("received", "relayed")
        change(gateway, first.table(), first.table('events = ["relayed"]') + second.table('events = ["received"]'))
        assert reload(gateway)[0] == 0
        send(gateway)
        first.wait_for("relayed")
        second.wait_for("received")
        change(gateway, first.table('events = ["relayed"]'), "")
        assert reload(gateway)[0] == 0
        send(gateway)
        second.wait_for("received")
        assert first.heard == []


def test_a_secret_that_has_changed_in_its_file_signs_from_the_reload_on(tmp_path, receivers, workers):
    first, second = receivers
    rest = first.table('events = ["relayed"]')
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, rest, workers) as gateway:
        send(gateway)
        first.wait_for("relayed")
        first.secret.write_text(second.key)
        first.key = second.key
        assert reload(gateway)[0] == 0
        send(gateway)
        first.wait_for("relayed")


def test_webhooks_that_cannot_be_used_change_nothing(tmp_path, receivers, workers):
    first, second = receivers
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, first.table('events = ["relayed"]'), workers) as gateway:
        second.secret.write_text("none")
        change(gateway, first.table('events = ["relayed"]'), second.table())
        change(gateway, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
        code, told = reload(gateway)
        assert code == 1
        assert "webhooks[0].secret: expected" in told
        send(gateway)
        first.wait_for("relayed")
        assert second.heard == []


def is_kept(gateway, message_id):
    try:
        with urllib.request.urlopen(f"{gateway.console_url}/api/v1/messages/{message_id}", timeout=10) as answer:
            return json.load(answer)["id"] == message_id
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return False


def wait(condition):
    until = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_retention_changes_with_a_reload(tmp_path, workers):
    rest = "[store]\nlog_days = 30.0\n"
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, rest, workers) as gateway:
        message_id = send(gateway)
        wait(lambda: is_kept(gateway, message_id))
        change(gateway, "log_days = 30.0", "log_days = 0.000001\ncontent_days = 0.000001")
        assert reload(gateway)[0] == 0
        wait(lambda: not is_kept(gateway, message_id))


def test_what_cannot_change_is_refused_by_its_name_alone(tmp_path, workers):
    rest = "[store]\nlog_days = 30.0\n"
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, rest, workers) as gateway:
        change(gateway, "log_days = 30.0", f'log_days = 9.0\nurl = "sqlite:{tmp_path}/other"')
        code, told = reload(gateway)
        assert code == 1
        (line,) = [one for one in told.splitlines() if "cannot be changed" in one]
        assert line == "store.url: cannot be changed while the gateway runs; restart to use it"
