"""Header fields of requests: a value can never begin a line of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http_client import field_line


def test_a_field_is_written_as_it_is():
    assert field_line("Authorization", "Bearer k\u00e9y") == "Authorization: Bearer k\u00e9y\r\n".encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_a_value_holds_it_is_one_line(value):
    line = field_line("X-Key", value)
    assert line.startswith(b"X-Key: ")
    assert line.endswith(b"\r\n")
    assert not {13, 10} & set(line[:-2])


@pytest.mark.parametrize("name", ["", "X Key", "X:Key", "X-K\u00e9y", "X\r\nY"])
def test_a_name_that_is_no_token_is_refused(name):
    with pytest.raises(ValueError, match="no name"):
        field_line(name, "x")
