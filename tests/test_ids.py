"""Ids sort by time, cannot be guessed, and are safe in a log, a reply and a path."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.ids import new_id

SECONDS = st.floats(0, 4e9)


@given(SECONDS, SECONDS)
def test_a_later_id_sorts_behind_an_earlier_one(one, other):
    earlier, later = sorted((one, other))
    if int(earlier * 1000) < int(later * 1000):
        assert new_id(lambda: earlier) < new_id(lambda: later)


@given(SECONDS)
def test_an_id_has_twenty_characters_that_read_well(seconds):
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{20}", new_id(lambda: seconds))


def test_ids_of_one_moment_differ():
    assert len({new_id(lambda: 1.0) for _ in range(10_000)}) == 10_000
