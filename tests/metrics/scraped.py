"""What a running gateway shows at /metrics, read with Prometheus's own parser."""

from __future__ import annotations

import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import HTTP_SECONDS, RunningGateway


class Scraped:
    """One scrape: samples by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {one.name: one for one in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name, without prefix, that have these labels; 0 for none."""
        return sum(
            one.value
            for one in self.samples
            if one.name == f"mailgateway_{name}" and labels.items() <= one.labels.items()
        )

    def names(self) -> set[str]:
        """The names of all samples."""
        return {one.name for one in self.samples}


def get(gateway: RunningGateway, path: str, **headers: str) -> bytes:
    """What the console answers."""
    request = urllib.request.Request(f"{gateway.console_url}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as answer:
        octets: bytes = answer.read()
        return octets


def scrape(gateway: RunningGateway) -> Scraped:
    """What there is now."""
    return Scraped(get(gateway, "/metrics").decode())


def counted(scraped: Scraped) -> dict[Any, float]:
    """All counters, by name and labels."""
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for one in scraped.samples
        if one.name.endswith(("_total", "_count", "_bucket"))
    }
