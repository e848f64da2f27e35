"""The log of a running gateway: JSON lines, the file and its reopening, and that no line is lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure

import tests.conftest as fixtures
from gateway import events
from gateway.event_log import EventLog
from gateway.log_lines import LogLines
from gateway.log_settings import LogSettings
from gateway.log_stream import LogStream
from gateway.twistd_log import own_log
from tests.conftest import start_gateway
from tests.running import connected, log_in
from tests.test_event_log import LOGGED, hostile, made

SECONDS = 30


@pytest.fixture
def in_file(tmp_path):
    """Lines in this format, and how to read what was written so far."""

    def make(line_format):
        path = tmp_path / f"{line_format}.log"
        return LogLines(LogStream(path), line_format, lambda: 1_700_000_000.25), path.read_bytes

    return make


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Starts a gateway with these settings of [log]; gives it once it is ready."""
    running = []

    def start(log_settings, folder=tmp_path):
        monkeypatch.setattr(fixtures, "SETTINGS", f"{fixtures.SETTINGS}\n[log]\n{log_settings}\n")
        running.append(start_gateway(folder))
        running[-1].wait_until_ready()
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.stop()


@pytest.mark.parametrize("kind", LOGGED, ids=lambda kind: kind.__name__)
@given(text=hostile)
def test_whatever_is_in_an_event_it_is_one_json_line(kind, text, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log"
    EventLog(LogLines(LogStream(path), "json", lambda: 0.0))(made(kind, text))
    (line,) = path.read_text("utf-8").splitlines()  # which takes U+2028 and others for a line end too
    told = json.loads(line)
    assert line.isprintable()
    assert set(told) >= {"time", "level", "event"}
    shown = text.encode("utf-8", "replace").decode()
    hints = typing.get_type_hints(kind).values()
    assert not text or shown in told.values() or str not in hints
    assert not text or [shown, shown] in told.values() or tuple[str, ...] not in hints


def test_a_json_line_tells_the_event_and_its_fields(in_file):
    lines, written = in_file("json")
    EventLog(lines)(events.Attempted("s", "m", "a", "v", "unknown", "", 1, 0, 0.5, "", "why", None, ("one", "two")))
    EventLog(lines)(events.Failed("s", "Traceback\n  {x}"))
    EventLog(lines)(events.Alarm("the key"))
    attempted, failed, alarm = map(json.loads, written().splitlines())
    assert attempted == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "info",
        "event": "attempted",
        "session_id": "s",
        "message_id": "m",
        "account": "a",
        "vendor": "v",
        "outcome": "unknown",
        "recipients": 1,
        "size_octets": 0,
        "seconds": 0.5,
        "reason": "why",
        "report": ["one", "two"],
    }
    assert (failed["level"], failed["event"], failed["trace"]) == ("error", "failed", "Traceback\n  {x}")
    assert (alarm["level"], alarm["event"], alarm["text"]) == ("critical", "alarm", "the key")


