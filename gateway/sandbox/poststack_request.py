"""The body of PostStack's POST /emails, decoded and checked strictly by the contract (section 2, request table).

Whatever is wrong is refused with a text that names the field; what the sandbox answers otherwise is poststack.py's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from gateway.sandbox.addresses import address_of
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import JsonString, base64_octets, is_string, string_octets
from gateway.sandbox.letter import Letter, LetterAttachment

# The vendor's limits for decoded attachments: of each, and of all together.
MAXIMUM_ATTACHMENT_OCTETS = 10 * 1024 * 1024
MAXIMUM_ATTACHMENTS_OCTETS = 25 * 1024 * 1024

_HEADER_NAME = re.compile(r"[!-9;-~]+")
_LINE_BREAKING = re.compile(r"[\r\n\x00]")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+ *(;[^\r\n\x00]*)?")
_CONTENT_ID = re.compile(r"[^<>\s\x00-\x1f]+")


class PostStackRefusalError(ValueError):
    """A request that breaks the contract: the HTTP status, 400 for its shape and 422 for a value, and what is wrong."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class PostStackRequest:
    """A request, read: its letter, and what a letter has no place for."""

    letter: Letter
    reply_to: str
    scheduled_at: str
    idempotency_key: str | None
    content_ids: tuple[str, ...]


