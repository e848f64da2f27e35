"""From an event in the store to a receiver over a real socket, which verifies it with the library of the standard."""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WAIT_SECONDS = 20


class Receiver:
    """A web server that verifies what it gets, and answers with the statuses that it is given, then 204."""

    def __init__(self) -> None:
        self.taken: queue.Queue[dict] = queue.Queue()
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told = Verifier(SECRET).verify(body, dict(self.headers))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                receiver.taken.put({"id": self.headers["webhook-id"], "status": status, "path": self.path} | told)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events?token=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self) -> dict:
        return self.taken.get(timeout=WAIT_SECONDS)


class Gateway:
    """The sender in its process."""

    def __init__(self, folder: Path, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("webhook_process.py")), str(folder / "db"), url, SECRET],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def tell(self, name: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()

    def wait_for_posts(self, number: int) -> None:
        """Until so many wait in the store."""
        assert self._process.stdout is not None
        self.tell(f"await {number}")
        line = next((one for one in self._process.stdout if one.startswith("await")), "")
        assert line == f"await {number}\n"

    def end(self) -> None:
        self._process.communicate(timeout=WAIT_SECONDS)
        assert self._process.returncode == 0


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def start(tmp_path, receiver):
    running = []

    def start():
        running.append(Gateway(tmp_path, receiver.url))
        return running[-1]

    yield start
    running[-1].end()


def test_an_event_arrives_signed_and_is_forgotten_once_taken(start, receiver):
    gateway = start()
    gateway.wait_for_posts(0)
    gateway.tell("refused")
    told = receiver.next()
    assert (told["type"], told["data"]["recipients"]) == ("message.refused", ["ann@mail.example"])
    assert told["path"] == "/events?token=1"
    gateway.tell("expired")
    assert receiver.next()["type"] == "message.expired"
    gateway.wait_for_posts(0)


def test_what_was_not_taken_comes_again_also_after_a_restart(start, receiver):
    receiver.statuses = [302]
    gateway = start()
    gateway.tell("refused")
    first = receiver.next()
    gateway.wait_for_posts(1)
    gateway.end()
    start().wait_for_posts(0)
    again = receiver.next()
    assert (first["status"], again["status"]) == (302, 204)
    assert json.dumps(first["data"]) == json.dumps(again["data"])
    assert (first["id"], first["path"]) == (again["id"], again["path"])
    assert receiver.taken.empty()
