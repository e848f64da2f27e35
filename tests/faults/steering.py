"""An operator who cancels and moves mail without end, while the gateway is killed, and keeps count of what was done."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

from gateway.control_client import ControlClient, ControlError, control_client
from gateway.settings import parse_settings
from tests.faults.gateways import Gateway

PAUSE_SECONDS = 0.02
SHOWN = 50
OTHER = {"poststack": "postscale", "postscale": "poststack"}


class Operator:
    """Steers by the control API. cancelled and moved hold tokens, moved with its new vendor; doubtful those of requests
    that were cut off before their answer."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self.cancelled: set[str] = set()
        self.moved: dict[str, str] = {}
        self.doubtful: set[str] = set()
        self._gateway = gateway
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._steer, daemon=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Steer until the end of the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()

    def _steer(self) -> None:
        settings = parse_settings(self._gateway.config.read_bytes(), self._gateway.config)
        while not self._ended.wait(PAUSE_SECONDS):
            with contextlib.suppress(ControlError):  # nobody is there, or was
                client = control_client(settings)
                waiting = client.get("/queue", [("limit", str(SHOWN))])["messages"]
                fresh = [one for one in waiting if one["subject"] not in self.cancelled | self.doubtful]
                if fresh:
                    self._change(client, self._random.choice(fresh))

    def _change(self, client: ControlClient, message: dict[str, str]) -> None:
        token = message["subject"]
        vendor = OTHER[message["lane"].partition("/")[0]]
        is_cancel = self._random.random() < 0.5
        self.doubtful.add(token)
        document = {"action": "cancel"} if is_cancel else {"action": "move", "vendors": [vendor]}
        changed = client.post("/queue", {"ids": [message["id"]], **document})["changed"]
        self.doubtful.discard(token)
        if changed and is_cancel:
            self.cancelled.add(token)
        elif changed:
            self.moved[token] = vendor
