"""What the overview shows: figures of the last hour, what waits, and the sum. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.console.minutes import SECONDS, Minute
from gateway.store.records import Totals

SERIES: Mapping[str, tuple[str, ...]] = {
    "accepted": ("received",),
    "relayed": ("relayed",),
    "refused": ("refused", "expired", "rejected"),
    "deferred": ("deferred", "unknown"),
}
"""The charts and the events that they count. rejected is what the client itself was told: it was never accepted."""

ENDED = ("relayed", "refused", "expired", "cancelled")
PERCENTILE = 0.95
HEIGHT = 20  # of a chart's box; its width is a unit a minute
LEAST_HEIGHT = 0.5  # of a column that is not nothing, so that it can be seen
GAP = 0.24  # between columns


@dataclass(frozen=True, slots=True)
class Column:
    """One minute of a chart: its height as a part of the highest, and what it says."""

    height: float
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Sixty columns, the highest of which has the height 1. values of None are minutes of which nothing is known."""

    name: str
    columns: tuple[Column, ...]
    highest: float
    total: float
    latest: float

    @property
    def path(self) -> str:
        """The columns as the d of an SVG path, in a box of 60 by 20: one unit of width a minute."""
        drawn = []
        for place, one in enumerate(self.columns):
            if one.value:
                height = max(LEAST_HEIGHT, one.height * HEIGHT)
                drawn.append(f"M{place + GAP / 2:.2f} {HEIGHT}v-{height:.2f}h{1 - GAP:.2f}v{height:.2f}z")
        return "".join(drawn)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a vendor's attempts took in the last hour, in seconds; chart has the medians by minute."""

    vendor: str
    attempts: int
    median: float
    percentile: float
    slowest: float
    chart: Chart


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """What waits in one lane: messages, and since when the oldest."""

    lane: str
    messages: int
    oldest_at: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it. waiting is a chart of recipients that waited at the end of each minute."""

    charts: tuple[Chart, ...]
    waiting: Chart
    latencies: tuple[Latency, ...]
    lanes: tuple[LaneDepth, ...]
    totals: Totals

    @property
    def messages_waiting(self) -> int:
        """In all lanes, those that are held too."""
        return sum(one.messages for one in self.lanes)

    @property
    def oldest_at(self) -> float | None:
        """When the oldest message that waits was received."""
        return min((one.oldest_at for one in self.lanes), default=None)


def figures(
    hour: Sequence[Minute], last_minute: int, totals: Totals, depth: Mapping[str, tuple[int, float]]
) -> Figures:
    """The figures from an hour's minutes, the sum and the queue's depth by lane."""
    first = last_minute - len(hour) + 1

    def drawn(name: str, value: Callable[[Minute], float]) -> Chart:
        return chart(name, [value(one) for one in hour], first)

    return Figures(
        charts=tuple(
            drawn(name, lambda one, events=events: float(sum(one.recipients[event] for event in events)))  # type: ignore[misc]  # a default that binds the loop's value
            for name, events in SERIES.items()
        ),
        waiting=chart("waiting", waiting(hour, totals.queued + totals.held), first),
        latencies=tuple(_latency(vendor, hour, first) for vendor in _vendors(hour)),
        lanes=tuple(LaneDepth(lane, *one) for lane, one in sorted(depth.items())),
        totals=totals,
    )


def waiting(hour: Sequence[Minute], now: int) -> list[float]:
    """How many recipients waited at the end of each minute, told backwards from how many wait now.

    Accepted is what has ended and what waits, at all times; so the minute before had as many more as have ended since,
    and as many fewer as were accepted.
    """
    found: list[float] = []
    for minute in reversed(hour):
        found.append(float(max(0, now)))
        now += sum(minute.recipients[name] for name in ENDED) - minute.recipients["received"]
    return found[::-1]


def chart(name: str, values: Sequence[float], first_minute: int) -> Chart:
    """A chart of these values, one for each minute."""
    highest = max(values, default=0.0)
    columns = tuple(
        Column(value / highest if highest else 0.0, value, float((first_minute + place) * SECONDS))
        for place, value in enumerate(values)
    )
    return Chart(name, columns, highest, sum(values), values[-1] if values else 0.0)


def _vendors(hour: Sequence[Minute]) -> list[str]:
    return sorted({vendor for minute in hour for vendor in minute.latencies})


def _latency(vendor: str, hour: Sequence[Minute], first: int) -> Latency:
    by_minute = [minute.latencies.get(vendor, []) for minute in hour]
    every = sorted(seconds for one in by_minute for seconds in one)
    medians = [statistics.median(one) if one else 0.0 for one in by_minute]
    percentile = every[math.ceil(PERCENTILE * len(every)) - 1]
    return Latency(vendor, len(every), statistics.median(every), percentile, every[-1], chart(vendor, medians, first))
