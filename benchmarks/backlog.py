"""What a backlog costs: a start with many queued messages behind a vendor that is away, its memory, its listings."""

from __future__ import annotations

import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from gateway.accounts.account import Account, fingerprint
from gateway.message import Envelope
from gateway.queue.settings import QueueSettings
from gateway.store.interface import Transaction
from gateway.store.records import Recipient, State, StoredMessage
from gateway.store.sqlite import SqliteStore
from gateway.storing import account_record

from accepting import gateway
from costs import peak_kib
from load import PASSWORD
from messages import MESSAGES
from servers import START_SECONDS, free_port

QUEUED = 100_000
JOB_MESSAGES = 1000
ACCOUNTS = 50
SETTLE_SECONDS = 15.0  # the queue has looked at what is due, and has found the vendor away
LISTINGS = 20


@dataclass(frozen=True, slots=True)
class Backlog:
    """Seconds from the start to the port's being open; MiB at most; milliseconds of listings, the slowest of each."""

    messages: int
    start_seconds: float
    empty_start_seconds: float
    peak_mib: float
    empty_peak_mib: float
    listings: dict[str, float]

    def section(self) -> str:
        """For the report."""
        shown = "\n".join(f"| {name} | {milliseconds:.1f} ms |" for name, milliseconds in self.listings.items())
        return (
            f"| {self.messages} messages of 2 KB wait in SQLite, all due, their vendor away | |\n| --- | ---: |\n"
            f"| start, to the open port | {self.start_seconds:.2f} s (empty: {self.empty_start_seconds:.2f} s) |\n"
            f"| resident memory, peak | {self.peak_mib:.0f} MiB (empty: {self.empty_peak_mib:.0f} MiB) |\n{shown}"
        )


def measure_backlog(messages: int = QUEUED) -> Backlog:
    """Fill a store, and start a gateway on it; and one on an empty store."""
    with tempfile.TemporaryDirectory(prefix="mailgateway-benchmark-") as name:
        empty_seconds, empty_mib, _ = _started(Path(name), 0)
    with tempfile.TemporaryDirectory(prefix="mailgateway-benchmark-") as name:
        fill(Path(name) / "state" / "store.sqlite", messages)
        seconds, mib, listings = _started(Path(name), messages)
    return Backlog(messages, seconds, empty_seconds, mib, empty_mib, listings)


def fill(path: Path, messages: int) -> None:
    """Keep so many messages, as the gateway itself would have."""
    store = SqliteStore(path)
    store.open()
    content, now = MESSAGES["small"](), time.time()

    def some(first: int) -> None:
        def job(transaction: Transaction) -> None:
            for number in range(first, min(first + JOB_MESSAGES, messages)):
                transaction.add_message(_message(number, now, len(content)), [content], ())

        store.run(job)

    for first in range(0, messages, JOB_MESSAGES):
        some(first)
    store.close()


def _message(number: int, now: float, size_octets: int) -> StoredMessage:
    path, name = f"{number}@cust.example", f"account-{number % ACCOUNTS}"
    at = now - 3600 + number / QUEUED
    return StoredMessage(
        message_id=f"m{number:019}",
        session_id=f"s{number:019}",
        received_at=at,
        account_name=name,
        account=account_record(Account(name, "postscale", "postscale")),
        envelope=Envelope("shop@shop.example", (path,)),
        recipients=(Recipient(path, State.QUEUED),),
        size_octets=size_octets,
        mode="queued",
        lane=f"postscale/{fingerprint(PASSWORD)}",
        author="shop@shop.example",
        subject="Your order 4711 has been shipped",
        expires_at=at + QueueSettings().expire_seconds,
        next_attempt_at=at,
        has_content=True,
    )


def _started(folder: Path, messages: int) -> tuple[float, float, dict[str, float]]:
    away = f"http://127.0.0.1:{free_port()}/v1"
    began = time.perf_counter()
    with gateway(folder, away) as (_, console, pid):
        start_seconds = time.perf_counter() - began
        time.sleep(SETTLE_SECONDS)
        listings = _listings(folder, console) if messages else {}
        return start_seconds, peak_kib(pid) / 1024, listings


def _listings(folder: Path, console: int) -> dict[str, float]:
    token = (folder / "state" / "console-look.token").read_text().strip()
    asked = {
        "first page of the queue": "/queue?limit=100",
        "messages of one recipient": "/messages?recipient=77777@cust.example",
        "messages of one account": "/messages?account=account-7&limit=100",
        "the sum": "/totals",
    }
    return {name: max(_milliseconds(console, token, path) for _ in range(LISTINGS)) for name, path in asked.items()}


def _milliseconds(console: int, token: str, path: str) -> float:
    url = f"http://127.0.0.1:{console}/api/v1{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
        answer.read()
    return (time.perf_counter() - began) * 1000
