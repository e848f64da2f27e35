"""The body of Postscale's POST /send, decoded and checked strictly by the contract (section 2, request tables).

Whatever is wrong is refused with a text that names the field; what the sandbox answers otherwise is postscale.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from gateway.sandbox.addresses import address_of
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import JsonString, base64_octets, is_string, string_octets, written_octets
from gateway.sandbox.letter import Letter, LetterAttachment

# The vendor's limit for a message: text, HTML and decoded attachments together.
MAXIMUM_MESSAGE_OCTETS = 50 * 1024 * 1024

_HEADER_NAME = re.compile(r"[!-9;-~]+")
_LINE_BREAKING = re.compile(r"[\r\n\x00]")
_TEMPLATE_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,98}[a-z0-9]")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+ *(;[^\r\n\x00]*)?")


class RequestRefusedError(ValueError):
    """A request that breaks the contract: the HTTP status and what is wrong with which field."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class _Attachment(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    filename: str
    content: Raw
    content_type: str | UnsetType = UNSET


class _SendRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Absent fields are UNSET, absent raw ones empty; null is a wrong type."""

    from_: str | UnsetType = field(name="from", default=UNSET)
    to: list[str] | UnsetType = UNSET
    cc: list[str] = []
    bcc: list[str] = []
    subject: str | UnsetType = UNSET
    html_body: Raw = Raw()
    text_body: Raw = Raw()
    template: str | UnsetType = UNSET
    template_id: str | UnsetType = UNSET
    variables: dict[str, Any] | UnsetType = UNSET
    headers: dict[str, str] = {}
    tags: list[str] = []
    metadata: dict[str, str] = {}
    attachments: list[_Attachment] = []
    # The contract names this field but not its type, so every JSON value is taken.
    unsubscribe_scope: Raw = Raw()


def read(document: JsonDocument) -> Letter:
    """Read a request: fields, types and presence. RequestRefusedError (a ValueError) when it is none."""
    try:
        request = document.decode(_SendRequest)
    except ValueError as error:
        raise RequestRefusedError(400, str(error)) from error
    _check_presence(request)
    _check_strings(request)
    return _letter(request, document)


def _check_presence(request: _SendRequest) -> None:
    if request.from_ is UNSET:
        raise RequestRefusedError(400, "the 'from' field is required")
    if not request.to:
        raise RequestRefusedError(400, "the 'to' field is required")
    inline = [name for name in ("subject", "html_body", "text_body") if _given(getattr(request, name))]
    if request.template is not UNSET or request.template_id is not UNSET:
        if inline:
            raise RequestRefusedError(400, f"the '{inline[0]}' field cannot be used together with a template")
    elif "subject" not in inline:
        raise RequestRefusedError(400, "the 'subject' field is required unless a template is used")
    elif all(memoryview(raw).nbytes <= 2 for raw in (request.html_body, request.text_body)):
        raise RequestRefusedError(400, "the 'html_body' or the 'text_body' field is required unless a template is used")


def _given(value: str | Raw | UnsetType) -> bool:
    return memoryview(value).nbytes > 0 if isinstance(value, Raw) else value is not UNSET


def _check_strings(request: _SendRequest) -> None:
    """Raw values must be strings: msgspec looks inside all the others."""
    raws = [("html_body", request.html_body), ("text_body", request.text_body)]
    raws += [(f"attachments[{n}].content", one.content) for n, one in enumerate(request.attachments)]
    for name, raw in raws:
        if _given(raw) and not is_string(raw):
            raise RequestRefusedError(400, f"Expected `str` - at `$.{name}`")


def _letter(request: _SendRequest, document: JsonDocument) -> Letter:
    def texts(values: list[str]) -> tuple[str, ...]:
        return tuple(map(document.text, values))

    def pairs(values: Mapping[str, str]) -> Mapping[str, str]:
        return {document.text(name): document.text(value) for name, value in values.items()}

    return Letter(
        sender=document.text(request.from_ or ""),
        to=texts(request.to or []),
        cc=texts(request.cc),
        bcc=texts(request.bcc),
        subject=document.text(request.subject or ""),
        template=document.text(request.template or request.template_id or ""),
        text=document.string(request.text_body) if _given(request.text_body) else None,
        html=document.string(request.html_body) if _given(request.html_body) else None,
        headers=pairs(request.headers),
        tags=texts(request.tags),
        metadata=pairs(request.metadata),
        attachments=tuple(
            LetterAttachment(
                document.text(one.filename), document.text(one.content_type or ""), document.string(one.content)
            )
            for one in request.attachments
        ),
    )


def check(letter: Letter) -> None:
    """Check the values of a letter that was read; RequestRefusedError for the first that the vendor would not take."""
    _check_address("from", letter.sender)
    for name, addresses in (("to", letter.to), ("cc", letter.cc), ("bcc", letter.bcc)):
        for number, address in enumerate(addresses):
            _check_address(f"{name}[{number}]", address)
    _check_line("subject", letter.subject)
    _check_headers(letter)
    _check_template(letter)
    for number, attachment in enumerate(letter.attachments):
        _check_attachment(f"attachments[{number}]", attachment)
    _check_size(letter)


def _check_address(name: str, text: str) -> None:
    try:
        address_of(text)
    except ValueError as error:
        raise RequestRefusedError(400, f"the '{name}' field is not an address: `addr` or `Name <addr>`") from error


def _check_line(name: str, text: str) -> None:
    if _LINE_BREAKING.search(text):
        raise RequestRefusedError(400, f"the '{name}' field must not contain line breaks")


def _check_headers(letter: Letter) -> None:
    for name, value in letter.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise RequestRefusedError(400, "the 'headers' field has a name that is no header name (RFC 5322)")
        _check_line(f"headers.{name}", value)


def _check_template(letter: Letter) -> None:
    """A slug by the contract's rule, or a UUID. Without a template there is a body: reading has made sure of it."""
    inline = letter.text is not None or letter.html is not None
    if inline or _TEMPLATE_SLUG.fullmatch(letter.template):
        return
    try:
        UUID(letter.template)
    except ValueError as error:
        raise RequestRefusedError(400, "the 'template' field is neither a slug nor a UUID") from error


def _check_attachment(name: str, attachment: LetterAttachment) -> None:
    if not attachment.filename:
        raise RequestRefusedError(400, f"the '{name}.filename' field must not be empty")
    _check_line(f"{name}.filename", attachment.filename)
    if attachment.content_type and not _MEDIA_TYPE.fullmatch(attachment.content_type):
        raise RequestRefusedError(400, f"the '{name}.content_type' field is not a media type")
    if written_octets(attachment.content) <= 2:
        raise RequestRefusedError(400, f"the '{name}.content' field must not be empty")


def _check_size(letter: Letter) -> None:
    """The size that the vendor limits; base64 is checked on the way. Long strings were read before."""
    octets = 0
    bodies = [("text_body", letter.text), ("html_body", letter.html)]
    for name, body in bodies:
        octets += _octets(name, body, string_octets) if body is not None else 0
    for number, one in enumerate(letter.attachments):
        octets += _octets(f"attachments[{number}].content", one.content, base64_octets)
    if octets > MAXIMUM_MESSAGE_OCTETS:
        raise RequestRefusedError(413, "message is larger than 50 MiB")


def _octets(name: str, string: JsonString, count: Callable[[JsonString], int]) -> int:
    try:
        return count(string)
    except ValueError as error:
        wanted = "base64 (RFC 4648)" if count is base64_octets else "a JSON string"
        raise RequestRefusedError(400, f"the '{name}' field is not valid {wanted}: {error}") from error
