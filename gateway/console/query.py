"""Reads what a request of the control API asks for: selections, page sizes, actions.

Errors say which parameter is wrong and what to write instead.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.store.records import Selection, State

DEFAULT_LIMIT = 50
LIMIT = 500  # a listing of so many is a quarter of a megabyte, and one action's transaction stays below a second
BODY_OCTETS = 256 * 1024  # 500 ids and a selection have a tenth of it
TEXTS = ("account", "vendor", "recipient", "header_message_id", "vendor_message_id", "text", "before")
NAMES = {"account": "account_name", "before": "before_id"}
ACTIONS = ("retry", "hold", "release", "cancel", "move")


class QueryError(Exception):
    """The request cannot be understood; the text says which parameter, and what was expected."""


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with which waiting messages. after is the id of the last message that the call before looked at."""

    name: str
    selection: Selection
    vendors: tuple[str, ...]
    limit: int


def read_selection(arguments: Mapping[str, list[str]]) -> Selection:
    """The messages that a query string means. QueryError for an unknown parameter or a bad value."""
    known = {*TEXTS, "id", "state", "from", "until", "limit"}
    for name in arguments:
        if name not in known:
            raise QueryError(f"there is no parameter {name}; there are: {', '.join(sorted(known))}")
    texts = {NAMES.get(name, name): arguments[name][-1] for name in TEXTS if name in arguments}
    return Selection(
        message_ids=tuple(arguments.get("id", ())),
        states=tuple(_state(one) for one in arguments.get("state", ())),
        received_from=_time(arguments, "from"),
        received_until=_time(arguments, "until"),
        **texts,
    )


def read_limit(arguments: Mapping[str, list[str]]) -> int:
    """How many to give."""
    text = arguments.get("limit", [str(DEFAULT_LIMIT)])[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LIMIT):
        raise QueryError(f"limit: expected a number from 1 to {LIMIT}")
    return int(text)


def read_number(arguments: Mapping[str, list[str]], name: str) -> int:
    """A number that counts up from 0, 0 when it is missing."""
    text = arguments.get(name, ["0"])[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise QueryError(f"{name}: expected a number")
    return int(text)


class _ActionBody(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of an action."""

    action: str
    ids: list[str] = []
    selection: dict[str, str | list[str]] = {}
    vendors: list[str] = []
    limit: int = LIMIT


def read_action(body: bytes, vendors: frozenset[str]) -> Action:
    """An action from its JSON. vendors are the entries of the settings, to which messages may be moved."""
    told = _decoded(body)
    if told.action not in ACTIONS:
        raise QueryError(f"action: expected one of {', '.join(ACTIONS)}")
    if bool(told.ids) == bool(told.selection):
        raise QueryError("expected either ids, a list of message ids, or selection, an object with conditions")
    if (told.action == "move") != bool(told.vendors):
        raise QueryError("vendors: expected with the action move, and with no other: the entries to leave by, in order")
    for name in told.vendors:
        if name not in vendors:
            raise QueryError(f"vendors: there is no vendor {name}; there are: {', '.join(sorted(vendors))}")
    if not 1 <= told.limit <= LIMIT or len(told.ids) > LIMIT:
        raise QueryError(f"limit: expected at most {LIMIT} messages a call")
    lists = {name: value if isinstance(value, list) else [value] for name, value in told.selection.items()}
    selection = Selection(message_ids=tuple(told.ids)) if told.ids else read_selection(lists)
    return Action(told.action, selection, tuple(told.vendors), told.limit)


def decode_body(body: bytes, shape: type[Any]) -> Any:
    """A JSON body of this shape. QueryError when it has another."""
    if len(body) > BODY_OCTETS:
        raise QueryError(f"expected at most {BODY_OCTETS} octets")
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise QueryError(f"expected JSON as described by /api/v1/openapi.json: {error}") from None


def _decoded(body: bytes) -> _ActionBody:
    told: _ActionBody = decode_body(body, _ActionBody)
    return told


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise QueryError(f"state: expected one of {', '.join(State)}") from None


def _time(arguments: Mapping[str, list[str]], name: str) -> float | None:
    if name not in arguments:
        return None
    try:
        at = datetime.datetime.fromisoformat(arguments[name][-1])
        return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        raise QueryError(f"{name}: expected a time such as 2026-01-31T12:00:00Z") from None
