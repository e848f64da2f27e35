"""What a client is told when the API is down or the disk full, what a large message costs, and how a stop goes."""

from __future__ import annotations

import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.running import add_credential, connected, leaks, letter, log_in, run, send

KEY = "ps_test_faults"
GOOD = "ann@cust.example"


@pytest.fixture(scope="module")
def remote(tmp_path_factory, gateway):
    """A gateway whose vendor is in another process: the common gateway's sandbox."""
    url = f"{gateway.console_url}/sandbox/postscale/v1"
    with run(tmp_path_factory.mktemp("remote"), url, seconds=20.0) as running:
        yield running


def test_an_api_that_is_down_is_temporary_at_login_and_while_sending(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with run(tmp_path, f"http://127.0.0.1:{port}/v1") as running:
        secret = add_credential(running, "shop-1")
        with connected(running) as client:
            assert log_in(client, "postscale", KEY) == (451, "Authentication service unavailable")
            assert log_in(client, "shop-1", secret)[0] == 235
            for _ in range(2):
                assert send(client, GOOD) == (451, "API unavailable")
        assert "outcome=deferred" in running.log()


def test_a_message_of_fifty_megabytes_is_relayed_in_flat_memory(remote):
    secret = add_credential(remote, "shop-1")
    line = b"x" * 74 + b"\r\n"
    octets = (
        b"From: shop@shop.example\r\nTo: ann@cust.example\r\nSubject: large\r\nContent-Type: text/plain\r\n\r\n"
        + line * (50_000_000 // len(line))
    )
    with connected(remote) as client:
        assert log_in(client, "shop-1", secret)[0] == 235
        assert send(client, GOOD)[0] == 250
        before = status_octets(remote.process.pid, "VmRSS")
        Path(f"/proc/{remote.process.pid}/clear_refs").write_text("5")  # the peak begins anew
        code, _ = send(client, GOOD, octets=octets)
        peak = status_octets(remote.process.pid, "VmHWM")
    assert code == 250
    assert peak - before < 16 * 1024 * 1024


def status_octets(pid: int, name: str) -> int:
    """A memory figure of a process."""
    (kilobytes,) = re.findall(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


@pytest.fixture
def full_disk(remote):
    """The spool folder on a disk of one megabyte; without the right to mount one, no file may become larger."""
    folder = remote.log_file.with_name("state") / "spool"
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    if mounted.returncode == 0:
        yield
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
    else:
        before = resource.prlimit(remote.process.pid, resource.RLIMIT_FSIZE, (1024 * 1024, resource.RLIM_INFINITY))
        yield
        resource.prlimit(remote.process.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_temporary_and_the_session_goes_on(remote, full_disk):
    with connected(remote) as client:
        assert log_in(client, "postscale", KEY)[0] == 235
        large = letter(GOOD) + b"a line of text\r\n" * 200_000
        assert send(client, GOOD, octets=large) == (452, "Insufficient system storage, try again later")
        assert send(client, GOOD)[0] == 250
        assert send(client, GOOD, octets=letter(GOOD) + b"a line of text\r\n" * 40_000)[0] == 250


def test_a_stop_finishes_what_is_in_hand(tmp_path):
    with run(tmp_path, seconds=20.0) as running, connected(running) as client:
        log_in(client, "postscale", KEY)
        client.mail("shop@shop.example")
        client.rcpt("slow@sandbox.example")
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(letter("slow@sandbox.example") + b".\r\n")
        while not running.messages():
            assert running.process.poll() is None
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        code, _ = client.getreply()
        assert code == 250
        assert time.monotonic() - began > 1  # it was in hand, not done already
        assert client.getreply()[0] == 421
        client.close()
        assert running.process.wait(10) == 0
        assert "Traceback" not in running.log()


def test_no_key_and_no_traceback_is_in_the_log(remote):
    """Last, over all that was done above."""
    assert leaks(remote.log()) == []
