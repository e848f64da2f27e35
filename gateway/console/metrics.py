"""/metrics: what is counted and measured, in Prometheus's text format. docs/OPERATING.md has the same table.

The library writes the format; counting is done in tallies.py, and gauges are read when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.console.store_figures import StoreFigures
from gateway.console.tallies import BOUNDS_SECONDS, Histogram, Labels, Tallies
from gateway.lane_state import WORST_FIRST, LaneState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "mailgateway_"
Kind = Literal["counter", "gauge", "histogram"]
Values = Mapping[Labels, float]


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is so at the moment, in all processes of the gateway together.

    memory_octets by process; vendors are the entries of the settings, for which there is always a value.
    """

    build: Labels
    sessions_opened: int
    sessions_open: int
    workers: int
    workers_serving: int
    memory_octets: Mapping[str, int]
    messages_not_logged: int
    disk_free_octets: int
    lanes: Sequence[LaneState]
    vendors: Sequence[str]
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a scrape is made of."""

    tallies: Tallies
    figures: StoreFigures
    gauges: Gauges


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name without prefix and "_total", what it means, its labels, and where its values are."""

    kind: Kind
    name: str
    meaning: str
    labels: tuple[str, ...]
    values: Callable[[Seen], Values | Mapping[Labels, Histogram]]

    @property
    def full_name(self) -> str:
        """As it is shown."""
        return f"{PREFIX}{self.name}{'_total' if self.kind == 'counter' else ''}"


def _totals(seen: Seen) -> Values:
    found = seen.figures.found
    names = ("accepted", "relayed", "refused", "expired", "cancelled", "queued", "held")
    return {(name,): getattr(found.totals, name) for name in names} if found is not None else {}


def _depth(seen: Seen) -> Values:
    found = seen.figures.found
    zeros = dict.fromkeys(seen.gauges.vendors, (0, 0.0))
    return {(vendor,): messages for vendor, (messages, _) in {**zeros, **found.depth}.items()} if found else {}


def _oldest(seen: Seen) -> Values:
    found, now = seen.figures.found, seen.gauges.wall_seconds
    zeros = dict.fromkeys(seen.gauges.vendors, (0, now))
    return {(vendor,): max(0.0, now - at) for vendor, (_, at) in {**zeros, **found.depth}.items()} if found else {}


def _lanes(seen: Seen) -> Values:
    found: dict[Labels, float] = {(vendor, state): 0.0 for vendor in seen.gauges.vendors for state in WORST_FIRST}
    return found | Counter[Labels]((one.vendor, one.state) for one in seen.gauges.lanes)


def _named(values: Mapping[str, float]) -> Values:
    return {(name,): value for name, value in values.items()}


def _one(value: Callable[[Seen], float]) -> Callable[[Seen], Values]:
    return lambda seen: {(): value(seen)}


