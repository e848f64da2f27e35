"""docs/SANDBOX.md lists the magic that the sandbox has."""

from __future__ import annotations

from pathlib import Path

from gateway.sandbox.postscale_magic import KEYS, RECIPIENTS

TEXT = (Path(__file__).parents[2] / "docs" / "SANDBOX.md").read_text("utf-8")


def test_every_magic_recipient_and_key_is_told_with_its_meaning():
    rows = [f"| `{one.name}@sandbox.example` | {one.meaning} |" for one in RECIPIENTS]
    rows += [f"| `{one.prefix}…` | {one.meaning} |" for one in KEYS]
    assert [row for row in rows if row not in TEXT] == []
