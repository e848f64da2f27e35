"""The body of Postmark's POST /email and POST /email/withTemplate, decoded by the contract (sections 2.2 and 2.3).

Which fields there are and of which types is said here; what their values may be is postmark_rules.py's.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, field

from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import JsonString, is_string
from gateway.sandbox.letter import Letter, LetterAttachment
from gateway.sandbox.postmark_error import RequestRefusedError

# Entries of an address list: a comma in a quoted name parts nothing.
_ENTRY = re.compile(r'(?:[^",]+|"(?:[^"\\]|\\(?:.|$))*(?:"|$))+', re.DOTALL)
_NAMED_IN_ERROR = re.compile(r"field `(\w+)`|`\$\.(\w+)")
_TEMPLATE_FIELDS = {
    "TemplateId": "template_id", "TemplateAlias": "template_alias", "TemplateModel": "template_model",
    "InlineCss": "inline_css",
}  # fmt: skip


class Attachment(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="pascal"):
    """One of Attachments. content is a JSON string of base64."""

    name: str
    content: Raw
    content_type: str
    content_id: str | None = field(name="ContentID", default=None)


class Header(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="pascal"):
    """One of Headers."""

    name: str
    value: str


class SendRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="pascal"):
    """Both requests. null is the same as absent, because a published client writes it so; raw ones are then empty."""

    from_: str | None = field(name="From", default=None)
    to: str | None = None
    cc: str | None = None
    bcc: str | None = None
    subject: str | None = None
    html_body: Raw = Raw()
    text_body: Raw = Raw()
    reply_to: str | None = None
    headers: list[Header] | None = None
    tag: str | None = None
    metadata: dict[str, str] | None = None
    track_opens: bool | None = None
    track_links: str | None = None
    message_stream: str | None = None
    attachments: list[Attachment] | None = None
    template_id: int | None = None
    template_alias: str | None = None
    template_model: dict[str, Any] | None = None
    inline_css: bool | None = None


class TemplatedBatch(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="pascal"):
    """The body of POST /email/batchWithTemplates."""

    messages: list[Raw]


def messages(document: JsonDocument) -> list[Raw]:
    """The messages in a body of POST /email/batch, which is a bare array; ValueError when it is none, or empty."""
    return _some(document.decode(list[Raw]))


def templated_messages(document: JsonDocument) -> list[Raw]:
    """The messages in a body of POST /email/batchWithTemplates; ValueError when there are none."""
    return _some(document.decode(TemplatedBatch).messages)


def _some(found: list[Raw]) -> list[Raw]:
    if not found:
        raise ValueError("a batch has a message at least")
    return found


def decode(document: JsonDocument, *, templated: bool) -> SendRequest:
    """Decode a body; RequestRefusedError, with the field's name, when it has other fields or types."""
    try:
        request = document.decode(SendRequest)
    except ValueError as error:
        named = _NAMED_IN_ERROR.search(str(error))
        name = (named[1] or named[2]) if named else "$"
        raise RequestRefusedError(403, f"Invalid request field(s): '{name}'. {error}") from error
    raws = [("HtmlBody", request.html_body), ("TextBody", request.text_body)]
    raws += [("Attachments", one.content) for one in request.attachments or ()]
    wrong = [name for name, raw in raws if is_given(raw) and not is_string(raw)]
    if not templated:
        wrong += [name for name, attribute in _TEMPLATE_FIELDS.items() if getattr(request, attribute) is not None]
    if wrong:
        raise RequestRefusedError(403, f"Invalid request field(s): '{wrong[0]}'.")
    return request


def is_given(raw: Raw) -> bool:
    """Whether a raw value is there and is not null."""
    return memoryview(raw).nbytes > 0 and bytes(memoryview(raw)[:4]) != b"null"


def addresses(text: str) -> tuple[str, ...]:
    """The entries of an address list, each as written."""
    return tuple(entry for one in _ENTRY.findall(text) if (entry := one.strip()))


def letter(request: SendRequest, document: JsonDocument) -> Letter:
    """What a request says, for the inbox: repeated headers are joined, Reply-To is among them."""

    def text(value: str | None) -> str:
        return document.text(value or "")

    def body(raw: Raw) -> JsonString | None:
        return document.string(raw) if is_given(raw) else None

    headers = {"Reply-To": text(request.reply_to)} if request.reply_to else {}
    for one in request.headers or ():
        name, value = text(one.name), text(one.value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Letter(
        sender=text(request.from_),
        to=addresses(text(request.to)),
        cc=addresses(text(request.cc)),
        bcc=addresses(text(request.bcc)),
        subject=text(request.subject),
        template=str(request.template_id or "") or text(request.template_alias),
        text=body(request.text_body),
        html=body(request.html_body),
        headers=headers,
        tags=(text(request.tag),) if request.tag else (),
        metadata={text(name): text(value) for name, value in (request.metadata or {}).items()},
        attachments=tuple(
            LetterAttachment(text(one.name), text(one.content_type), document.string(one.content))
            for one in request.attachments or ()
        ),
    )


def read_email(document: JsonDocument) -> Letter:
    """The letter in a body of POST /email; ValueError when it is none."""
    return letter(decode(document, templated=False), document)


def read_templated(document: JsonDocument) -> Letter:
    """The letter in a body of POST /email/withTemplate; ValueError when it is none."""
    return letter(decode(document, templated=True), document)
