"""Several processes that serve the same ports: what one of them counts holds for all, and one that ends is replaced."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import re
import signal
import smtplib
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.control_socket import ask_reload
from gateway.settings import Settings, VendorSettings
from gateway.storage import lane_rules
from tests.conftest import free_ports
from tests.service.load import running_load
from tests.service.test_reload import WAITS, change, hello, reload, retry_all, send_one
from tests.smtp.own_gateway import logged, own_gateway
from tests.smtp.wire import WireClient

KEY = "ps_test_workers"
PATIENCE_SECONDS = 20
LIMITS = """
[limits]
sessions = 9
sessions_per_address = 7
failed_logins_per_address = 3
failed_login_delay_seconds = 0.1
"""


@contextlib.contextmanager
def two_workers(folder, rest=""):
    with own_gateway(folder, {"main": 'tls = "starttls"'}, rest, workers=2) as gateway:
        yield gateway


@pytest.fixture
def running(tmp_path):
    with two_workers(tmp_path) as gateway:
        yield gateway


def workers_of(gateway):
    """The process ids of the workers."""
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    return [int(one) for one in children]


def resident_octets(pid):
    """What a process has of the machine's memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sockets_of(pid):
    """The inodes of the sockets that a process has."""
    found = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.update(re.findall(r"socket:\[(\d+)\]", str(one.readlink())))
    return found


def worker_of(gateway, client):
    """The process id of the worker that serves this client."""
    return worker_of_port(gateway, client.socket.getsockname()[1])


def worker_of_port(gateway, local):
    """The same, by the client's port."""
    near = f":{gateway.ports['main']:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = (one[9] for one in lines if one[1].endswith(near) and one[2].endswith(f":{local:04X}"))
    (pid,) = (pid for pid in workers_of(gateway) if inode in sockets_of(pid))
    return pid


