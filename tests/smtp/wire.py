"""The child process with real listeners (serve.py), and a client on a real socket that notes what it reads."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 10
LOG_IN = b"AUTH PLAIN AGdvb2QAcGFzcw==\r\n"
TRANSACTION = b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@cust.example>\r\n"


class Listeners:
    """Talks to serve.py. A listener is named by its port."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.certificate = folder / "certificate.pem"
        self._ports: dict[str, int] = {}

    def command(self, *words: Any) -> Any:
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def listen(self, kind: str, *, enhanced: bool = False, **limits: int) -> int:
        return int(self.command("listen", kind, limits, enhanced))

    def facts(self, port: int) -> dict[str, Any]:
        return dict(self.command("facts", port))

    def facts_when(self, port: int, good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The facts as soon as they are what is waited for; the last ones when that never happens."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not good(facts := self.facts(port)) and time.monotonic() < end:
            time.sleep(0.01)
        return facts

    def anonymous_octets(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")


@contextmanager
def running(folder: Path) -> Iterator[Listeners]:
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield Listeners(process, folder)
    finally:
        process.stdin.close()
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()


class WireClient:
    """A client that sends octets as told. Reading gives whole replies as text; "" is the end of the connection."""

    def __init__(self, port: int) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> WireClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def start_tls(self, **changes: Any) -> WireClient:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if "alpn" in changes:
            context.set_alpn_protocols(changes["alpn"])
        if "maximum" in changes:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = changes["maximum"]
        if "ciphers" in changes:
            context.set_ciphers(changes["ciphers"])
        self.socket = context.wrap_socket(self.socket, suppress_ragged_eofs=False)
        return self

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def read_line(self) -> bytes:
        """The next line with its CRLF, or b"" at the end."""
        while b"\r\n" not in self._unread:
            try:
                octets = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                octets = b""
            if not octets:
                return b""
            self._unread += octets
        line, _, self._unread = self._unread.partition(b"\r\n")
        return line + b"\r\n"

    def read_reply(self) -> str:
        """The next reply: all its lines, each ended by LF, but the last."""
        lines = []
        while line := self.read_line().decode():
            lines.append(line[:-2])
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def ask(self, octets: bytes, replies: int = 1) -> list[str]:
        self.send(octets)
        return [self.read_reply() for _ in range(replies)]

    def until_closed(self) -> list[str]:
        """Whatever is still said, up to the end of the connection."""
        said = []
        while reply := self.read_reply():
            said.append(reply)
        return said


def connect(port: int, kind: str = "implicit", **changes: Any) -> WireClient:
    """A client that has read the greeting, and on a starttls listener is already under TLS."""
    client = WireClient(port)
    if kind == "implicit":
        client.start_tls(**changes)
    assert client.read_reply() == "220 gateway.test ESMTP"
    if kind == "starttls":
        client.ask(b"EHLO client.test\r\n")
        assert client.ask(b"STARTTLS\r\n") == ["220 Ready to start TLS"]
        client.start_tls(**changes)
    return client


def logged_in(port: int, kind: str = "implicit") -> WireClient:
    client = connect(port, kind)
    assert client.ask(b"EHLO client.test\r\n" + LOG_IN, 2)[1] == "235 Authentication succeeded"
    return client
