"""docs/SANDBOX.md lists the magic of every sandbox, and the console has the same tables."""

from __future__ import annotations

import html
import importlib
from pathlib import Path

import pytest

from gateway.sandbox.magic import MagicTable

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "SANDBOX.md").read_text("utf-8")
NAMES = sorted(one.stem for one in (ROOT / "gateway" / "sandbox").glob("*_magic.py"))
TABLES: list[MagicTable] = [importlib.import_module(f"gateway.sandbox.{name}").TABLE for name in NAMES]
BY_VENDOR = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.vendor)


def rows(table: MagicTable) -> dict[str, str]:
    """What makes it fail, as it is written, and what happens."""
    written = {f"{one.name}@{table.domain}": one.meaning for one in table.recipients}
    written |= {f"{one.prefix}…": one.meaning for one in table.keys}
    return {**written, **table.senders, **table.others}


def test_every_vendor_has_a_table():
    vendors = {one.stem for one in (ROOT / "gateway" / "vendors").glob("[a-z]*.py")}
    assert {table.vendor for table in TABLES} == vendors


@BY_VENDOR
def test_all_magic_is_told_with_its_meaning_in_the_vendors_section(table):
    section = TEXT.partition(f"### {table.vendor}\n")[2].partition("\n##")[0]
    lines = [f"| `{written}` | {meaning} |" for written, meaning in rows(table).items()]
    assert [line for line in lines if line not in section] == []
    assert table.note in section


@BY_VENDOR
def test_no_row_is_told_that_is_no_magic(table):
    section = TEXT.partition(f"### {table.vendor}\n")[2].partition("\n##")[0]
    told = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(told) == sorted(rows(table))


def test_the_console_shows_the_tables_of_all_its_sandboxes(console):
    page = console.get("/sandbox/magic").text
    for table in TABLES:
        assert f'href="#{table.vendor}"' in page
        section = page.partition(f'<h2 id="{table.vendor}">')[2].partition("</section>")[0]
        for written, meaning in rows(table).items():
            assert f'<dt class="mono">{html.escape(written, quote=False)}</dt>' in section
            assert html.escape(meaning, quote=False) in section.replace("&#34;", '"').replace("&#39;", "'")
