"""The body of RelayPost's POST /emails/send, decoded and checked strictly by the contract (section 2.2).

Both documentation generations are taken together. Whatever is wrong is refused with the name of its field; what the
sandbox answers otherwise is relaypost.py's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from gateway.sandbox.addresses import address_of
from gateway.sandbox.answer import Answer, from_a_proxy
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import is_string, string_octets
from gateway.sandbox.letter import Letter
from gateway.sandbox.reading import Contract
from gateway.sandbox.relaypost_answer import ContractError, invalid

# The contract knows no limit; this one only keeps the sandbox's disk whole.
MAXIMUM_REQUEST_OCTETS = 80 * 1024 * 1024

_HEADER_NAME = re.compile(r"[!-9;-~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH_IN_ERROR = re.compile(r" - at `\$\.?(?P<field>[^`]*)`$")
_PLAIN_NAME = re.compile(r"[\w !#$%&'*+/=?^`{|}~.-]*")


class _Mailbox(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    email: str | UnsetType = UNSET
    name: str = ""


class _SendRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Absent fields are UNSET, absent raw ones empty; null is a wrong type."""

    from_: _Mailbox | UnsetType = field(name="from", default=UNSET)
    to: list[_Mailbox] = []
    cc: list[_Mailbox] = []
    bcc: list[_Mailbox] = []
    subject: str | UnsetType = UNSET
    html: Raw = Raw()
    text: Raw = Raw()
    template_id: str | UnsetType = UNSET
    template_data: dict[str, Any] | UnsetType = UNSET
    headers: dict[str, str] = {}
    priority: Literal["high", "normal", "low"] = "normal"
    scheduled_at: str | UnsetType = UNSET


def read(document: JsonDocument) -> Letter:
    """Read a request: fields, types and presence. ContractError (a ValueError) when it is none."""
    return _letter(_request(document), document)


def _request(document: JsonDocument) -> _SendRequest:
    try:
        request = document.decode(_SendRequest)
    except ValueError as error:
        place = _PATH_IN_ERROR.search(str(error))
        raise ContractError(place["field"] if place else "", _PATH_IN_ERROR.sub("", str(error))) from error
    _check_presence(request)
    return request


def _check_presence(request: _SendRequest) -> None:
    if request.from_ is UNSET or request.from_.email is UNSET:
        raise ContractError("from", "From email is required")
    if not request.to:
        raise ContractError("to", "At least one recipient is required")
    bodies = [name for name in ("html", "text") if memoryview(getattr(request, name)).nbytes > 2]
    for name in ("html", "text"):
        raw = getattr(request, name)
        if memoryview(raw).nbytes and not is_string(raw):
            raise ContractError(name, "Expected `str`")
    if request.template_id is UNSET and request.template_data is not UNSET:
        raise ContractError("template_data", "Only together with template_id")
    if request.template_id is not UNSET:
        if bodies:
            raise ContractError(bodies[0], "Not together with template_id")
        return
    # The tables say that it is required, the example with a template does without
    if not request.subject:
        raise ContractError("subject", "Subject is required")
    if not bodies:
        raise ContractError("html", "One of html, text or template_id is required")


def _check_values(request: _SendRequest, document: JsonDocument) -> None:
    """Everything but the bodies; a long string is checked whole."""
    _check_mailboxes("from", [request.from_] if request.from_ is not UNSET else [], document, numbered=False)
    for name in ("to", "cc", "bcc"):
        _check_mailboxes(name, getattr(request, name), document)
    _check_line("subject", document.text(request.subject or ""))
    for name, value in request.headers.items():
        if not _HEADER_NAME.fullmatch(document.text(name)):
            raise ContractError("headers", "Not a header name (RFC 5322)")
        _check_line(f"headers.{document.text(name)}", document.text(value))
    if request.template_id == "":
        raise ContractError("template_id", "Must not be empty")
    if request.scheduled_at is not UNSET:
        try:
            datetime.fromisoformat(document.text(request.scheduled_at))
        except ValueError as error:
            raise ContractError("scheduled_at", "Not an ISO 8601 date") from error


def _check_mailboxes(
    name: str, mailboxes: Sequence[_Mailbox], document: JsonDocument, *, numbered: bool = True
) -> None:
    for number, one in enumerate(mailboxes):
        place = f"{name}[{number}]" if numbered else name
        email = document.text(one.email or "")
        try:
            bare = address_of(email) == email
        except ValueError:
            bare = False
        if not bare:
            raise ContractError(f"{place}.email", "Not an email address")
        _check_line(f"{place}.name", document.text(one.name))


def _check_line(name: str, text: str) -> None:
    if _CONTROL.search(text.replace("\t", " ")):
        raise ContractError(name, "Must not contain control characters")


def _letter(request: _SendRequest, document: JsonDocument) -> Letter:
    shown = partial(_shown, document)
    return Letter(
        sender=shown(request.from_ or _Mailbox()),
        to=tuple(map(shown, request.to)),
        cc=tuple(map(shown, request.cc)),
        bcc=tuple(map(shown, request.bcc)),
        subject=document.text(request.subject or ""),
        template=document.text(request.template_id or ""),
        text=document.string(request.text) if memoryview(request.text).nbytes else None,
        html=document.string(request.html) if memoryview(request.html).nbytes else None,
        headers={document.text(name): document.text(value) for name, value in request.headers.items()},
        tags=(),
        metadata={},
        attachments=(),
    )


def _shown(document: JsonDocument, mailbox: _Mailbox) -> str:
    """A mailbox in one string, as the inbox shows it; address_of() finds the address in it again."""
    address, name = document.text(mailbox.email or ""), document.text(mailbox.name)
    if not name:
        return address
    if not _PLAIN_NAME.fullmatch(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address}>"


def _judge(document: JsonDocument) -> tuple[Letter | None, Answer | None]:
    """The letter, and what is wrong with it. A letter that breaks a rule is still worth showing in the inbox."""
    letter = None
    try:
        request = _request(document)
        letter = _letter(request, document)
        _check_values(request, document)
    except ContractError as error:
        return letter, invalid(error)
    for name, body in (("text", letter.text), ("html", letter.html)):
        try:
            if body is not None:
                string_octets(body)
        except ValueError as error:
            return letter, invalid(ContractError(name, str(error)))
    return letter, None


CONTRACT = Contract(
    maximum_octets=MAXIMUM_REQUEST_OCTETS,
    judge=_judge,
    not_json=lambda error: invalid(ContractError("", error)),
    too_large=lambda: from_a_proxy(413, "Payload Too Large"),
)