@given(text=st.text())
def test_what_twisted_logs_is_one_json_line_too(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log"
    log = Logger("x.y", observer=LogPublisher(LogLines(LogStream(path), "json", lambda: 0.0)))
    log.warn("{told}", told=f"a{text}")
    try:
        raise LookupError(text)
    except LookupError:
        log.failure("while {told}", told=text, failure=Failure())
    warned, failed = map(json.loads, path.read_text("utf-8").splitlines())
    assert (warned["level"], warned["event"], warned["source"], warned["text"]) == ("warn", "log", "x.y", f"a{text}")
    assert failed["level"] == "critical"
    assert "LookupError" in failed["trace"]


def test_a_text_line_looks_the_same_as_through_twisted(in_file, tmp_path):
    lines, written = in_file("text")
    event = events.SessionCut("s", "127.0.0.1", '421 "x"\n')
    EventLog(lines)(event)
    ours = written().decode()
    Logger("mailgateway", observer=lines).info("{line}", line="session-cut x")
    theirs = written().decode().removeprefix(ours)
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[mailgateway#info\] session-cut "
    assert re.match(stamp, ours)
    assert re.match(stamp, theirs)
    assert ours.endswith('session-cut session_id=s peer=127.0.0.1 reply="421 \\"x\\"?"\n')


@pytest.mark.parametrize("line_format", ["text", "json"])
def test_the_journal_is_told_the_priority_of_what_is_no_mere_news(line_format, capfd, monkeypatch):
    output = os.fstat(1)
    monkeypatch.setenv("JOURNAL_STREAM", f"{output.st_dev}:{output.st_ino}")
    lines = LogLines(LogStream(None), line_format, lambda: 0.0)
    lines.text("an event")
    Logger("x", observer=lines).warn("be warned")
    Logger("x", observer=lines).error("first\nsecond")
    news, warned, *failed = capfd.readouterr().out.splitlines()
    assert not news.startswith("<")
    assert warned.startswith("<4>")
    assert [one[:3] for one in failed] == ["<3>"] * len(failed)
    assert len(failed) == {"text": 2, "json": 1}[line_format]


def test_elsewhere_no_priority_is_in_the_lines(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")  # of another process, which has started this one
    for path in (None, tmp_path / "log"):
        Logger("x", observer=LogLines(LogStream(path), "text", lambda: 0.0)).error("a fault")
    assert not capfd.readouterr().out.startswith("<")
    assert not (tmp_path / "log").read_text("utf-8").startswith("<")


def test_a_full_disk_does_not_reach_who_logs():
    LogStream(Path("/dev/full")).write("a line\n")


def test_a_file_that_cannot_be_opened_anew_leaves_the_old_one(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    stream = LogStream(folder / "log")
    folder.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        stream.reopen()
    stream.write("still here\n")
    assert (tmp_path / "moved" / "log").read_text() == "still here\n"


def test_others_cannot_read_the_file(tmp_path):
    LogStream(tmp_path / "log")
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("option", ["logfile", "logger", "syslog", "no -n"])
def test_where_twistd_was_told_how_to_log_it_does(option):
    told = {"nodaemon": option != "no -n", option: "x"}
    assert own_log(told, LogSettings(), time.time) is None
    with pytest.raises(Exception, match=r"\[log\] is for twistd -n"):
        own_log(told, LogSettings("json"), time.time)


def test_every_line_of_a_gateway_is_json_from_its_start_to_its_end(started):
    gateway = started('format = "json"')
    with connected(gateway) as client:
        assert log_in(client, "postscale", "ps_test_hello")[0] == 235
    gateway.stop()
    told = [json.loads(line) for line in gateway.log().splitlines()]
    assert {one["event"] for one in told} >= {"listening", "logged-in", "log"}
    assert "starting up" in told[0]["text"]
    assert "Server Shut Down" in told[-1]["text"]


def test_no_login_that_was_answered_is_missing_from_the_log_after_a_kill(started):
    gateway = started('format = "text"')
    for _ in range(20):
        with connected(gateway) as client:
            log_in(client, "postscale", "ps_test_hello")
    gateway.process.kill()
    gateway.process.wait(SECONDS)
    assert gateway.log().count("] logged-in ") == 20


def test_lines_are_complete_and_in_order_when_the_gateway_is_stopped_at_work(started):
    gateway = started('format = "json"')
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(gateway)) for _ in range(5)]
        for client in clients:
            log_in(client, "postscale", "ps_test_hello")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(SECONDS) == 0
        for client in clients:
            client.close()
    told = [json.loads(line) for line in gateway.log().splitlines()]
    assert [one["event"] for one in told].count("logged-in") == 5
    assert [one["event"] for one in told].count("session-cut") == 5
    assert [one["time"] for one in told] == sorted(one["time"] for one in told)


def test_the_file_is_opened_anew_at_sighup(started, tmp_path):
    log, old = tmp_path / "gateway.log", tmp_path / "gateway.log.1"
    gateway = started(f'file = "{log}"')
    assert "] listening " in log.read_text()
    log.rename(old)
    gateway.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + SECONDS
    while not (log.exists() and "] reloaded " in log.read_text()):
        assert time.monotonic() < until
        assert gateway.process.poll() is None
    assert "] reloaded " not in old.read_text()


def twistd(settings, *options):
    """A start that fails: what has become of it."""
    program = Path(sys.executable).with_name("twistd")
    return subprocess.run(
        [str(program), "-n", "--pidfile=", *options, "mailgateway", "--config", str(settings)],
        check=False, capture_output=True, text=True, timeout=SECONDS, cwd=Path(__file__).parent.parent,
    )  # fmt: skip


@pytest.mark.parametrize("elsewhere", ["file", "json file", "twistd's file", "nowhere else"])
def test_a_failing_start_is_told_on_the_terminal_wherever_the_log_is(tmp_path, elsewhere):
    log, settings = tmp_path / "gateway.log", tmp_path / "gateway.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = f'[[listeners]]\nendpoint = "tcp:{port}:interface=127.0.0.1"\ntls = "none"\ndialect = "postscale"\n'
        console = '[console]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
        lines = {"file": f'[log]\nfile = "{log}"\n', "json file": f'[log]\nformat = "json"\nfile = "{log}"\n'}
        settings.write_text(f'state_dir = "{tmp_path}/state"\n{listener}{console}{lines.get(elsewhere, "")}')
        done = twistd(settings, *([f"--logfile={log}"] if elsewhere == "twistd's file" else []))
    assert done.returncode == 1
    terminal = done.stdout + done.stderr
    assert terminal.count("Address already in use") == 1
    assert f"tcp:{port}:interface=127.0.0.1" in terminal
    assert f'"mailgateway check {settings}"' in terminal
    if elsewhere != "nowhere else":
        assert done.stderr.startswith("mailgateway: cannot listen on")
        assert "Address already in use" in log.read_text()
    assert (f"the log is in {log}" in terminal) == elsewhere.endswith("file") - (elsewhere == "twistd's file")


def test_a_failing_start_in_the_background_lets_go_of_the_terminal(tmp_path):
    log, settings = tmp_path / "gateway.log", tmp_path / "gateway.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        console = f'[console]\nendpoint = "tcp:{taken.getsockname()[1]}:interface=127.0.0.1"\n'
        settings.write_text(f'state_dir = "{tmp_path}/state"\n{console}')
        program = Path(sys.executable).with_name("twistd")
        words = (f"--pidfile={tmp_path}/pid", f"--logfile={log}", "mailgateway", "--config", str(settings))
        done = subprocess.run([str(program), *words], check=False, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    assert "cannot listen on" in done.stderr
    assert "Address already in use" in log.read_text()
    assert not (tmp_path / "pid").exists()


def test_a_fault_at_the_start_is_told_on_the_terminal_by_its_kind_and_in_the_log_with_its_trace(tmp_path):
    log, settings = tmp_path / "gateway.log", tmp_path / "gateway.toml"
    state = tmp_path / "state"
    state.mkdir()
    token = state / "console-look.token"
    token.write_bytes(b"\xff")  # what no gateway has written
    token.chmod(0o600)
    console = '[console]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
    settings.write_text(f'state_dir = "{state}"\n{console}[log]\nfile = "{log}"\n')
    done = twistd(settings)
    assert done.returncode == 1
    assert "a fault of the gateway, which its log tells more of: UnicodeDecodeError" in done.stderr
    assert f"the log is in {log}" in done.stderr
    assert "Traceback" in log.read_text()
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_opened_stops_the_start_with_its_name(tmp_path):
    settings = tmp_path / "gateway.toml"
    settings.write_text(f'[log]\nfile = "{tmp_path}/none/gateway.log"\n')
    done = twistd(settings)
    assert done.returncode == 1
    assert "log.file" in done.stdout + done.stderr
    assert "No such file" in done.stdout + done.stderr


def test_check_tells_of_a_log_file_without_a_folder(tmp_path):
    settings = tmp_path / "gateway.toml"
    settings.write_text(f'state_dir = "{tmp_path}"\n[log]\nfile = "{tmp_path}/none/gateway.log"\n')
    program = Path(sys.executable).with_name("mailgateway")
    done = subprocess.run([str(program), "check", str(settings)], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"log.file: {tmp_path}/none is no folder" in done.stderr
