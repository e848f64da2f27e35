"""What a dialect's header field may say beyond plain text: a JSON object of strings; and how a bad one is refused."""

from __future__ import annotations

import json

KINDS = {bool: "true or false", float: "a number", list: "an array", tuple: "an object", str: "a string"}
KEY_CHARACTERS = 60  # of a key are shown; a reply line has little room, and the field is before the client's eyes


class DialectError(Exception):
    """A dialect's header field cannot be read; the text says which and why, fit for the client to see."""


def read_json_strings(name: str, body: str) -> list[tuple[str, str]]:
    """The keys and strings of the JSON object in a field, in order and with repeats; none for an empty field.

    DialectError names the field, and the key whose value is no string.
    """
    if not body.strip():
        return []
    try:
        # The library's own reader, because it keeps repeats (as tuples). A number's value does not matter here, and
        # int() would refuse those of 4,300 digits
        value = json.loads(body, object_pairs_hook=tuple, parse_int=float, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        told = f"{error.msg} (character {error.pos})"
        raise DialectError(f"{name} is not a JSON object of strings: JSON is malformed: {told}") from None
    except ValueError as error:
        raise DialectError(f"{name} is not a JSON object of strings: JSON is malformed: {error}") from None
    except RecursionError:
        raise DialectError(f"{name} is not a JSON object of strings: nested too deeply") from None
    if not isinstance(value, tuple):
        raise DialectError(f"{name} is not a JSON object of strings: it is {_kind(value)}")
    return [(key, _string(name, key, one)) for key, one in value]


def _string(name: str, key: str, value: object) -> str:
    if isinstance(value, str) and _is_text(key) and _is_text(value):
        return value
    shown = json.dumps(key[:KEY_CHARACTERS], ensure_ascii=not _is_text(key))
    kind = "no text: half a character is in it" if isinstance(value, str) else _kind(value)
    raise DialectError(f"{name} is not a JSON object of strings: the value of {shown} is {kind}")


def _no_constant(name: str) -> object:
    """NaN and the infinities, which Python reads and JSON does not have (RFC 8259 §6)."""
    raise ValueError(f"{name} is no JSON value")


def _is_text(string: str) -> bool:
    """JSON can escape half of a character (RFC 8259 §8.2), which nothing else can carry."""
    return not any("\ud800" <= one <= "\udfff" for one in string)


def _kind(value: object) -> str:
    return KINDS.get(type(value), "null")
