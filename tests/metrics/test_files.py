"""The dashboard, the alert rules and the table in the docs speak of metrics and labels that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.console.metrics import FAMILIES
from gateway.smtp.endings import CLIENT_GONE, ENDINGS, OTHERWISE
from tests.metrics.scraped import Scraped, scrape
from tests.queue.api import Api
from tests.queue.gateways import route, run_queue, settings_text, submit, until, vendor

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "etc/grafana-dashboard.json").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "etc/alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
OF_PROMETHEUS = {"instance", "job", "le"}
SELECTOR = re.compile(r"(mailgateway_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"([a-z_]+)\s*=?[=~!]")
GROUPING = re.compile(r"by \(([^)]*)\)")
ROW = re.compile(r"^\| `(mailgateway_[a-z_]+)` \| (\w+) \|([^|]*)\|", re.M)


def expressions(table: Any) -> Iterator[str]:
    """Everything below that Prometheus is asked for."""
    if isinstance(table, dict):
        for name, value in table.items():
            if name == "expr":
                yield value
            elif name != "expr":
                yield from expressions(value)
    elif isinstance(table, list):
        for one in table:
            yield from expressions(one)


EXPRESSIONS = [*expressions(DASHBOARD), *expressions(ALERTS)]


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Iterator[Scraped]:
    """What a gateway shows that has taken, stored and relayed a message."""
    api = Api()
    with run_queue(
        tmp_path_factory.mktemp("files"), settings_text(vendor("postscale", api.url), route("postscale"))
    ) as gateway:
        assert submit(gateway, "ann@cust.example")[0] == 250
        yield until(lambda: (now := scrape(gateway)).sum("recipients_ended_total") == 1 and now, gateway)
    api.close()


def test_there_are_expressions_and_metrics_in_them():
    assert len(EXPRESSIONS) > 40
    assert [one for one in EXPRESSIONS if not SELECTOR.search(one)] == ['up{job="mailgateway"} == 0']


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_asked_for_exists(shown, expression):
    labels = {one.name: set(one.labels) for one in shown.samples}
    asked = SELECTOR.findall(expression)
    for name, matchers in asked:
        assert name in labels
        assert set(LABEL.findall(matchers)) <= labels[name] | OF_PROMETHEUS
    known = set().union(OF_PROMETHEUS, *(labels[name] for name, _ in asked))
    for grouping in GROUPING.findall(expression):
        assert {one.strip() for one in grouping.split(",")} <= known


def test_every_metric_is_shown_and_most_are_looked_at(shown):
    assert {one.full_name for one in FAMILIES} == {
        one.name + "_total" * (one.type == "counter") for one in shown.families.values()
    }
    asked = {name for one in EXPRESSIONS for name, _ in SELECTOR.findall(one)}
    unused = {one.full_name for one in FAMILIES} - {re.sub("_bucket$", "", one) for one in asked}
    assert unused == set()


def test_the_table_in_the_docs_is_the_code():
    rows = ROW.findall((ROOT / "docs/OPERATING.md").read_text("utf-8"))
    told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert told == {one.full_name: (one.kind, one.labels) for one in FAMILIES}


def test_the_docs_know_every_word_for_the_end_of_a_session():
    text = (ROOT / "docs/OPERATING.md").read_text("utf-8")
    assert [one for one in {*ENDINGS.values(), OTHERWISE, CLIENT_GONE, "worker-lost"} if f"`{one}`" not in text] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_it_is(rule):
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule["annotations"]["summary"]


def test_panels_do_not_lie_upon_each_other():
    places = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not places & cells, panel["title"]
        places |= cells
