"""JSON in a header field: what it says, repeats included, or which key of which field is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialect_fields import DialectError, read_json_strings

# Lone halves of a surrogate pair are in no JSON text that UTF-8 can carry
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT)))
def test_keys_and_strings_come_in_order_and_with_repeats(pairs):
    body = "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs) + "}"
    assert read_json_strings("X-Variables", body) == pairs


@pytest.mark.parametrize("body", ["", "  ", "{}", " {\n} "])
def test_an_empty_field_and_an_empty_object_say_nothing(body):
    assert read_json_strings("X-Variables", body) == []


@given(st.text())
def test_whatever_stands_there_is_read_or_refused_by_the_fields_name(body):
    try:
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in read_json_strings("X-V", body))
    except DialectError as error:
        assert str(error).startswith("X-V is not a JSON object of strings: ")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("null", "null"), ("true", "true or false"), ("1", "a number"), ("1.5", "a number"), ("[]", "an array"),
        ("[[1]]", "an array"), ("{}", "an object"), ('{"a": 1}', "an object"), ("9" * 5000, "a number"),
        ('"a\\ud800"', "no text: half a character is in it"),
    ],
)  # fmt: skip
def test_a_value_that_is_no_string_is_told_with_its_key_and_kind(value, kind):
    with pytest.raises(DialectError) as error:
        read_json_strings("X-Variables", f'{{"good": "1", "bad": {value}}}')
    assert str(error.value) == f'X-Variables is not a JSON object of strings: the value of "bad" is {kind}'


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 100_000, '{"a": NaN}', '{"a": "\\ud800"}', "{'a': 'b'}", '{"a"']
)
def test_what_is_no_json_is_refused_however_deep_it_is(body):
    with pytest.raises(DialectError, match="is not a JSON object of strings"):
        read_json_strings("X-Variables", body)
