"""The colours of the pages can be read: WCAG 2.2's contrast of 4.5 to 1 for text, in both schemes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gateway.console

CSS = Path(gateway.console.__file__).parent.joinpath("static", "console.css").read_text("utf-8")
LIGHT, DARK = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
TEXT = {
    "ink": ("ground", "card", "code", "hover", "info-ground"),
    "quiet": ("ground", "card", "code", "hover"),
    "accent": ("ground", "card"),
    "on-accent": ("accent",),
    "good": ("good-ground", "card"),
    "bad": ("bad-ground", "card", "hover"),
    "warn": ("warn-ground",),
    "info": ("info-ground",),
}
SHAPES = ("c-accepted", "c-relayed", "c-refused", "c-deferred", "c-waiting")


def colours(block):
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def luminance(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_charts_stand_out_from_what_they_are_on(scheme):
    found = colours(scheme)
    weak = [(text, on) for text, grounds in TEXT.items() for on in grounds if contrast(found[text], found[on]) < 4.5]
    assert weak == []
    # 3 to 1 is asked of shapes (1.4.11)
    assert [one for one in SHAPES if contrast(found[one], found["card"]) < 3] == []


def test_both_schemes_have_a_colour_for_everything():
    assert colours(LIGHT).keys() == colours(DARK).keys()
