"""Reads the query of Postmark's GET /bounces (contract: postmark.md, 2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.notices.bounces import TYPE
from gateway.store.records import Selection

MOST = 500  # the contract's: a page
REACH = 10_000  # the contract's: count and offset together


class BounceQueryError(Exception):
    """A parameter cannot be understood; the text says which, and what was expected."""


@dataclass(frozen=True, slots=True)
class BounceQuery:
    """Which bounces are asked for. is_empty: none can fit, because there are no such bounces here."""

    selection: Selection
    count: int
    offset: int
    tag: str
    stream: str
    is_empty: bool


def read_bounce_query(parameters: Mapping[str, str], account_name: str) -> BounceQuery:
    """The query of an account, which sees its own bounces alone. Unknown parameters mean nothing, as at the vendor."""
    count, offset = _number(parameters, "count", 1), _number(parameters, "offset", 0)
    if count > MOST or count + offset > REACH:
        raise BounceQueryError(f"count is {MOST} at most, and count and offset together {REACH}.")
    message_id, kind = parameters.get("messageID", ""), parameters.get("type", "")
    selection = Selection(
        account_name=account_name,
        message_ids=(message_id,) if message_id else (),
        recipient=parameters.get("emailFilter", ""),
        received_from=_time(parameters, "fromdate"),
        received_until=_time(parameters, "todate", is_end=True),
    )
    return BounceQuery(
        selection,
        count,
        offset,
        tag=parameters.get("tag", ""),
        stream=parameters.get("messagestream", ""),
        is_empty=parameters.get("inactive", "").lower() == "true" or kind.lower() not in ("", TYPE.lower()),
    )


def _number(parameters: Mapping[str, str], name: str, least: int) -> int:
    text = parameters.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) >= least):
        raise BounceQueryError(f"{name}: expected a number of at least {least}.")
    return int(text)


def _time(parameters: Mapping[str, str], name: str, *, is_end: bool = False) -> float | None:
    """A date or time, in universal time where it says nothing else; a date that ends the search means all that day."""
    text = parameters.get(name, "")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        is_date = len(text) <= len("2026-11-21")
        return (at + timedelta(days=1) if is_end and is_date else at).timestamp()
    except (ValueError, OverflowError):
        raise BounceQueryError(f'{name}: expected a date such as "2026-11-21" or "2026-11-21T12:00:00".') from None
