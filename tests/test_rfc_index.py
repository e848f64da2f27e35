"""docs/rfc-index.txt and the references in the code agree."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENTRY = re.compile(r"^(\d+)  (yes|partial|no) +\S.*$")
LINES = [line for line in (ROOT / "docs" / "rfc-index.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]
SUPPORT = {match[1]: match[2] for match in map(ENTRY.match, LINES) if match}


def referenced() -> set[str]:
    files = [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "gateway").rglob("*.sql")]
    return {number for file in files for number in re.findall(r"RFC (\d+)", file.read_text("utf-8"))}


def test_every_line_of_the_index_is_an_entry_in_order():
    assert [line for line in LINES if not ENTRY.match(line)] == []
    assert list(map(int, SUPPORT)) == sorted(map(int, SUPPORT))


def test_every_rfc_that_the_code_refers_to_is_in_the_index():
    assert sorted(referenced() - SUPPORT.keys(), key=int) == []


def test_what_the_index_says_is_done_is_referred_to_in_the_code():
    done = {number for number, support in SUPPORT.items() if support != "no"}
    assert sorted(done - referenced(), key=int) == []