class _Attachment(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    filename: str
    content: Raw
    content_type: str | UnsetType = UNSET
    content_id: str | UnsetType = UNSET


class _Tracking(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    opens: bool | UnsetType = UNSET
    clicks: bool | UnsetType = UNSET


class _SendRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Absent fields are UNSET, absent raw ones empty; null is a wrong type."""

    from_: str | UnsetType = field(name="from", default=UNSET)
    to: list[str] | UnsetType = UNSET
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    html: Raw = Raw()
    text: Raw = Raw()
    headers: dict[str, str] = {}
    tags: list[str] = []
    attachments: list[_Attachment] = []
    idempotency_key: str | UnsetType = UNSET
    # Taken and without effect, says the contract.
    idempotency_window_hours: int | UnsetType = UNSET
    scheduled_at: str | UnsetType = UNSET
    template_id: str | UnsetType = UNSET
    variables: dict[str, str] = {}
    unsubscribe: bool | UnsetType = UNSET
    tracking: _Tracking | UnsetType = UNSET
    signature: Literal["auto", "none"] | UnsetType = UNSET


class _Batch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    emails: list[Raw]


def batch_emails(document: JsonDocument) -> list[Raw]:
    """The messages in a body of POST /emails/batch; ValueError when there are none."""
    emails = document.decode(_Batch).emails
    if not emails:
        raise ValueError("the 'emails' field must not be empty")
    return emails


def read(document: JsonDocument) -> Letter:
    """The letter of a request; PostStackRefusalError (a ValueError) when it is none."""
    return read_request(document).letter


def read_request(document: JsonDocument) -> PostStackRequest:
    """Read a request: fields, types and presence. PostStackRefusalError (a ValueError) when it is none."""
    try:
        request = document.decode(_SendRequest)
    except ValueError as error:
        raise PostStackRefusalError(400, str(error)) from error
    _check_presence(request)
    _check_strings(request)
    key = request.idempotency_key
    return PostStackRequest(
        letter=_letter(request, document),
        reply_to=document.text(request.reply_to or ""),
        scheduled_at=document.text(request.scheduled_at or ""),
        idempotency_key=document.text(key) if key is not UNSET else None,
        content_ids=tuple(document.text(one.content_id) for one in request.attachments if one.content_id is not UNSET),
    )


def _check_presence(request: _SendRequest) -> None:
    if request.from_ is UNSET:
        raise PostStackRefusalError(400, "the 'from' field is required")
    if not request.to:
        raise PostStackRefusalError(400, "the 'to' field is required")
    if request.template_id is not UNSET:
        return
    if request.subject is UNSET:
        raise PostStackRefusalError(400, "the 'subject' field is required unless a template is used")
    if all(memoryview(raw).nbytes <= 2 for raw in (request.html, request.text)):
        raise PostStackRefusalError(400, "the 'html' or the 'text' field is required unless a template is used")


def _check_strings(request: _SendRequest) -> None:
    """Raw values must be strings: msgspec looks inside all the others."""
    raws = [("html", request.html), ("text", request.text)]
    raws += [(f"attachments[{n}].content", one.content) for n, one in enumerate(request.attachments)]
    for name, raw in raws:
        if memoryview(raw).nbytes and not is_string(raw):
            raise PostStackRefusalError(400, f"Expected `str` - at `$.{name}`")


def _letter(request: _SendRequest, document: JsonDocument) -> Letter:
    def texts(values: list[str]) -> tuple[str, ...]:
        return tuple(map(document.text, values))

    def body(raw: Raw) -> JsonString | None:
        return document.string(raw) if memoryview(raw).nbytes else None

    headers: Mapping[str, str] = {document.text(name): document.text(value) for name, value in request.headers.items()}
    return Letter(
        sender=document.text(request.from_ or ""),
        to=texts(request.to or []),
        cc=texts(request.cc),
        bcc=texts(request.bcc),
        subject=document.text(request.subject or ""),
        template=document.text(request.template_id or ""),
        text=body(request.text),
        html=body(request.html),
        headers=headers,
        tags=texts(request.tags),
        metadata={},
        attachments=tuple(
            LetterAttachment(
                document.text(one.filename), document.text(one.content_type or ""), document.string(one.content)
            )
            for one in request.attachments
        ),
    )


def check(request: PostStackRequest) -> None:
    """Check the values of a request that was read; PostStackRefusalError for the first that is wrong."""
    letter = request.letter
    named = [("from", letter.sender), *([("reply_to", request.reply_to)] if request.reply_to else [])]
    for name, addresses in (("to", letter.to), ("cc", letter.cc), ("bcc", letter.bcc)):
        named += [(f"{name}[{number}]", address) for number, address in enumerate(addresses)]
    for name, address in named:
        _check_address(name, address)
    _check_line("subject", letter.subject)
    _check_headers(letter)
    _check_options(request)
    _check_bodies(letter)
    _check_attachments(letter)


def _wrong(error: str) -> PostStackRefusalError:
    return PostStackRefusalError(422, error)


def _check_address(name: str, text: str) -> None:
    try:
        address_of(text)
    except ValueError as error:
        raise _wrong(f"the '{name}' field is not an address: `addr` or `Name <addr>`") from error


def _check_line(name: str, text: str) -> None:
    if _LINE_BREAKING.search(text):
        raise _wrong(f"the '{name}' field must not contain line breaks")


def _check_headers(letter: Letter) -> None:
    for name, value in letter.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise _wrong("the 'headers' field has a name that is no header name (RFC 5322)")
        _check_line(f"headers.{name}", value)


def _check_options(request: PostStackRequest) -> None:
    if request.idempotency_key == "":
        raise _wrong("the 'idempotency_key' field must not be empty")
    try:
        datetime.fromisoformat(request.scheduled_at or "2026-01-01T00:00:00Z")
    except ValueError as error:
        raise _wrong("the 'scheduled_at' field is not ISO 8601") from error
    for one in request.content_ids:
        if not _CONTENT_ID.fullmatch(one):
            raise _wrong("the 'content_id' field of an attachment must be without angle brackets and blanks")


def _check_bodies(letter: Letter) -> None:
    """Their escapes; a short one has not been read before."""
    for name, body in (("text", letter.text), ("html", letter.html)):
        try:
            string_octets(body) if body is not None else 0
        except ValueError as error:
            raise PostStackRefusalError(400, f"the '{name}' field is not a valid JSON string: {error}") from error


def _check_attachments(letter: Letter) -> None:
    total = 0
    for number, one in enumerate(letter.attachments):
        name = f"attachments[{number}]"
        if not one.filename:
            raise _wrong(f"the '{name}.filename' field must not be empty")
        _check_line(f"{name}.filename", one.filename)
        if one.content_type and not _MEDIA_TYPE.fullmatch(one.content_type):
            raise _wrong(f"the '{name}.content_type' field is not a media type")
        try:
            octets = base64_octets(one.content)
        except ValueError as error:
            raise _wrong(f"the '{name}.content' field is not valid base64 (RFC 4648): {error}") from error
        if octets > MAXIMUM_ATTACHMENT_OCTETS:
            raise _wrong(f"the '{name}' field is larger than 10 MB")
        total += octets
    if total > MAXIMUM_ATTACHMENTS_OCTETS:
        raise _wrong("the 'attachments' are larger than 25 MB")
