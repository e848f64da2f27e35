"""New settings and certificates in a running gateway: for new sessions only, all or nothing, and under load."""

from __future__ import annotations

import contextlib
import http.client
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import free_ports
from tests.running import add_credential, letter
from tests.service.load import running_load
from tests.smtp.certificates import Authority
from tests.smtp.own_gateway import logged, own_gateway
from tests.smtp.wire import WireClient

TLS = '[tls]\ncertificate = "{folder}/served.pem"\nprivate_key = "{folder}/served.key"\n'

WAITS = """
[vendors.away]
api = "postscale"
url = "http://127.0.0.1:1"
key = { file = "%s/vendor.key" }
[[routes]]
from_domain = "shop.example"
vendors = ["away"]
mode = "queued"
"""
"""Settings by which mail from shop.example waits; the folder of the vendor's key is to be filled in."""


@pytest.fixture
def authority(tmp_path):
    """Signs the certificate that is served; localhost is in all of them, "first" in this one."""
    one = Authority(tmp_path, "authority")
    one.sign_for_server("served", "localhost", "first.example")
    return one


@pytest.fixture
def running(tmp_path, authority):
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, TLS.format(folder=tmp_path)) as gateway:
        yield gateway


def change(gateway, old, new):
    """Edit the settings file."""
    file = gateway.log_file.with_name("gateway.toml")
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def reload(gateway):
    """`mailgateway reload`: its exit status and what it says."""
    program = Path(sys.executable).with_name("mailgateway")
    config = gateway.log_file.with_name("gateway.toml")
    done = subprocess.run([program, "reload", "--config", config], check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def hello(gateway, name="main"):
    """The first line of the reply to EHLO in a new session."""
    with WireClient(gateway.ports[name]) as client:
        client.read_reply()
        return client.ask(b"EHLO client.test\r\n")[0].splitlines()[0]


def retry_all(gateway):
    """`mailgateway queue retry --all`, done."""
    program = Path(sys.executable).with_name("mailgateway")
    config = gateway.log_file.with_name("gateway.toml")
    command = [program, "queue", "retry", "--all", "--config", config]
    return subprocess.run(command, check=True, capture_output=True, text=True)


def send_one(gateway):
    """A message through the gateway, which takes it."""
    with smtplib.SMTP(gateway.host, gateway.ports["main"], timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(gateway.ca_file)))
        client.login("shop", add_credential(gateway, "shop", vendor="postscale"))
        client.sendmail("shop@shop.example", ["ann@cust.example"], letter("ann@cust.example"))


def served_names(gateway, authority, listener="main"):
    """The DNS names of the certificate that a new session gets, which the authority has signed."""
    context = ssl.create_default_context(cafile=str(authority.path))
    with WireClient(gateway.ports[listener]) as client:
        client.read_reply()
        client.ask(b"EHLO client.test\r\n")
        client.ask(b"STARTTLS\r\n")
        client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
        return {name for _, name in client.socket.getpeercert()["subjectAltName"]}


def test_a_reload_changes_new_sessions_and_leaves_running_ones_as_they_are(running):
    with WireClient(running.ports["main"]) as before:
        before.read_reply()
        change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
        assert reload(running) == (0, "reloaded: new sessions get the new settings and certificates\n")
        assert hello(running) == "250-renamed.test"
        assert before.ask(b"EHLO client.test\r\n")[0].startswith("250-gateway.test")


def test_a_hangup_signal_reloads_too(running):
    change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
    running.process.send_signal(signal.SIGHUP)
    assert logged(running, "reloaded", "listeners=1")
    assert hello(running) == "250-renamed.test"


def test_listeners_are_added_and_removed_and_what_stays_refuses_nobody(running):
    (added,) = free_ports(1)
    old = f'endpoint = "tcp:{running.ports["main"]}:interface=127.0.0.1"'
    more = f'endpoint = "tcp:{added}:interface=127.0.0.1"'
    change(running, old, f"{old}\n[[listeners]]\n{more}")
    assert reload(running)[0] == 0
    running.ports["added"] = added
    assert hello(running, "added") == hello(running) == "250-gateway.test"
    change(running, f"{old}\n[[listeners]]\n{more}", more)
    assert reload(running)[0] == 0
    assert hello(running, "added") == "250-gateway.test"
    with pytest.raises(ConnectionRefusedError):
        hello(running)
    assert running.is_ready()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('hostname = "gateway.test"', 'hostname = "no host"', "hostname: expected a domain name"),
        ('hostname = "gateway.test"', "hostname = ", "no TOML"),
        ("served.pem", "nosuch.pem", "tls.certificate: "),
        ("[sandbox]\nenabled = true", "[sandbox]\nenabled = false", "sandbox.enabled: cannot be changed while"),
        ("interface=127.0.0.1", "interface=127.0.0.2", "console.endpoint: cannot be changed while"),
        ("[sandbox]", '[store]\nurl = "sqlite:/elsewhere"\n[sandbox]', "store.url: cannot be changed while"),
    ],
)
def test_settings_that_cannot_be_used_change_nothing_and_are_named(running, old, new, problem):
    change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
    assert reload(running)[0] == 0
    change(running, 'hostname = "renamed.test"', 'hostname = "gateway.test"')
    change(running, old, new)
    code, told = reload(running)
    assert code == 1
    assert "nothing was changed" in told
    assert problem in told
    running.process.send_signal(signal.SIGHUP)
    assert logged(running, "reload-refused", problem.split(":")[0])
    assert hello(running) == "250-renamed.test"


