"""A vendor's API that a test steers while mail is on its way: taking, failing, silent, slow or gone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str]]
TAKEN: Answer = (202, {})
DOWN: Answer = (503, {})
SILENT: Answer = (0, {})
"""The request is read, and never answered."""


class Api:
    """On a port of 127.0.0.1. answer says what becomes of a request, by its document; it may be replaced any time."""

    def __init__(self, answer: Answer = TAKEN, port: int = 0) -> None:
        self.answer: Callable[[dict[str, Any]], Answer] = lambda document: answer
        self.seconds = 0.0
        """How long each answer takes."""
        self.asked: list[tuple[float, dict[str, Any]]] = []
        """Each POST: when it came, and its document."""
        self.taken: list[dict[str, Any]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        api = self

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._say(200, {}, b"{}")

            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with api.counted(document):
                    status, fields = api.answer(document)
                    api.wait(api.seconds)
                    if status == SILENT[0]:
                        api.wait(30.0)
                        self.close_connection = True
                        return
                    if status < 300:
                        api.taken.append(document)
                self._say(
                    status, fields, json.dumps({"message_id": f"v{len(api.taken)}", "error": "asked for"}).encode()
                )

            def _say(self, status: int, fields: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**fields, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Request)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def say(self, answer: Answer) -> None:
        """Answer every request like this from now on."""
        self.answer = lambda document: answer

    def to(self) -> list[str]:
        """Who was asked for, request by request, addresses joined."""
        return [",".join(document["to"]) for _, document in self.asked]

    def taken_to(self) -> list[str]:
        """For whom mail was taken."""
        return [",".join(document["to"]) for document in self.taken]

    def close(self) -> None:
        """Gone: connections are refused, those that are open are cut."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def counted(self, document: dict[str, Any]) -> _Counted:
        return _Counted(self, document)

    def enter(self, document: dict[str, Any]) -> None:
        with self._lock:
            self.asked.append((time.monotonic(), document))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def leave(self) -> None:
        with self._lock:
            self._at_once -= 1


class _Counted:
    """One request while it is answered."""

    def __init__(self, api: Api, document: dict[str, Any]) -> None:
        self._api = api
        self._document = document

    def __enter__(self) -> None:
        self._api.enter(self._document)

    def __exit__(self, *_: object) -> None:
        self._api.leave()
