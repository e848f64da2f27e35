"""The stand-in vendors, as tests see them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("vendor_process.py")
HTTP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """What one vendor got: deliveries by token, when requests came, keys that came again with another message."""

    deliveries: Counter[str]
    requests: list[float]
    changed: list[str]
    most_at_once: int

    def peak(self, seconds: float = 1.0) -> int:
        """The most requests in any such time."""
        times, first, most = sorted(self.requests), 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


class Vendors:
    """The process of both vendors; it can be stopped and started anew on the same port, without what it knew."""

    def __init__(self) -> None:
        self.port = 0
        self._process = self._started()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def steer(self, *faults: str, seconds: float = 0.02) -> None:
        """Answer requests with these faults in turn, or with none; an answer takes up to so long."""
        self._ask("/steer", {"faults": faults, "seconds": seconds})

    def seen(self, name: str) -> Seen:
        found = self._ask("/seen")[name]
        return Seen(Counter(found["deliveries"]), found["requests"], found["changed"], found["most_at_once"])

    def go(self) -> None:
        """Nobody is there any more; what was delivered is forgotten."""
        self.close()

    def come_back(self) -> None:
        """On the same port."""
        self._process = self._started()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _started(self) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, PROGRAM, str(self.port)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        self.port = int(process.stdout.readline())
        return process

    def _ask(self, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body, timeout=HTTP_SECONDS) as answer:
            return json.load(answer)
