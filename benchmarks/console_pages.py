"""How long the console's pages take with many messages in the store: python -m benchmarks.console_pages [MESSAGES].

It fills a store in a temporary folder, of which half the messages wait and all came within the last hour: the worst
that the overview can be asked for. Then it asks for each page, one request after the other.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from gateway.store.records import State
from gateway.store.sqlite import SqliteStore
from tests.console.stored import keep, message
from tests.sandbox.console_process import ConsoleProcess, running

MESSAGES = 100_000
AT_ONCE = 2000
ROUNDS = 9
PATHS = (
    "/overview", "/overview/figures", "/messages", "/queue", "/vendors", "/credentials", "/messages?text=order+0777",
    "/messages?text=nothing-like-it", "/messages?recipient=customer77", "/messages?recipient=nobody",
    "/messages?state=refused", "/messages?account=main/key-7", "/messages?vendor=spare", "/queue?text=order+0777",
)  # fmt: skip


def fill(store: SqliteStore, count: int) -> None:
    """So many messages of many accounts, to as many recipients."""
    chance = random.Random(1)
    begin = time.time() - 3500
    for first in range(0, count, AT_ONCE):
        made = []
        for number in range(first, min(first + AT_ONCE, count)):
            states = (State.QUEUED, State.RELAYED, State.REFUSED)
            (state,) = chance.choices(states, (50, 48, 2))
            one = message(begin + 3480 * number / count, state, f"Order {number:06} is on its way")
            path = f"customer{number}@mail{number % 1000}.example"
            recipients = (replace(one.recipients[0], path=path),)
            made.append(replace(one, recipients=recipients, account_name=f"main/key-{number % 50}"))
        keep(store, *made)


def measure(console: ConsoleProcess) -> None:
    """Print the median and the slowest of some requests for each page."""
    begin = time.perf_counter()
    console.get("/overview")
    print(f"{1000 * (time.perf_counter() - begin):6.0f} ms           the first overview after a start")
    while 'data-whole="no"' in console.get("/overview/figures").text:
        pass
    print(f"{1000 * (time.perf_counter() - begin):6.0f} ms           until the last hour is counted")
    for path in PATHS:
        taken = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            console.get(path)
            taken.append(1000 * (time.perf_counter() - begin))
        print(f"{statistics.median(taken):6.0f} ms, at most {max(taken):4.0f} ms  {path}")


def main() -> None:
    """Fill and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    with tempfile.TemporaryDirectory() as name:
        store = SqliteStore(Path(name) / "store.sqlite")
        store.open()
        fill(store, count)
        store.close()
        with running(Path(name) / "inbox") as console:
            measure(console)


if __name__ == "__main__":
    main()
