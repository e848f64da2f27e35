"""An exchange with a vendor's API, without I/O: what is asked, what is answered, and what every vendor's answers share.

An exchange is a generator: it yields an ApiRequest and is sent the ApiAnswer, or NoAnswer when none came, as often
as it needs, and returns the outcome of every forward-path. A test drives it with canned answers.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import msgspec

from gateway.message import Base64Source, TextSource
from gateway.outcome import Cause, Deferred, Outcome, Unknown
from gateway.quickly import quickly_made

LONGEST_WAIT_SECONDS = 7 * 24 * 3600.0  # no daily or monthly limit asks for more; an absurd number must not overflow

JsonValue: TypeAlias = (
    "str | int | float | bool | TextSource | Base64Source | Mapping[str, JsonValue] | Sequence[JsonValue] | None"
)
"""A JSON document whose long strings may be sources that are read while the request is written."""


@quickly_made
@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request. json is None for a request without a body."""

    method: str
    url: str
    headers: Mapping[str, str]
    json: JsonValue = None


@quickly_made
@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The vendor's answer. Header names are in lower case; body is capped by the HTTP client."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer came. wholly_written tells whether the vendor may have the whole request; reason is for the log."""

    wholly_written: bool
    reason: str


Exchange = Generator[ApiRequest, ApiAnswer | NoAnswer, Mapping[str, Outcome]]
KeyExchange = Generator[ApiRequest, ApiAnswer | NoAnswer, bool | None]
"""Ends with True for a good key, False for a bad one, None when the vendor could not say."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Translation:
    """A submission said in a vendor's API: the exchange that hands it over, and in plain words what it cannot carry.

    The report is whole once the exchange has ended: an answer may have something to add.
    """

    exchange: Exchange
    report: Sequence[str]


@quickly_made
@dataclass(frozen=True, slots=True)
class VendorAccount:
    """Where a vendor's API is and the key to call it with. own_key: the key came from the client, not the operator."""

    url: str
    key: str = field(repr=False)
    own_key: bool = True


def read_no_answer(answer: NoAnswer, account: VendorAccount) -> Outcome:
    """What it means that no answer came: unknown if the vendor may have the request, else deferred."""
    reason = without_key(answer.reason, account)
    return Unknown(reason) if answer.wholly_written else Deferred(Cause.UNAVAILABLE, reason)


def without_key(text: str, account: VendorAccount) -> str:
    """A text of the vendor's, which may repeat the key it was called with."""
    return text.replace(account.key, "***") if account.key else text


def decode_object(body: bytes) -> dict[str, Any]:
    """An answer's body as a JSON object; empty when it is none."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def decode_items(body: bytes, name: str = "") -> list[bytes]:
    """The items of an answer that is a JSON array, or an object with one under that name; empty when it is none."""
    try:
        if not name:
            return [bytes(memoryview(one)) for one in msgspec.json.decode(body, type=list[msgspec.Raw])]
        return decode_items(bytes(memoryview(msgspec.json.decode(body, type=dict[str, msgspec.Raw])[name])))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return []


def retry_after_seconds(answer: ApiAnswer, otherwise: object = None) -> float | None:
    """Retry-After, as seconds or as a date against the answer's own Date (RFC 9110 §10.2.3), else this number."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT_SECONDS)
    try:
        until, now = (parsedate_to_datetime(text) for text in (value, answer.headers.get("date", "")))
        return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_SECONDS)
    except (TypeError, ValueError, OverflowError):
        if isinstance(otherwise, bool) or not isinstance(otherwise, int | float) or otherwise < 0:
            return None
        return float(min(otherwise, LONGEST_WAIT_SECONDS))
