"""The gateway under a supervisor that does what systemd does: readiness, watchdog, ports that outlive the process."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest

from gateway.parts import first_message_command
from gateway.settings import embedded
from tests.service.load import running_load
from tests.service.supervised import SETTINGS, supervised

ACTIVATED = """
[[listeners]]
endpoint = "systemd:domain=INET:name=submission"
tls = "starttls"

[[listeners]]
endpoint = "systemd:domain=INET:index=1"
tls = "implicit"

[console]
endpoint = "systemd:domain=INET:name=console"
"""
NAMES = ["submission", "submissions", "console"]


def settings_for(folder, gateway, workers=1):
    """All ports from the supervisor; the vendor is the common gateway's sandbox."""
    url = f"{gateway.console_url}/sandbox/postscale/v1"
    return SETTINGS.format(folder=folder, workers=workers, url=url) + ACTIVATED


@pytest.fixture
def service(tmp_path, gateway):
    """A gateway on three ports of its supervisor, not started yet; its vendor is the common gateway's sandbox."""
    with supervised(tmp_path, NAMES, settings_for(tmp_path, gateway)) as one:
        yield one


def trust(service):
    return ssl.create_default_context(cafile=service.folder / "state" / "tls" / "certificate.pem")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_restart_under_load_refuses_no_connection_and_loses_no_message(tmp_path, gateway, workers):
    gateway.clear()
    with supervised(tmp_path, NAMES, settings_for(tmp_path, gateway, workers)) as service:
        service.started()
        with running_load(lambda: service.port("submission"), trust(service), f"restart-{workers}") as load:
            for _ in range(3):
                load.wait_for_more(20)
                assert service.stop() == 0
                service.started()
            load.wait_for_more(20)
        assert (load.refused, load.faults) == ([], [])
        arrived = {one["request"]["json"]["subject"] for one in gateway.messages()}
        assert set(load.taken) - arrived == set()
        assert service.stop() == 0


def test_ready_is_told_once_all_ports_answer_and_the_stop_when_it_begins(service):
    service.start()
    assert "STATUS=2 listeners" in service.wait_for("READY=1")
    assert service.stop() == 0
    service.wait_for("STOPPING=1")


def test_a_reload_is_told_with_the_time_that_it_began(service):
    service.started()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    os.kill(service.process.pid, signal.SIGHUP)
    told = dict(line.split("=", 1) for line in service.wait_for("RELOADING=1").splitlines())
    assert before <= int(told["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    service.wait_for("READY=1")


def test_signs_of_life_come_twice_as_often_as_asked_for_until_the_reactor_is_stuck(service):
    service.started({"WATCHDOG_USEC": "400000"})
    began = time.monotonic()
    for _ in range(5):
        service.wait_for("WATCHDOG=1")
    assert 0.6 < time.monotonic() - began < 5
    os.kill(service.process.pid, signal.SIGSTOP)
    service.told_since()
    service._notify.settimeout(0.6)
    with pytest.raises(TimeoutError):
        service.wait_for("WATCHDOG=1")
    os.kill(service.process.pid, signal.SIGCONT)


def test_a_watchdog_for_another_process_is_none_of_ours(service):
    service.started({"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    assert service.stop() == 0
    service.wait_for("STOPPING=1")
    assert not any("WATCHDOG" in one for one in service.seen)


def test_an_abstract_notify_socket_will_do(tmp_path, gateway):
    settings = settings_for(tmp_path, gateway)
    with supervised(tmp_path, NAMES, settings, abstract=True) as service:
        service.started()
        assert service.stop() == 0


def test_a_notify_socket_that_nobody_reads_stops_nothing(service):
    service.start({"NOTIFY_SOCKET": str(service.folder / "nobody.sock")})
    with running_load(lambda: service.port("submission"), ssl._create_unverified_context(), "unread", 1) as load:
        load.wait_for_more(1)
    assert service.stop() == 0


def test_a_console_port_that_others_could_reach_stops_the_start(tmp_path, gateway):
    settings = settings_for(tmp_path, gateway)
    with supervised(tmp_path, NAMES, settings) as service:
        service.sockets["console"].close()
        service.sockets["console"] = socket.create_server(("0.0.0.0", 0))
        service.start()
        assert service.process.wait(30) != 0
        assert "console.endpoint: expected a loopback address" in service.log()


def test_a_newcomer_is_told_the_consoles_port_also_where_systemd_holds_it(tmp_path, gateway):
    settings = settings_for(tmp_path, gateway) + "[sandbox]\nenabled = true\n"
    with supervised(tmp_path, NAMES, settings) as service:
        service.started()
        assert service.stop() == 0
        assert f"http://127.0.0.1:{service.port('console')}/\n" in service.log()
        assert "send-test --port PORT" in service.log()


def test_a_newcomer_is_told_a_command_that_works_from_any_folder(monkeypatch):
    monkeypatch.chdir("/")
    assert first_message_command(embedded()).split()[0] == str(Path(sys.executable).with_name("mailgateway"))


def test_a_port_that_systemd_does_not_pass_is_named_with_what_to_do(tmp_path, gateway):
    settings = settings_for(tmp_path, gateway)
    with supervised(tmp_path, NAMES, settings) as service:
        service.sockets.pop("console").close()
        service.start()
        assert service.process.wait(30) != 0
        assert 'no such port as "systemd:domain=INET:name=console": start mailgateway.socket' in service.log()
