""" "mailgateway send-test" follows its message to the outcome, where a console knows it."""

from __future__ import annotations

import contextlib
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.follow import message_id_of

PROGRAM = Path(sys.executable).with_name("mailgateway")
RECIPIENT = {"path": "ann@cust.example", "state": "relayed", "vendor": "postscale", "vendor_message_id": "msg_1"}


@contextlib.contextmanager
def console(*states, token=""):
    """A control API that tells one state after the other, the last one for ever; with what it was asked."""
    asked = []

    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            known = self.headers.get("Authorization", "") == (f"Bearer {token}" if token else "")
            body = json.dumps(states[min(len(asked), len(states)) - 1]).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def send(gateway, *options):
    command = [PROGRAM, "send-test", "--port", str(gateway.ports["starttls"]), "--certificate", gateway.ca_file]
    return subprocess.run([*command, *options], check=False, capture_output=True, text=True, timeout=60)


def test_a_queued_message_is_followed_until_it_is_relayed(gateway):
    with console({"state": "queued", "recipients": []}, {"state": "relayed", "recipients": [RECIPIENT]}) as (
        url,
        asked,
    ):
        done = send(gateway, "--console", url)
    assert done.returncode == 0, done.stderr
    reply, *lines = done.stdout.splitlines()
    assert lines == ["queued", "relayed; ann@cust.example: relayed by postscale msg_1"]
    assert asked == [f"/api/v1/messages/{message_id_of(reply)}"] * 2


def test_the_gateways_own_console_tells_of_a_message_that_it_logs_after_the_reply(gateway):
    done = send(gateway, "--console", gateway.console_url)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()[1:]
    assert line.startswith("relayed; ann@cust.example: relayed by postscale ")


def test_a_console_that_never_knows_it_is_told_of(gateway):
    done = send(gateway, "--console", f"{gateway.console_url}/nowhere", "--wait", "0.1")
    assert (done.returncode, "the console answered 404" in done.stderr) == (1, True)


def test_it_is_followed_no_longer_than_asked_for(gateway):
    with console({"state": "held", "recipients": []}) as (url, _):
        done = send(gateway, "--console", url, "--wait", "0.1")
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["held"])


def test_a_console_with_a_login_wants_a_token(gateway):
    with console({"state": "relayed", "recipients": []}, token="let-me-in") as (url, _):
        assert send(gateway, "--console", url, "--token", "let-me-in").returncode == 0
        refused = send(gateway, "--console", url)
    assert (refused.returncode, "the console answered 401" in refused.stderr) == (1, True)


def test_a_token_goes_nowhere_where_others_could_read_it(gateway):
    done = send(gateway, "--console", "http://console.example", "--token", "let-me-in")
    assert (done.returncode, 'expected "https://..."' in done.stderr) == (1, True)


def test_without_a_console_that_knows_it_the_reply_has_to_do(gateway):
    done = send(gateway)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("250 ")


@pytest.mark.parametrize(
    ("reply", "message_id"),
    [
        ("250 OK 01m7znsakrtg6pgpn3qp msg_1", "01m7znsakrtg6pgpn3qp"),
        ("250 2.0.0 OK 01m7znsakrtg6pgpn3qp", "01m7znsakrtg6pgpn3qp"),
        ("250 OK", None),
        ("250 Queued as ../../x", None),
        ("250 OK ../x", None),
    ],
)
def test_the_id_is_the_one_of_the_reply(reply, message_id):
    assert message_id_of(reply) == message_id
