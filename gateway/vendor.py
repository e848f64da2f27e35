"""The shape of a vendor: its dialect, its account, its exchange. One file in gateway/vendors/ fills it.

An exchange is a generator: it yields an ApiRequest and is sent the ApiAnswer, or NoAnswer when none came, as often
as it needs, and returns the outcome of every forward-path. It does no I/O, so a test drives it with canned answers.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gateway.content.addresses import format_mailbox, parse_mailboxes
from gateway.content.words import decode_words, encode_words
from gateway.message import Base64Source, HeaderField, SendOptions, Submission, TextSource
from gateway.outcome import Cause, Outcome, Reply

__all__ = [
    "decode_words",
    "encode_words",
    "format_mailbox",
    "parse_mailboxes",
]  # what a vendor file may use of the field's own forms

JsonValue: TypeAlias = (
    "str | int | float | bool | TextSource | Base64Source | Mapping[str, JsonValue] | Sequence[JsonValue] | None"
)
"""A JSON document whose long strings may be sources that are read while the request is written."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request. json is None for a request without a body."""

    method: str
    url: str
    headers: Mapping[str, str]
    json: JsonValue = None


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


@dataclass(frozen=True, slots=True)
class Translation:
    """A submission said in a vendor's API: the exchange that hands it over, and in plain words what it cannot carry."""

    exchange: Exchange
    report: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VendorAccount:
    """Where a vendor's API is and the key to call it with. own_key: the key came from the client, not the operator."""

    url: str
    key: str = field(repr=False)
    own_key: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """A vendor's SMTP conventions, as far as the SMTP side has to know them.

    user_name is the constant user name that goes with an API key as password, compared without case.
    """

    name: str
    user_name: str
    mechanisms: tuple[str, ...]
    enhanced_status_codes: bool
    wording: Mapping[Cause, Reply]


class DialectError(Exception):
    """A dialect's header field cannot be read; the text says which and why, fit for the client to see."""


class Vendor(Protocol):
    """What a vendor file offers as VENDOR."""

    @property
    def dialect(self) -> Dialect:
        """How applications speak to this vendor's SMTP endpoint."""

    @property
    def default_url(self) -> str:
        """The base of the vendor's public API."""

    def read_dialect(self, fields: Sequence[HeaderField]) -> SendOptions:
        """Read the dialect's header fields; DialectError when one of them cannot be read."""

    def is_dialect_field(self, name: str) -> bool:
        """Whether a header field is the dialect's own, so that it must not reach a recipient."""

    def check_key(self, account: VendorAccount) -> KeyExchange:
        """Ask the vendor whether it knows the key, without sending anything."""

    def translate(self, account: VendorAccount, submission: Submission) -> Translation:
        """Say this submission in the vendor's API."""


def load(name: str) -> Vendor:
    """The vendor of that name: its file in gateway/vendors/ is its registry entry. LookupError when there is none."""
    if not name.isidentifier():
        raise LookupError(name)
    try:
        module = importlib.import_module(f"gateway.vendors.{name}")
    except ModuleNotFoundError as error:
        raise LookupError(name) from error
    vendor: Vendor = module.VENDOR
    return vendor
