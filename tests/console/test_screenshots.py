"""The pictures of the README can be made, and are those that it shows."""

from __future__ import annotations

import re
from pathlib import Path

from tests.console import screenshots

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_pictures_are_the_ones_that_are_made_and_none_is_large(browser, operated, tmp_path):
    screenshots.fill(operated.folder)
    screenshots.make_all(browser, operated.base, tmp_path / "images")
    made = {one.name for one in (tmp_path / "images").iterdir()}
    shown = set(re.findall(r"\(docs/images/([^)]+)\)", README.read_text("utf-8")))
    assert made == shown == {one.name for one in screenshots.IMAGES.iterdir()}
    for folder in (tmp_path / "images", screenshots.IMAGES):
        assert all(one.stat().st_size < screenshots.LARGEST_OCTETS for one in folder.iterdir())
