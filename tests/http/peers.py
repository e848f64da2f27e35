"""The two ends of the HTTP tests: a server that does as its script says, and the client in a child process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEY = "ps_live_needle_0123456789"
DEADLINE_SECONDS = 10


class Visit:
    """One connection to the server."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.connection = connection
        self.number = number
        self._file = connection.makefile("rb")

    def read_head(self) -> str:
        """The request line and header fields; empty when the client has closed."""
        return (
            "".join(line.decode("latin-1") for line in iter(self._file.readline, b"\r\n") if line)
            if self._more()
            else ""
        )

    def read_request(self) -> str:
        """The head; the body is read and counted in body_octets."""
        head = self.read_head()
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:])
        left = int(fields.get("content-length", "0"))
        self.body_octets = 0
        while left > self.body_octets and (octets := self._file.read(min(65536, left - self.body_octets))):
            self.body_octets += len(octets)
        return head

    def answer(self, body: bytes = b"{}", status: str = "200 OK", *fields: str) -> None:
        head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields))
        self.connection.sendall(f"{head}\r\n\r\n".encode() + body)

    def _more(self) -> bool:
        return bool(self._file.peek(1))


class Server:
    """Listens on 127.0.0.1; each connection is handled by the script in a thread, and closed when it returns."""

    def __init__(self, script: Callable[[Visit], None], context: ssl.SSLContext | None = None) -> None:
        self.visits: list[Visit] = []
        self.heads: list[str] = []
        self._script = script
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}/v1"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for visit in self.visits:
            with contextlib.suppress(OSError):
                visit.connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            visit = Visit(connection, len(self.visits) + 1)
            self.visits.append(visit)
            with connection:
                self._script(visit)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Client:
    """The client in its process."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def exchange(
        self,
        url: str,
        body: Any = None,
        *,
        method: str = "",
        deadline_seconds: float = DEADLINE_SECONDS,
        key: str = KEY,
    ) -> dict[str, Any]:
        asked = {"method": method or ("GET" if body is None else "POST"), "url": url, "key": key, "body": body}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked | {"deadline_seconds": deadline_seconds}) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")


@contextlib.contextmanager
def running_client(folder: Path, ca_file: str = "-") -> Iterator[Client]:
    """A client; at the end it closes its pool and must end well by itself."""
    log = folder / "client-log.txt"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("client_process.py")), ca_file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    try:
        yield Client(process, log)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            code = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = "killed"
        process.stdout.close()
        assert code == 0, log.read_text()
