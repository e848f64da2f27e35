"""What a check found: how good it is, where, what it is, and what to do about it; as a table, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

Grade = Literal["good", "note", "problem"]
COLOURS = {"good": "32", "note": "33", "problem": "31"}  # green, yellow, red (ECMA-48 §8.3.117)
MARKS = {"good": "ok", "note": "note", "problem": "PROBLEM"}


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. path is a setting, or a name of what was asked. advice: what to do, if anything."""

    grade: Grade
    path: str
    text: str
    advice: str = ""


def good(path: str, text: str) -> Finding:
    """All is well."""
    return Finding("good", path, text)


def note(path: str, text: str, advice: str = "") -> Finding:
    """Worth knowing, and no reason to fail."""
    return Finding("note", path, text, advice)


def problem(path: str, text: str, advice: str = "") -> Finding:
    """A start would fail or serve badly."""
    return Finding("problem", path, text, advice)


def has_problem(findings: Sequence[Finding]) -> bool:
    """Whether anything is wrong."""
    return any(one.grade == "problem" for one in findings)


def table(findings: Sequence[Finding], *, colour: bool) -> Iterator[str]:
    """A line for each finding, and one for each advice below it."""
    marks = max((len(MARKS[one.grade]) for one in findings), default=0)
    for one in findings:
        mark = MARKS[one.grade].ljust(marks)
        shown = f"\x1b[{COLOURS[one.grade]}m{mark}\x1b[0m" if colour else mark
        where = f"{one.path}: " if one.path else ""
        yield f"{shown}  {where}{one.text}"
        if one.advice:
            yield f"{' ' * marks}    -> {one.advice}"


def as_json(findings: Sequence[Finding]) -> str:
    """An object with good (whether nothing is wrong) and findings, each with grade, path, text and advice."""
    document = {"good": not has_problem(findings), "findings": findings}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
