"""Clients that submit without end while a gateway is killed, paused or starved, and keep count of what it told them."""

from __future__ import annotations

import contextlib
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from tests.faults.gateways import Gateway

KEYS = {"poststack": "sk_test_faults_0123456789", "postscale": "ps_test_faults_0123456789"}
TIMEOUT_SECONDS = 20.0
LONG_TIMEOUT_SECONDS = 60.0
PAUSE_SECONDS = 0.02  # between messages, and before a client that was cut off comes again
SESSION_MESSAGES = 10
BODY = "A line of a letter that somebody waits for.\r\n" * 20


@dataclass(slots=True)
class Told:
    """What the clients of one vendor were told: tokens with a 250, with another reply, and all that were sent."""

    accepted: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    refusals: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """From the end of data to each 250."""


class Load:
    """So many clients for each vendor. ports: by vendor, those of the gateways that take its mail, used in turn."""

    def __init__(
        self,
        ports: Mapping[str, Sequence[int]],
        clients: int = 2,
        pause_seconds: float = PAUSE_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.told = {vendor: Told() for vendor in ports}
        self._ports = ports
        self._pause_seconds = pause_seconds
        self._timeout_seconds = timeout_seconds
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(vendor, f"{vendor}-{client}"), daemon=True)
            for vendor in ports
            for client in range(clients)
        ]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Submit until the end of the block."""
        for one in self._threads:
            one.start()
        try:
            yield
        finally:
            self._ended.set()
            for one in self._threads:
                one.join()

    def accepted(self) -> int:
        """How many messages have got their 250."""
        return sum(len(one.accepted) for one in self.told.values())

    def refused(self, code: int) -> int:
        """How many got this reply in place of the 250."""
        return sum(one.refusals[code] for one in self.told.values())

    def _send(self, vendor: str, name: str) -> None:
        told, numbers, sessions = self.told[vendor], count(), count()
        while not self._ended.is_set():
            port = self._ports[vendor][next(sessions) % len(self._ports[vendor])]
            try:
                with smtplib.SMTP("127.0.0.1", port, "client.test", self._timeout_seconds) as client:
                    client.login(vendor, KEYS[vendor])
                    for _ in range(SESSION_MESSAGES):
                        self._submit(client, told, f"{name}-{next(numbers)}")
                        if self._ended.wait(self._pause_seconds):
                            break
            except (smtplib.SMTPException, OSError):
                self._ended.wait(self._pause_seconds)  # nobody is there, or was: come again

    def _submit(self, client: smtplib.SMTP, told: Told, token: str) -> None:
        """One message; a token that is cut off before its reply is not sent again, so that none is the client's own."""
        recipient = f"{token}@cust.example"
        told.sent.add(token)
        client.mail("shop@shop.example")
        client.rcpt(recipient)
        began = time.monotonic()
        code, _ = client.data(f"From: shop@shop.example\r\nTo: {recipient}\r\nSubject: {token}\r\n\r\n{BODY}")
        if code == 250:
            told.accepted.add(token)
            told.seconds.append(time.monotonic() - began)
        else:
            told.rejected.add(token)
            told.refusals[code] += 1


def submitted(gateway: Gateway, token: str, vendor: str = "poststack") -> int:
    """Submit one message; the code of its reply, 0 when nobody is there."""
    letter = f"From: shop@shop.example\r\nTo: {token}@cust.example\r\nSubject: {token}\r\n\r\n{BODY}"
    try:
        with smtplib.SMTP("127.0.0.1", gateway.ports[vendor], "client.test", LONG_TIMEOUT_SECONDS) as client:
            client.login(vendor, KEYS[vendor])
            client.mail("shop@shop.example")
            client.rcpt(f"{token}@cust.example")
            return client.data(letter)[0]
    except (smtplib.SMTPException, OSError):
        return 0
