"""What two workers on two processors carry more than one: by processor time, because the load needs processors too.

A processor gives a second of work a second. So two of them carry as many messages as fit with the time that all
processes of the gateway take for one together, and no process can have more than one of the two.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from costs import cpu_milliseconds, cpu_milliseconds_each
from servers import GATEWAY, TWO_WORKERS, Api, Place, free_port, running, running_api
from workloads import SETTLE_SECONDS, load_of, run_load

MESSAGES = 2000
CONNECTIONS = 16
LEAST_RATIO = 1.7


@dataclass(frozen=True, slots=True)
class Scaling:
    """CPU milliseconds a message: of one process; of two workers with their main process; of the busiest of these."""

    one: float
    two: float
    busiest: float

    @property
    def ratio(self) -> float:
        """The throughput of two workers on two processors, over that of one on one."""
        return min(2 * self.one / self.two, self.one / self.busiest)

    def sentence(self) -> str:
        """For the report."""
        return (
            f"Two workers on two processors carry **{self.ratio:.2f} times** the messages of one (2 KB, open"
            f" connections): {self.one:.2f} ms of processor time a message in one process, {self.two:.2f} ms in two"
            f" workers and their main process together, {self.busiest:.2f} ms in the busiest of them. At least"
            f" {LEAST_RATIO} is asked for."
        )


def measure_scaling(folder: Path, rounds: int) -> Scaling:
    """The round with the median ratio; both servers run all the time, and are measured in turn."""
    inner = Path(tempfile.mkdtemp(dir=folder))
    with ExitStack() as stack:
        api = stack.enter_context(running_api(inner))
        started = []
        for number, server in enumerate((GATEWAY, TWO_WORKERS)):
            place = Place(
                free_port(), folder / "certificate.pem", folder / "private_key.pem", api.url, inner / str(number)
            )
            started.append((place, stack.enter_context(running(server, place))))
        found = []
        for turn in range(rounds):
            (one, _), (two, busiest) = (_cpu_a_message(place, pid, api) for place, pid in started)
            found.append(Scaling(one, two, busiest))
            print(f"workers, round {turn + 1}: {found[-1].sentence()}", flush=True)
    return sorted(found, key=lambda scaling: scaling.ratio)[len(found) // 2]


def _cpu_a_message(place: Place, pid: int, api: Api) -> tuple[float, float]:
    """CPU milliseconds a message: of all processes of the server, and of its busiest."""
    with load_of(place, "--messages", MESSAGES, "--connections", CONNECTIONS) as load:
        before, each_before, (count, _) = cpu_milliseconds(pid), cpu_milliseconds_each(pid), api.count()
        run_load(load)
        time.sleep(SETTLE_SECONDS)
        after, each, (count_after, _) = cpu_milliseconds(pid), cpu_milliseconds_each(pid), api.count()
    if count_after - count != MESSAGES:
        raise SystemExit(f"{MESSAGES} messages sent; the API got {count_after - count}")
    busiest = max(each[one] - each_before.get(one, 0.0) for one in each)
    return (after - before) / MESSAGES, busiest / MESSAGES
