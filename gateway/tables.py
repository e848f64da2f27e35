"""Reads TOML tables into frozen dataclasses, strictly, and lists everything that is wrong, not just the first thing.

A field's type says what is expected: str, int (at least 1), float (above 0), bool, Path, Literal, Secret,
tuple[X, ...], dict[str, X], another dataclass, or one of these or None. A dataclass may have problems(), for what
concerns several fields.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gateway.secret import Secret, SecretError


class Problem(NamedTuple):
    """Something wrong: where, as the dotted path of the setting, and what was expected."""

    path: str
    text: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.path}: {self.text}" if self.path else self.text


class SettingsError(Exception):
    """The settings cannot be used; problems says where and why, each in one line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def read_table(kind: type[Any], table: object, path: str, problems: list[Problem]) -> Any:
    """A dataclass from a table; None when there were problems, which are added to the list."""
    if not isinstance(table, Mapping):
        problems.append(Problem(path, f"expected a table, got {_named(table)}"))
        return None
    before = len(problems)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    problems += (Problem(_join(path, key), _unknown(key, list(fields))) for key in table if key not in fields)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = read_value(hints[name], table[name], _join(path, name), problems)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems.append(Problem(_join(path, name), "missing; it has no default"))
    if len(problems) > before:
        return None
    result = kind(**values)
    found: Callable[[], Iterator[tuple[str, str]]] = getattr(result, "problems", lambda: iter(()))
    problems += (Problem(_join(path, name), text) for name, text in found())
    return result


def read_value(kind: Any, value: object, path: str, problems: list[Problem]) -> Any:
    """A value of that type; None when there were problems, which are added to the list."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType or origin is typing.Union:
        (kind,) = (one for one in arguments if one is not types.NoneType)
        return read_value(kind, value, path, problems)
    if dataclasses.is_dataclass(kind):
        if kind is Secret:
            return _secret(value, path, problems)
        return read_table(typing.cast(type, kind), value, path, problems)
    if origin is tuple:
        return _list(arguments[0], value, path, problems)
    if origin is dict:
        return _named_tables(arguments[1], value, path, problems)
    return _plain(kind, value, path, problems)


def _list(kind: Any, value: object, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, list):
        problems.append(Problem(path, f"expected a list, got {_named(value)}"))
        return None
    return tuple(read_value(kind, one, f"{path}[{number}]", problems) for number, one in enumerate(value))


def _named_tables(kind: Any, value: object, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"expected a table of tables, got {_named(value)}"))
        return None
    return {name: read_value(kind, one, _join(path, name), problems) for name, one in value.items()}


def _plain(kind: Any, value: object, path: str, problems: list[Problem]) -> Any:
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if value in choices:
            return value
        wanted = " or ".join(f'"{one}"' for one in choices)
        problems.append(Problem(path, f"expected {wanted}, got {_shown(value)}"))
        return None
    name, fits, convert = PLAIN[kind]
    if fits(value):
        return convert(value)
    problems.append(Problem(path, f"expected {name}, got {_shown(value)}"))
    return None


PLAIN: Mapping[Any, tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = {
    str: ("a string that is not empty", lambda value: isinstance(value, str) and bool(value.strip()), str),
    bool: ("true or false", lambda value: isinstance(value, bool), bool),
    int: (
        "a whole number of at least 1",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
        int,
    ),
    float: (
        "a number above 0",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"),
        float,
    ),
    Path: ("a path as a string", lambda value: isinstance(value, str) and bool(value.strip()), Path),
}


def _secret(value: object, path: str, problems: list[Problem]) -> Secret | None:
    try:
        return Secret.from_setting(value)
    except SecretError as error:
        problems.append(Problem(path, str(error)))
        return None


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"unknown setting; {hint}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    return (
        f'"{value}"'
        if isinstance(value, str)
        else f"{_named(value)} {value}"
        if isinstance(value, int)
        else _named(value)
    )


def _named(value: object) -> str:
    names = {str: "a string", bool: "a boolean", int: "the number", float: "a decimal number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, Mapping) else type(value).__name__)