def test_a_port_that_cannot_be_had_keeps_all_others_as_they_were(running):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (free,) = free_ports(1)
        old = f'endpoint = "tcp:{running.ports["main"]}:interface=127.0.0.1"'
        ports = (free, taken.getsockname()[1])
        more = "".join(f'\n[[listeners]]\nendpoint = "tcp:{one}:interface=127.0.0.1"' for one in ports)
        change(running, old, old + more)
        code, told = reload(running)
    assert code == 1
    assert f"cannot listen on tcp:{ports[1]}" in told
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free))
    assert hello(running) == "250-gateway.test"


def test_mail_that_waits_does_not_leave_by_settings_that_were_refused(tmp_path):
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, WAITS % tmp_path) as gateway:
        send_one(gateway)
        assert logged(gateway, "waiting", "attempts=1")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            old = f'endpoint = "tcp:{gateway.ports["main"]}:interface=127.0.0.1"'
            more = f'\n[[listeners]]\nendpoint = "tcp:{taken.getsockname()[1]}:interface=127.0.0.1"'
            change(gateway, old, old + more)
            change(gateway, 'vendors = ["away"]', 'vendors = ["postscale"]')
            assert reload(gateway)[0] == 1
        assert retry_all(gateway).stdout == "retry: 1 of 1 messages\n"
        assert logged(gateway, "waiting", "attempts=2")
        change(gateway, more, "")
        assert reload(gateway)[0] == 0
        retry_all(gateway)
        assert logged(gateway, "ended", "state=relayed")


def asked(gateway, path, token=""):
    """The console's status and answer."""
    connection = http.client.HTTPConnection("127.0.0.1", int(gateway.console_url.rpartition(":")[2]), timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_console_that_was_open_for_tests_asks_for_a_login_once_real_mail_can_leave(running, tmp_path):
    assert asked(running, "/messages")[0] == 200
    change(running, "[sandbox]", '[vendors.real]\napi = "postscale"\n[sandbox]')
    assert reload(running)[0] == 0
    assert (asked(running, "/messages")[0], asked(running, "/api/v1/messages")[0]) == (303, 401)
    token = (tmp_path / "state" / "console-look.token").read_text().strip()
    status, page = asked(running, "/vendors", token)
    assert (status, "api.postscale.io" in page) == (200, True)


def test_another_state_folder_is_refused(running, tmp_path):
    change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
    change(running, f'state_dir = "{tmp_path}/state"', f'state_dir = "{tmp_path}/other"')
    running.process.send_signal(signal.SIGHUP)
    assert logged(running, "reload-refused", "state_dir: cannot be changed")
    assert hello(running) == "250-gateway.test"
    assert "no gateway answers in" in reload(running)[1]


def test_reloads_under_load_with_good_and_broken_files_lose_nothing(running, authority):
    context = ssl.create_default_context(cafile=str(authority.path))
    context.check_hostname = False
    names = ["gateway.test", "second.test", "no host", "third.test"]
    with running_load(lambda: running.ports["main"], context, "reload") as load:
        for number, name in enumerate(names[1:]):
            load.wait_for_more(15)
            change(running, f'hostname = "{names[number]}"', f'hostname = "{name}"')
            assert reload(running)[0] == (1 if name == "no host" else 0)
        load.wait_for_more(15)
    assert (load.refused, load.repeated, load.faults) == ([], [], [])
    arrived = {one["request"]["json"]["subject"] for one in running.messages()}
    assert set(load.taken) - arrived == set()
    assert hello(running) == "250-third.test"


def test_a_certificate_that_changes_under_load_is_taken_without_a_reload(running, authority):
    context = ssl.create_default_context(cafile=str(authority.path))
    context.check_hostname = False
    assert "first.example" in served_names(running, authority)
    with running_load(lambda: running.ports["main"], context, "certificate") as load:
        load.wait_for_more(10)
        authority.sign_for_server("served", "localhost", "second.example")
        assert logged(running, "certificate-taken", "served.pem")
        assert "second.example" in served_names(running, authority)
        load.wait_for_more(10)
    assert (load.refused, load.repeated, load.faults) == ([], [], [])


def test_half_a_certificate_is_not_taken_and_raises_an_alarm_until_it_is_whole(running, authority, tmp_path):
    whole = authority.sign_for_server("next", "localhost", "second.example")
    served = tmp_path / "served.pem"
    served.write_bytes(whole.certificate.read_bytes()[:300])
    assert logged(running, "alarm", "served.pem", "stays in use")
    assert "first.example" in served_names(running, authority)
    code, told = reload(running)
    assert code == 1
    assert "served.pem" in told
    (tmp_path / "served.key").write_bytes(whole.private_key.read_bytes())
    served.write_bytes(whole.certificate.read_bytes())
    assert logged(running, "certificate-taken", "served.pem")
    assert "second.example" in served_names(running, authority)


def test_a_key_without_its_certificate_is_not_taken(running, authority, tmp_path):
    whole = authority.sign_for_server("next", "localhost", "second.example")
    (tmp_path / "served.key").write_bytes(whole.private_key.read_bytes())
    assert logged(running, "alarm", "served.key", "that fits", "stays in use")
    assert "first.example" in served_names(running, authority)


def test_who_may_not_enter_the_state_folder_cannot_ask(running, tmp_path):
    control = tmp_path / "state" / "control.sock"
    assert control.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(control))
        asking.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert asking.recv(100) == b""


def test_a_reload_after_the_end_says_that_nobody_answers(running):
    running.stop()
    code, told = reload(running)
    assert code == 1
    assert "no gateway answers in" in told
