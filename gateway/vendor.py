"""The shape of a vendor: its dialect and its API. One file in gateway/vendors/ fills it.

What such a file may use is offered here: exchanges, the recasting of messages, forms of words and addresses.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway import recast, vendors
from gateway.batch import BatchCall, BatchTranslation, concerns_all, translated
from gateway.content.addresses import folded, format_mailbox, parse_mailboxes
from gateway.content.words import decode_words, encode_words
from gateway.dialect_fields import DialectError, read_json_strings
from gateway.exchange import (
    ApiAnswer,
    ApiRequest,
    Exchange,
    JsonValue,
    KeyExchange,
    NoAnswer,
    Translation,
    VendorAccount,
    decode_items,
    decode_object,
    read_no_answer,
    retry_after_seconds,
    without_key,
)
from gateway.features import Feature, lost
from gateway.message import HeaderField, SendOptions, Submission
from gateway.outcome import Cause, Reply
from gateway.user_names import USER_NAMES, UserNames

__all__ = [
    "USER_NAMES",
    "ApiAnswer",
    "ApiRequest",
    "BatchCall",
    "BatchTranslation",
    "Dialect",
    "DialectError",
    "Exchange",
    "Feature",
    "JsonValue",
    "KeyExchange",
    "NoAnswer",
    "Translation",
    "UserNames",
    "Vendor",
    "VendorAccount",
    "batch_key",
    "batch_submissions",
    "concerns_all",
    "decode_items",
    "decode_object",
    "decode_words",
    "encode_words",
    "folded",
    "format_mailbox",
    "is_vendor",
    "load",
    "lost",
    "parse_mailboxes",
    "read_json_strings",
    "read_no_answer",
    "recast",
    "retry_after_seconds",
    "translate_batch",
    "without_key",
]


@dataclass(frozen=True, slots=True)
class Dialect:
    """A vendor's SMTP conventions, as far as the SMTP side has to know them.

    user_name is the constant user name that goes with an API key as password, compared without case; empty when there
    is none. key_twice: an API key is both user name and password. mailboxes: a user name that is an address is a
    mailbox, which may send only as itself. recipients is how many a message may have. user_names is the rule for those
    of SMTP credentials. default_mode is how mail leaves where no route says it, default_notices what tells the sender
    of what failed after acceptance (routing.NOTICES).
    """

    name: str
    user_name: str
    mechanisms: tuple[str, ...]
    enhanced_status_codes: bool
    wording: Mapping[Cause, Reply]
    key_twice: bool = False
    mailboxes: bool = False
    recipients: int = 100
    user_names: UserNames = USER_NAMES
    default_mode: Literal["direct", "queued", "spill"] = "direct"
    default_notices: tuple[str, ...] = ("dsn",)


class Vendor(Protocol):
    """What a vendor file offers as VENDOR; with a BatchCall as batch if its API takes several messages in a request."""

    @property
    def dialect(self) -> Dialect:
        """How applications speak to this vendor's SMTP endpoint."""

    @property
    def default_url(self) -> str:
        """The base of the vendor's public API."""

    @property
    def message_octets(self) -> int:
        """The largest message, as it stands in SMTP, that the API can take: its own limit after base64 growth."""

    @property
    def can(self) -> frozenset[Feature]:
        """What the API can be told; the rest is lost, and the route decides whether the message may go without it."""

    def read_dialect(self, fields: Sequence[HeaderField]) -> SendOptions:
        """Read the dialect's header fields; others may stand among them. DialectError when one cannot be read."""

    def is_dialect_field(self, name: str) -> bool:
        """Whether a header field is the dialect's own, so that it must not reach a recipient."""

    def check_key(self, account: VendorAccount) -> KeyExchange:
        """Ask the vendor whether it knows the key, without sending anything."""

    def translate(self, account: VendorAccount, submission: Submission) -> Translation:
        """Say this submission in the vendor's API."""


def load(name: str) -> Vendor:
    """The vendor of that name: its file in gateway/vendors/ is its registry entry. LookupError when there is none.

    A file that imports what is not there fails with its own ModuleNotFoundError.
    """
    full_name = f"gateway.vendors.{name}"
    if not name.isidentifier() or name.startswith("_"):
        raise LookupError(name)
    try:
        module = importlib.import_module(full_name)
    except ModuleNotFoundError as error:
        if error.name != full_name:
            raise
        raise LookupError(name) from error
    vendor: Vendor | None = getattr(module, "VENDOR", None)
    if vendor is None:
        raise LookupError(name)
    return vendor


def batch_submissions(vendor: Vendor) -> int:
    """How many submissions a vendor takes in one request; 1 for one without a batch call."""
    call = _batch_call(vendor)
    return call.submissions if call else 1


def batch_key(vendor: Vendor, submission: Submission) -> str | None:
    """Submissions of equal keys may travel in one request; None for a vendor without a batch call."""
    call = _batch_call(vendor)
    return call.key(submission) if call else None


def translate_batch(vendor: Vendor, account: VendorAccount, submissions: Sequence[Submission]) -> BatchTranslation:
    """Say these submissions in the vendor's API, several in a request where it has a batch call.

    Any number and any mixture will do: what cannot travel in one request travels in several, one after the other.
    """
    return translated(_batch_call(vendor), submissions, [vendor.translate(account, one) for one in submissions])


def _batch_call(vendor: Vendor) -> BatchCall | None:
    """A vendor file without one has no such attribute at all."""
    call: BatchCall | None = getattr(vendor, "batch", None)
    return call


def is_vendor(name: str) -> bool:
    """Whether there is a vendor of that name."""
    try:
        load(name)
    except LookupError:
        return False
    return True


def reserved_user_names() -> frozenset[str]:
    """The user names that dialects give to whoever shows an API key, in lower case; no credential may have them."""
    names = [one.name for one in pkgutil.iter_modules(vendors.__path__) if not one.name.startswith("_")]
    return frozenset(load(name).dialect.user_name.casefold() for name in names) - {""}
