"""Reads what a request of the control API asks for: selections, page sizes, actions.

Errors say which parameter is wrong and what to write instead.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from gateway.store.records import Selection, State

DEFAULT_LIMIT = 50
LIMIT = 500  # a listing of so many is a quarter of a megabyte, and one action's transaction stays below a second
BODY_OCTETS = 256 * 1024  # 500 ids and a selection have a tenth of it
TEXTS = ("account", "vendor", "recipient", "header_message_id", "vendor_message_id", "text", "before")
NAMES = {"account": "account_name", "before": "before_id"}
TEXT_CHARACTERS = 320  # what the longest address has (RFC 5321 §4.5.3.1); a request line has room for all of them
MESSAGE_ID = r"^[0-9A-Za-z]{10,64}$"  # ours have 20
STATES = 50
IDS = 20  # in a query string


class QueryError(Exception):
    """The request cannot be understood; the text says which parameter, and what was expected."""


class NoVendorError(Exception):
    """Messages are to be moved to a vendor entry that the settings do not have."""


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with which waiting messages. limit: of at most so many."""

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
    if len(arguments.get("id", ())) > IDS:
        raise QueryError(f"id: expected at most {IDS}")
    if len(arguments.get("state", ())) > STATES:
        raise QueryError(f"state: expected at most {STATES}")
    if not all(re.match(MESSAGE_ID, one) for one in arguments.get("id", ())):
        raise QueryError("id: expected a message id, as in the reply to the client's data and in listings")
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


_Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]
_Ids = Annotated[list[Annotated[str, msgspec.Meta(pattern=MESSAGE_ID)]], msgspec.Meta(min_length=1, max_length=LIMIT)]
_Texts = Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=LIMIT)]


class _ActionBody(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of an action."""

    action: Literal["retry", "hold", "release", "cancel", "move"]
    ids: _Ids | msgspec.UnsetType = msgspec.UNSET
    selection: dict[str, _Text | _Texts] | msgspec.UnsetType = msgspec.UNSET
    vendors: _Texts | msgspec.UnsetType = msgspec.UNSET
    limit: Annotated[float, msgspec.Meta(ge=1, le=LIMIT, multiple_of=1)] = LIMIT  # JSON's 2.0 is an integer too


def read_action(body: bytes, vendors: frozenset[str]) -> Action:
    """An action from its JSON. vendors are the entries of the settings, to which messages may be moved."""
    told: _ActionBody = decode_body(body, _ActionBody)
    entries = () if told.vendors is msgspec.UNSET else tuple(told.vendors)
    if (told.action == "move") != (told.vendors is not msgspec.UNSET):
        raise QueryError("vendors: expected with the action move, and with no other: the entries to leave by, in order")
    for name in entries:
        if name not in vendors:
            raise NoVendorError(f"vendors: there is no vendor {name}; there are: {', '.join(sorted(vendors))}")
    return Action(told.action, _chosen(told), entries, int(told.limit))


def _chosen(told: _ActionBody) -> Selection:
    """The messages that an action is for."""
    by_id = () if told.ids is msgspec.UNSET else tuple(told.ids)
    conditions = {} if told.selection is msgspec.UNSET else told.selection
    if (told.ids is msgspec.UNSET) == (told.selection is msgspec.UNSET) or not (by_id or conditions):
        raise QueryError("expected either ids, a list of message ids, or selection, an object with conditions")
    for name in ("id", "limit"):
        if name in conditions:
            raise QueryError(f"selection: there is no condition {name}")
    lists = {name: value if isinstance(value, list) else [value] for name, value in conditions.items()}
    check_texts(lists)
    return Selection(message_ids=by_id) if by_id else read_selection(lists)


def check_texts(asked: Mapping[str, list[str]]) -> None:
    """QueryError for what is too long, or what no message can have."""
    for name, values in asked.items():
        if any(len(one) > TEXT_CHARACTERS for one in values):
            raise QueryError(f"{name}: expected at most {TEXT_CHARACTERS} characters")
        if any("\0" in one for one in values):
            raise QueryError(f"{name}: has a NUL, which no message has")


class NewCredential(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of a credential to make. user_name is made up when empty; challenge_mechanisms: its secret is kept,
    sealed, for CRAM-MD5 and DIGEST-MD5."""

    vendor: _Text
    user_name: _Text = ""
    stream: _Text = ""
    challenge_mechanisms: bool = False


def read_new_credential(body: bytes) -> NewCredential:
    """A credential to make, from its JSON."""
    told: NewCredential = decode_body(body, NewCredential)
    check_texts({"vendor": [told.vendor], "user_name": [told.user_name], "stream": [told.stream]})
    return told


def decode_body(body: bytes, shape: type[Any]) -> Any:
    """A JSON body of this shape. QueryError when it has another."""
    if len(body) > BODY_OCTETS:
        raise QueryError(f"expected at most {BODY_OCTETS} octets")
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise QueryError(f"expected JSON as described by /api/v1/openapi.json: {error}") from None


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