def eventually(good, seconds=PATIENCE_SECONDS):
    """Ask until it is so."""
    end = time.monotonic() + seconds
    while not (found := good()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def greeted(gateway):
    """A session that has been greeted, or turned away."""
    client = WireClient(gateway.ports["main"])
    return client, client.read_reply()


def trust(gateway):
    return ssl.create_default_context(cafile=str(gateway.ca_file))


def logged_in(gateway, password=KEY):
    """An smtplib session under TLS, after a login whose reply is given too."""
    client = smtplib.SMTP(gateway.host, gateway.ports["main"], timeout=PATIENCE_SECONDS)
    client.starttls(context=trust(gateway))
    client.ehlo()
    code, _ = client.docmd("AUTH", "PLAIN " + plain("postscale", password))
    return client, code


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def one_for_each_worker(gateway):
    """Two sessions in different workers, and the process ids of these."""
    clients = {}
    for _ in range(20):
        client, _ = greeted(gateway)
        kept = clients.setdefault(worker_of(gateway, client), client)
        if kept is not client:
            client.socket.close()
        if len(clients) == 2:
            return list(clients.values()), list(clients)
    raise AssertionError("one worker takes them all")


def test_new_sessions_are_shared_out_evenly(running):
    clients = [greeted(running)[0] for _ in range(20)]
    pids = [worker_of(running, one) for one in clients]
    for one in clients:
        one.socket.close()
    assert len(set(pids)) == 2
    assert min(pids.count(one) for one in set(pids)) >= 7


def test_session_limits_hold_for_all_workers_together(tmp_path):
    with two_workers(tmp_path, LIMITS) as gateway:
        clients = [greeted(gateway) for _ in range(7)]
        assert {reply for _, reply in clients} == {"220 gateway.test ESMTP"}
        late, reply = greeted(gateway)
        assert reply.startswith("421")
        late.socket.close()
        clients.pop()[0].socket.close()
        eventually(lambda: greeted(gateway)[1].startswith("220"))


def test_failed_logins_count_in_all_workers_together(tmp_path):
    with two_workers(tmp_path, LIMITS) as gateway:
        kept = [logged_in(gateway, f"ps_bad_{number}") for number in range(3)]
        assert {code for _, code in kept} == {535}
        for _ in range(3):  # whichever worker it comes to
            kept.append(logged_in(gateway))
            assert kept[-1][1] == 421
        for client, _ in kept:
            client.close()


@dataclass
class Vendor:
    """A vendor to whom every key is good: its URL, the questions it was asked, and when it may answer a message."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    has_message: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def asked_vendor():
    vendor = Vendor()

    class Api(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            vendor.asked.append(self.path)
            self.answer(200, b"{}")

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            vendor.has_message.set()
            vendor.may_answer.wait(PATIENCE_SECONDS)
            self.answer(202, b'{"message_id":"msg_1","status":"queued"}')

        def answer(self, status, body):
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            vendor.url = f"http://127.0.0.1:{server.server_port}/v1"
            yield vendor
        finally:
            vendor.may_answer.set()
            server.shutdown()
            thread.join()


def test_a_key_that_one_worker_has_asked_about_is_known_to_the_other(tmp_path):
    with asked_vendor() as vendor:
        rest = f'\n[vendors.other]\napi = "postscale"\nurl = "{vendor.url}"\n[[routes]]\nvendors = ["other"]\n'
        with two_workers(tmp_path, rest) as gateway:
            sessions = [logged_in(gateway) for _ in range(6)]
            pids = {worker_of_port(gateway, client.sock.getsockname()[1]) for client, _ in sessions}
            for client, _ in sessions:
                client.close()
    assert {code for _, code in sessions} == {235}
    assert len(pids) == 2
    assert len(vendor.asked) == 1


def test_a_worker_killed_under_load_loses_no_message_and_is_replaced(running):
    (doomed, spared), (victim, _) = one_for_each_worker(running)
    before = set(workers_of(running))
    with running_load(lambda: running.ports["main"], trust(running), "killed") as load:
        load.wait_for_more(20)
        os.kill(victim, signal.SIGKILL)
        assert logged(running, "alarm", f"process {victim}", "signal 9")
        load.wait_for_more(20)
        replaced = eventually(lambda: set(workers_of(running)) - before)
        eventually(running.is_ready)
        load.wait_for_more(20)
        (doomed_again, other), pids = one_for_each_worker(running)
    assert (load.refused, load.faults) == ([], [])
    arrived = {one["request"]["json"]["subject"] for one in running.messages()}
    assert set(load.taken) - arrived == set()
    assert spared.ask(b"NOOP\r\n")[0].startswith("250")
    assert doomed.read_line() == b""
    assert replaced < set(pids)
    for one in (doomed, spared, doomed_again, other):
        one.socket.close()


def test_what_a_killed_worker_held_is_free_again(tmp_path):
    with two_workers(tmp_path, LIMITS) as gateway:
        clients = [greeted(gateway)[0] for _ in range(7)]
        victim = worker_of(gateway, clients[0])
        left = [one for one in clients if worker_of(gateway, one) != victim]
        os.kill(victim, signal.SIGKILL)
        assert logged(gateway, "alarm", f"process {victim}")
        for _ in range(7 - len(left)):
            client, reply = greeted(gateway)
            assert reply.startswith("220")
            clients.append(client)
        assert greeted(gateway)[1].startswith("421")
        for one in clients:
            one.socket.close()


def test_a_worker_whose_loop_is_stuck_takes_nobody_with_it(running):
    stuck, _ = greeted(running)
    pid = worker_of(running, stuck)
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(6):
            client, reply = greeted(running)
            assert reply.startswith("220")
            client.socket.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    stuck.socket.close()


def test_workers_do_not_outlive_a_killed_main_process(running):
    pids = workers_of(running)
    assert len(pids) == 2
    running.process.kill()
    running.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def test_a_stop_drains_all_workers(running):
    idle = [greeted(running)[0] for _ in range(2)]
    running.stop()
    for one in idle:
        assert [reply[:3] for reply in one.until_closed()] == ["421"]
        one.socket.close()


def test_a_stop_before_the_workers_serve_is_as_quiet_as_any_other(tmp_path):
    with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, workers=2, until_ready=False) as gateway:
        eventually(lambda: len(workers_of(gateway)) == 2)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(PATIENCE_SECONDS) == 0
        assert "alarm" not in gateway.log()


def test_a_reload_reaches_all_workers_or_none(running):
    change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
    assert reload(running)[0] == 0
    assert {hello(running) for _ in range(4)} == {"250-renamed.test"}
    old = f'endpoint = "tcp:{running.ports["main"]}:interface=127.0.0.1"'
    change(running, old, old.replace("tcp:", "tcp:port=") + "\nclient_ca = '/nosuch'")
    assert reload(running)[0] == 1
    assert {hello(running) for _ in range(4)} == {"250-renamed.test"}
    change(running, "\nclient_ca = '/nosuch'", "")
    change(running, "workers = 2", "workers = 3")
    code, told = reload(running)
    assert code == 1
    assert "workers: cannot be changed while the gateway runs" in told


def test_a_reload_waits_for_a_worker_that_has_missed_the_one_before(running, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        first, victim = workers_of(running)
        os.kill(first, signal.SIGSTOP)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: not running.is_ready())
        one = threads.submit(ask_reload, tmp_path / "state")
        eventually(running.is_ready)  # the new one serves by the settings from before
        _, new = workers_of(running)
        os.kill(new, signal.SIGSTOP)
        os.kill(first, signal.SIGCONT)
        assert one.result(PATIENCE_SECONDS).problems == ()
        other = threads.submit(ask_reload, tmp_path / "state")
        with pytest.raises(TimeoutError):
            other.result(0.5)
        os.kill(new, signal.SIGCONT)
        assert other.result(PATIENCE_SECONDS).problems == ()
    assert workers_of(running) == [first, new]


def test_many_reloads_take_no_memory(running, tmp_path):
    def grown(times):
        before = [resident_octets(pid) for pid in workers_of(running)]
        for _ in range(times):
            assert ask_reload(tmp_path / "state").problems == ()
        return max(resident_octets(pid) - was for pid, was in zip(workers_of(running), before, strict=True))

    grown(5)
    assert grown(25) < 16 * 1024 * 1024


def test_a_worker_that_begins_after_a_reload_has_the_new_settings(running):
    change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
    assert reload(running)[0] == 0
    for pid in workers_of(running):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not running.is_ready())
    eventually(running.is_ready)
    assert {hello(running) for _ in range(4)} == {"250-renamed.test"}


def test_a_reload_while_a_worker_is_replaced_reaches_the_new_one_too(running):
    (one, other), (victim, _) = one_for_each_worker(running)
    change(running, 'hostname = "gateway.test"', 'hostname = "renamed.test"')
    os.kill(victim, signal.SIGKILL)
    code, told = reload(running)
    assert (code, "has ended with signal 9" in told) in ((0, False), (1, True))
    if code:  # it ended in the middle of the reload, which changed nothing then
        assert reload(running)[0] == 0
    assert logged(running, "alarm", f"process {victim}")
    eventually(running.is_ready)
    clients, _ = one_for_each_worker(running)
    for client in (*clients, one, other):
        client.socket.close()
    assert {hello(running) for _ in range(6)} == {"250-renamed.test"}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("again", [False, True])
def test_a_stop_waits_for_a_message_in_hand_unless_it_is_told_twice(tmp_path, workers, again):
    with asked_vendor() as vendor:
        rest = f'\n[vendors.other]\napi = "postscale"\nurl = "{vendor.url}"\n[[routes]]\nvendors = ["other"]\n'
        with own_gateway(tmp_path, {"main": 'tls = "starttls"'}, rest, workers=workers) as gateway:
            client, code = logged_in(gateway)
            assert code == 235
            client.mail("shop@shop.example")
            client.rcpt("ann@cust.example")
            client.docmd("DATA")
            client.send(b"From: shop@shop.example\r\nTo: ann@cust.example\r\n\r\nHello.\r\n.\r\n")
            assert vendor.has_message.wait(PATIENCE_SECONDS)
            gateway.process.send_signal(signal.SIGTERM)
            late = eventually(lambda: said_at_stop(gateway))
            assert late.startswith("421")
            assert gateway.process.poll() is None
            if again:
                gateway.process.send_signal(signal.SIGTERM)
            else:
                vendor.may_answer.set()
                assert client.getreply()[0] == 250
            assert gateway.process.wait(PATIENCE_SECONDS) == 0
            vendor.may_answer.set()
            client.close()


def said_at_stop(gateway):
    """The greeting that a new session gets, unless it is that of a gateway which does not stop yet."""
    client, reply = greeted(gateway)
    client.socket.close()
    return "" if reply.startswith("220") else reply


def test_mail_that_is_to_be_retried_leaves_a_worker_at_once(tmp_path):
    with two_workers(tmp_path, WAITS % tmp_path + "[queue]\npoll_seconds = 600.0\n") as gateway:
        send_one(gateway)
        assert logged(gateway, "waiting", "attempts=1")
        assert retry_all(gateway).stdout == "retry: 1 of 1 messages\n"
        assert logged(gateway, "waiting", "attempts=2")


def test_workers_share_the_limits_of_a_lane():
    vendors = {"limited": VendorSettings("postscale", rate_per_second=9.0), "other": VendorSettings("postscale")}
    for workers, attempts, rate in ((1, 8, 9.0), (3, 2, 3.0), (20, 1, 0.45)):
        rules = lane_rules(Settings(workers=workers, vendors=vendors), ())
        assert (rules.attempts_per_lane, rules.rates) == (attempts, {"limited": rate})


def test_listeners_are_added_and_removed_in_all_workers(running):
    (added,) = free_ports(1)
    old = f'endpoint = "tcp:{running.ports["main"]}:interface=127.0.0.1"'
    change(running, old, f'endpoint = "tcp:{added}:interface=127.0.0.1"')
    assert reload(running)[0] == 0
    with pytest.raises(ConnectionRefusedError):
        hello(running)
    running.ports["main"] = added
    assert {hello(running) for _ in range(4)} == {"250-gateway.test"}


def test_the_inbox_of_the_main_process_shows_what_workers_sent(running):
    with running_load(lambda: running.ports["main"], trust(running), "inbox", clients=2) as load:
        load.wait_for_more(4)
    shown = eventually(lambda: [one for one in running.messages() if one.get("gateway_id")] or running.messages())
    assert {one["request"]["json"]["subject"] for one in shown} <= set(load.taken)
    assert logged(running, "attempted", "outcome=accepted")
