"""The console behind TLS: its certificate is taken anew when its file changes, as those of listeners are."""

from __future__ import annotations

import http.client
import re
import ssl
import time

import pytest

from tests.service.test_reload import change, reload
from tests.smtp import own_gateway as fixtures
from tests.smtp.certificates import Authority
from tests.smtp.own_gateway import logged, own_gateway

CONSOLE = 'tls = true\ncertificate = "{folder}/console.pem"\nprivate_key = "{folder}/console.key"\n'


@pytest.fixture
def authority(tmp_path):
    one = Authority(tmp_path, "authority")
    one.sign_for_server("console", "localhost", "first.example")
    return one


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def running(request, tmp_path, authority, monkeypatch):
    monkeypatch.setattr(fixtures, "SETTINGS", fixtures.SETTINGS.replace("\n[sandbox]", f"{CONSOLE}\n[sandbox]"))
    listeners = {"main": 'tls = "starttls"'}
    with own_gateway(tmp_path, listeners, workers=request.param, until_ready=False) as gateway:
        until = time.monotonic() + 30
        while not is_ready(gateway, authority):
            assert time.monotonic() < until, gateway.log()
            time.sleep(0.05)
        yield gateway


def connected(gateway, authority):
    context = ssl.create_default_context(cafile=str(authority.path))
    client = http.client.HTTPSConnection("localhost", int(gateway.console_url.rpartition(":")[2]), context=context)
    client.connect()
    return client


def is_ready(gateway, authority):
    try:
        return asked(connected(gateway, authority), "/readyz") == 200
    except OSError:
        return False


def asked(client, path):
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    return answer.status


def served_names(gateway, authority):
    client = connected(gateway, authority)
    names = {name for _, name in client.sock.getpeercert()["subjectAltName"]}
    client.close()
    return names


def test_a_renewed_certificate_is_taken_and_connections_that_there_are_go_on(running, authority):
    assert "first.example" in served_names(running, authority)
    before = connected(running, authority)
    authority.sign_for_server("console", "localhost", "second.example")
    assert logged(running, "certificate-taken", "console.pem")
    assert "second.example" in served_names(running, authority)
    assert asked(before, "/livez") == 200
    client = connected(running, authority)
    client.request("GET", "/metrics")
    page = client.getresponse().read().decode()
    assert re.search(r'mailgateway_certificate_expiry_timestamp_seconds\{certificate="[^"]*console.pem"\}', page)


def test_half_a_certificate_is_not_taken_and_raises_an_alarm(running, authority, tmp_path):
    served = tmp_path / "console.pem"
    served.write_bytes(served.read_bytes()[:300])
    assert logged(running, "alarm", "console.pem", "stays in use")
    assert "first.example" in served_names(running, authority)
    authority.sign_for_server("console", "localhost", "second.example")
    assert logged(running, "certificate-taken", "console.pem")
    assert "second.example" in served_names(running, authority)


def test_it_is_looked_at_after_a_reload_too(running, authority):
    change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
    assert reload(running)[0] == 0
    authority.sign_for_server("console", "localhost", "second.example")
    assert logged(running, "certificate-taken", "console.pem")
    assert "second.example" in served_names(running, authority)
    assert running.log().count("certificate-taken") == 1
