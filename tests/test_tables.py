"""Tables are read strictly: everything that is wrong is listed, each thing with its path and what was expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.secret import Secret
from gateway.tables import Problem, read_table


@dataclass(frozen=True)
class Inner:
    size: int
    name: str = "n"

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.size == 13:
            yield "size", "unlucky"


@dataclass(frozen=True)
class Outer:
    count: int = 1
    ratio: float = 1.0
    on: bool = False
    text: str = "t"
    where: Path | None = None
    mode: Literal["a", "b"] = "a"
    secret: Secret | None = None
    inner: Inner | None = None
    list: tuple[Inner, ...] = ()
    words: tuple[str, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)


def read(table: object) -> tuple[Outer | None, list[str]]:
    problems: list[Problem] = []
    result = read_table(Outer, table, "", problems)
    return result, [str(one) for one in problems]


def test_good_values_arrive_with_their_types():
    table = {
        "count": 2, "ratio": 3, "on": True, "text": "x", "where": "/a", "mode": "b", "secret": {"env": "E"},
        "inner": {"size": 4}, "list": [{"size": 1}, {"size": 2, "name": "z"}], "words": ["a"],
        "named": {"x": {"size": 9}},
    }  # fmt: skip
    assert read(table) == (
        Outer(
            2, 3.0, True, "x", Path("/a"), "b", Secret("env", "E"), Inner(4), (Inner(1), Inner(2, "z")), ("a",),
            {"x": Inner(9)},
        ),
        [],
    )  # fmt: skip


def test_an_empty_table_is_all_defaults():
    assert read({}) == (Outer(), [])


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"cuont": 1}, "cuont: unknown setting; did you mean count?"),
        ({"zzz": 1}, "zzz: unknown setting; known here: count, ratio, on,"),
        ({"count": 0}, "count: expected a whole number of at least 1, got the number 0"),
        ({"count": True}, "count: expected a whole number of at least 1, got a boolean"),
        ({"count": 1.5}, "count: expected a whole number of at least 1, got a decimal number"),
        ({"count": "1"}, 'count: expected a whole number of at least 1, got "1"'),
        ({"ratio": 0}, "ratio: expected a number above 0"),
        ({"ratio": -1.5}, "ratio: expected a number above 0"),
        ({"ratio": float("inf")}, "ratio: expected a number above 0"),
        ({"ratio": float("nan")}, "ratio: expected a number above 0"),
        ({"ratio": True}, "ratio: expected a number above 0"),
        ({"on": 1}, "on: expected true or false, got the number 1"),
        ({"on": "true"}, 'on: expected true or false, got "true"'),
        ({"text": " "}, "text: expected a string that is not empty"),
        ({"text": ["a"]}, "text: expected a string that is not empty, got a list"),
        ({"where": ""}, "where: expected a path as a string"),
        ({"mode": "c"}, 'mode: expected "a" or "b", got "c"'),
        ({"mode": ["a"]}, 'mode: expected "a" or "b", got a list'),
        ({"inner": 5}, "inner: expected a table, got the number"),
        ({"inner": {}}, "inner.size: missing; it has no default"),
        ({"inner": {"size": 1, "nmae": "x"}}, "inner.nmae: unknown setting; did you mean name?"),
        ({"inner": {"size": 13}}, "inner.size: unlucky"),
        ({"list": {"size": 1}}, "list: expected a list, got a table"),
        ({"list": [{"size": 1}, 5]}, "list[1]: expected a table, got the number"),
        ({"list": [{"size": 1}, {"size": 0}]}, "list[1].size: expected a whole number of at least 1"),
        ({"words": ["a", ""]}, "words[1]: expected a string that is not empty"),
        ({"named": []}, "named: expected a table of tables, got a list"),
        ({"named": {"x": {"size": 13}}}, "named.x.size: unlucky"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_path(table, problem):
    result, problems = read(table)
    assert len(problems) == 1
    assert problems[0].startswith(problem)
    assert result is None or problem.endswith("unlucky")


def test_every_problem_is_listed_not_only_the_first():
    _, problems = read({"count": 0, "x": 1, "list": [{"size": 0}, {"size": 13}, {}], "named": {"a": {"size": "1"}}})
    assert [one.partition(":")[0] for one in problems] == [
        "x", "count", "list[0].size", "list[1].size", "list[2].size", "named.a.size",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"file": ""},
        {"file": 5},
        {"file": "a", "env": "b"},
        {"value": "ps_live_secret"},
        ["ps_live_secret"],
        5,
        "ps_live_secret",
    ],
)
def test_a_secret_is_only_pointed_at_and_never_shown(value):
    _, (problem,) = read({"secret": value})
    assert problem.startswith("secret: ")
    assert '{ file = "..." }' in problem
    assert "ps_live_secret" not in problem


toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["count", "ratio", "on", "text", "where", "mode", "secret", "inner", "list", "words", "named", "other"]
)


@given(st.dictionaries(names, toml_values))
def test_any_table_is_read_or_refused_and_never_raises(table):
    result, problems = read(table)
    assert (result is None) == bool(problems)