FAMILIES = (
    Family(
        "gauge",
        "build_info",
        "Always 1; the labels say what runs",
        ("version", "python", "twisted"),
        lambda seen: {seen.gauges.build: 1},
    ),
    Family("counter", "sessions_opened", "Sessions begun", (), _one(lambda seen: seen.gauges.sessions_opened)),
    Family("gauge", "sessions_open", "Sessions that there are now", (), _one(lambda seen: seen.gauges.sessions_open)),
    Family(
        "counter", "sessions_ended", "Sessions ended, by why", ("ending",), lambda seen: seen.tallies.sessions_ended
    ),
    Family(
        "counter",
        "commands",
        "Replies by what they answer, counted when their session ends",
        ("verb", "code"),
        lambda seen: seen.tallies.replies,
    ),
    Family("counter", "logins", "Logins", ("result", "mechanism"), lambda seen: seen.tallies.logins),
    Family(
        "counter",
        "messages",
        "Messages by what their client was told",
        ("listener", "dialect", "vendor", "outcome"),
        lambda seen: seen.tallies.messages,
    ),
    Family(
        "counter",
        "message_octets",
        "Mail data of these messages, in octets",
        ("listener", "dialect", "vendor", "outcome"),
        lambda seen: seen.tallies.message_octets,
    ),
    Family(
        "histogram",
        "reply_seconds",
        "From the end of mail data to the reply",
        ("outcome",),
        lambda seen: seen.tallies.reply_seconds,
    ),
    Family(
        "counter",
        "attempts",
        "Attempts at vendors by what came of them",
        ("vendor", "outcome"),
        lambda seen: seen.tallies.attempts,
    ),
    Family(
        "counter",
        "vendor_calls",
        "HTTP requests of attempts, by the class of the status",
        ("vendor", "status"),
        lambda seen: seen.tallies.calls,
    ),
    Family(
        "histogram", "vendor_call_seconds", "How long they took", ("vendor",), lambda seen: seen.tallies.call_seconds
    ),
    Family(
        "counter",
        "recipients_ended",
        "Recipients of stored messages that have come to their end",
        ("vendor", "state"),
        lambda seen: seen.tallies.recipients_ended,
    ),
    Family("gauge", "recipients", "All recipients ever accepted, by where they stand", ("state",), _totals),
    Family("gauge", "queue_messages", "Messages that wait, held ones too", ("vendor",), _depth),
    Family("gauge", "queue_oldest_seconds", "Age of the oldest of them", ("vendor",), _oldest),
    Family(
        "gauge",
        "lanes",
        "Lanes of which the queue knows something, by the state of their breaker",
        ("vendor", "state"),
        _lanes,
    ),
    Family("gauge", "store_up", "Whether the store answers", (), _one(lambda seen: seen.figures.is_reachable)),
    Family(
        "counter",
        "messages_not_logged",
        "Messages of direct mode that the message log has lost",
        (),
        _one(lambda seen: seen.gauges.messages_not_logged),
    ),
    Family("gauge", "workers", "Processes that should serve", (), _one(lambda seen: seen.gauges.workers)),
    Family("gauge", "workers_serving", "Processes that do serve", (), _one(lambda seen: seen.gauges.workers_serving)),
    Family(
        "gauge",
        "certificate_expiry_timestamp_seconds",
        "When a certificate in use expires, since 1970",
        ("certificate",),
        lambda seen: _named(seen.tallies.certificate_ends),
    ),
    Family(
        "gauge",
        "memory_octets",
        "Resident memory of each process",
        ("process",),
        lambda seen: _named(seen.gauges.memory_octets),
    ),
    Family(
        "gauge",
        "disk_free_octets",
        "What is free on the disk of the state folder",
        (),
        _one(lambda seen: seen.gauges.disk_free_octets),
    ),
    Family("counter", "alarms", "Alarms in the log", (), _one(lambda seen: seen.tallies.alarms)),
    Family("counter", "faults", "Faults of the gateway itself", (), _one(lambda seen: seen.tallies.faults)),
)
"""All metrics there are, in the order of the table."""


class Metrics:
    """The page. gauges gives those of the moment."""

    def __init__(self, tallies: Tallies, figures: StoreFigures, gauges: Callable[[], Gauges]) -> None:
        self._tallies = tallies
        self._figures = figures
        self._gauges = gauges

    async def page(self) -> bytes:
        """Everything, as text. A store that does not answer in time leaves its values as they were."""
        await self._figures.refresh()
        registry = CollectorRegistry()
        registry.register(_Scrape(Seen(self._tallies, self._figures, self._gauges())))
        return generate_latest(registry)


class _Scrape(Collector):
    """One scrape's values, for the library to write down."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def collect(self) -> Iterable[Metric]:
        """Each family with its samples."""
        return (_metric(one, one.values(self._seen)) for one in FAMILIES)


def _metric(family: Family, values: Values | Mapping[Labels, Histogram]) -> Metric:
    name = PREFIX + family.name
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(name, family.meaning, labels=family.labels)
        for labels, value in values.items():
            if isinstance(value, Histogram):
                histogram.add_metric(labels, list(_buckets(value)), value.total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(name, family.meaning, labels=family.labels)
    for labels, value in values.items():
        if not isinstance(value, Histogram):
            metric.add_metric(labels, value)
    return metric


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float]]:
    """The buckets with what is in them and in all below, as the format asks for."""
    return zip((*map(str, BOUNDS_SECONDS), "+Inf"), accumulate(histogram.counts), strict=True)
