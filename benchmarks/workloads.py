"""The workloads: what is sent, how often, and which figure of the server is taken from it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from costs import cpu_milliseconds, peak_kib, reset_peak, resident_kib
from messages import MIB
from servers import HERE, Api, Place

SETTLE_SECONDS = 0.3  # for a server to finish what it does behind its last reply
IDLE_SESSIONS = (50, 250)  # the growth between the two is what a session takes; the first few warm up
LATENCY_DELAY_SECONDS = 0.05
POSTED_PART = 0.7  # of a message's size at least, as JSON: less means that something was lost on the way


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload. measure gives figures by their name; the first one's ratio to stock is shown.

    most_rounds bounds the rounds of a workload that is slow or repeats well.
    """

    name: str
    title: str
    unit: str
    measure: Callable[[int, Place, Api], dict[str, float]]
    most_rounds: int = 9
    api_delay_seconds: float = 0.0


@contextmanager
def load_of(place: Place, *options: Any) -> Iterator[subprocess.Popen[str]]:
    """A client process that has opened its connections and warmed up."""
    command = [
        sys.executable,
        str(HERE / "load.py"),
        "--port",
        str(place.port),
        "--certificate",
        str(place.certificate),
    ]
    command += map(str, options)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"the load ended early, see above: {command}")
        yield process
        process.stdin.close()


def run_load(load: subprocess.Popen[str]) -> list[float]:
    """Let a load run; the seconds from the last octet to the 250 of each message."""
    assert load.stdin and load.stdout
    load.stdin.write("go\n")
    load.stdin.flush()
    told = load.stdout.readline()
    if not told:
        raise SystemExit("the load failed, see above")
    seconds: list[float] = json.loads(told)
    return seconds


def _cpu_a_message(messages: int, size_octets: int, *options: Any) -> Callable[[int, Place, Api], dict[str, float]]:
    """CPU milliseconds of the server for each message, warm-up excluded."""

    def measure(pid: int, place: Place, api: Api) -> dict[str, float]:
        with load_of(place, "--messages", messages, *options) as load:
            before, (count, octets) = cpu_milliseconds(pid), api.count()
            run_load(load)
            time.sleep(SETTLE_SECONDS)
            after, (count_after, octets_after) = cpu_milliseconds(pid), api.count()
        _check(messages, size_octets, count_after - count, octets_after - octets)
        return {"CPU": (after - before) / messages}

    return measure


def _check(messages: int, size_octets: int, count: int, octets: int) -> None:
    """Stop when the API got fewer messages than were sent, or less of them: the figure would be of another work."""
    if count != messages or octets < POSTED_PART * size_octets * messages:
        raise SystemExit(
            f"{messages} messages of {size_octets} octets sent; the API got {count}, {octets} octets in all"
        )


def _peak_memory(pid: int, place: Place, api: Api) -> dict[str, float]:
    """MiB above the idle process while four messages of 25 MiB come at once."""
    with load_of(place, "--connections", 4, "--messages", 4) as small:
        run_load(small)
    with load_of(place, "--message", "large", "--connections", 4, "--messages", 4, "--warm-up-messages", 0) as load:
        time.sleep(SETTLE_SECONDS)
        idle = resident_kib(pid)
        count, octets = api.count()
        reset_peak(pid)
        run_load(load)
        peak = peak_kib(pid)
        count_after, octets_after = api.count()
    _check(4, 25 * MIB, count_after - count, octets_after - octets)
    return {"peak": (peak - idle) * 1024 / MIB}


def _idle_session(pid: int, place: Place, api: Api) -> dict[str, float]:
    """KiB of a session that has logged in over TLS and says nothing."""
    resident = []
    few, many = IDLE_SESSIONS
    with load_of(place, "--connections", few, "--warm-up-messages", 0):
        time.sleep(SETTLE_SECONDS)
        resident.append(resident_kib(pid))
        with load_of(place, "--connections", many - few, "--warm-up-messages", 0):
            time.sleep(SETTLE_SECONDS)
            resident.append(resident_kib(pid))
    return {"session": (resident[1] - resident[0]) / (many - few)}


def _latency(pid: int, place: Place, api: Api) -> dict[str, float]:
    """Milliseconds from the last octet of the data to the 250, above what the API takes."""
    with load_of(place, "--connections", 50, "--messages", 800, "--per-second", 100) as load:
        seconds = run_load(load)
    cuts = statistics.quantiles(seconds, n=100)
    return {name: (cuts[at - 1] - LATENCY_DELAY_SECONDS) * 1000 for name, at in (("p50", 50), ("p99", 99))}


WORKLOADS = (
    Workload(
        "small",
        "2 KB, open connection",
        "CPU ms",
        _cpu_a_message(1000, 2048, "--connections", 16),
    ),
    Workload(
        "connection",
        "2 KB, one a connection",
        "CPU ms",
        _cpu_a_message(300, 2048, "--connections", 8, "--fresh"),
    ),
    Workload(
        "multipart",
        "multipart 200 KB",
        "CPU ms",
        _cpu_a_message(150, 200 * 1024, "--connections", 8, "--message", "multipart"),
    ),
    Workload(
        "large",
        "25 MB",
        "CPU ms",
        _cpu_a_message(4, 25 * MIB, "--connections", 2, "--message", "large", "--warm-up-messages", 1),
        most_rounds=3,
    ),
    Workload("memory", "peak, 4 x 25 MB", "MiB", _peak_memory, most_rounds=1),
    Workload("idle", "idle TLS session", "KiB", _idle_session, most_rounds=1),
    Workload("latency", "added, API of 50 ms", "ms", _latency, most_rounds=1, api_delay_seconds=LATENCY_DELAY_SECONDS),
)
