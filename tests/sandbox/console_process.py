"""A console in a child process, and the few calls the tests make to it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASE = "/sandbox/postscale/v1"
KEY = "ps_test_0123456789"


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class ConsoleProcess:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = int(process.stdout.readline())

    def command(self, *words: Any) -> int:
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def connect(self, timeout: float = 20) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def send(self, document: Any, key: str = KEY, **headers: str) -> Answer:
        body = document if isinstance(document, (bytes, str)) else json.dumps(document)
        headers = {"Content_Type": "application/json", "Authorization": f"Bearer {key}", **headers}
        return self.call("POST", f"{BASE}/send", body, **headers)

    def messages(self, everything: bool = False) -> list[dict[str, Any]]:
        return self.get("/api/v1/sandbox/messages" + ("?all=1" if everything else "")).json

    def anonymous_octets(self) -> int:
        """Memory that is the process's own, without the pages of mapped files."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")


@contextmanager
def running(folder: Path, *arguments: str):
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(folder), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder.parent)}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder.parent
    )
    try:
        yield ConsoleProcess(process)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def mail(**changes: Any) -> dict[str, Any]:
    """A request by the contract; None takes a field away."""
    document = {
        "from": "Shop <billing@shop.example>",
        "to": ["ann@cust.example"],
        "subject": "Your invoice 77",
        "text_body": "See the attached file.",
    }
    document.update(changes)
    return {name: value for name, value in document.items() if value is not None}
