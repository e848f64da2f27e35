"""What the values of a Postmark send request may be: addresses, counts, lengths, sizes, streams (contract, 1.5, 2.2).

Whatever breaks a rule is refused with the vendor's error code and a text that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.sandbox.addresses import address_of, domain_of
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import JsonString, base64_octets, string_octets, written_octets
from gateway.sandbox.letter import Letter
from gateway.sandbox.magic import is_unverified
from gateway.sandbox.postmark_error import RequestRefusedError
from gateway.sandbox.postmark_magic import UNKNOWN
from gateway.sandbox.postmark_request import SendRequest, addresses

MEGABYTE = 1024 * 1024  # which megabyte is meant is not documented: the larger one refuses nothing that may pass
MESSAGE_OCTETS, BODY_OCTETS = 10 * MEGABYTE, 5 * MEGABYTE
RECIPIENTS = 50
LENGTHS = {"From": 255, "Subject": 2000, "Tag": 1000}  # UTF-16 units
METADATA_KEYS, METADATA_KEY_CHARACTERS, METADATA_VALUE_CHARACTERS = 10, 20, 80
TRACK_LINKS = frozenset({"None", "HtmlAndText", "HtmlOnly", "TextOnly"})
FORBIDDEN_EXTENSIONS = frozenset({
    "vbs", "exe", "bin", "bat", "chm", "com", "cpl", "crt", "hlp", "hta", "inf", "ins", "isp", "jse", "lnk", "mdb",
    "pcd", "pif", "reg", "scr", "sct", "shs", "vbe", "vba", "wsf", "wsh", "wsl", "msc", "msi", "msp", "mst",
})  # fmt: skip

# The patterns that the vendor has published; quoted and non-ASCII local parts do not match.
_MAILBOX = re.compile(r"[a-z0-9.!#$%&'`*+\-/=^_{}|~]+", re.IGNORECASE | re.ASCII)
_DOMAIN = re.compile(r"(\.?[a-zA-Z0-9\-])+")
_STREAM = re.compile(r"(?!pm-)[a-z][a-z0-9_-]{0,29}", re.IGNORECASE | re.ASCII)
_HEADER_NAME = re.compile(r"[!-9;-~]+")
_LINE_BREAKING = re.compile(r"[\r\n\x00]")


def check(request: SendRequest, letter: Letter, document: JsonDocument, *, templated: bool) -> None:
    """Check a request that was decoded; RequestRefusedError for the first rule that it breaks."""
    _check_addresses(letter, document.text(request.reply_to or ""))
    _check_lengths(letter)
    _check_content(request, letter, document, templated=templated)
    _check_headers(request, document)
    _check_metadata(request, letter)
    _check_stream(document.text(request.message_stream or "outbound"))
    if request.track_links is not None and request.track_links not in TRACK_LINKS:
        raise RequestRefusedError(403, "Invalid request field(s): 'TrackLinks'.")
    _check_attachments(request, letter, document)
    _check_sizes(letter)
    domain = domain_of(address_of(letter.sender))
    if is_unverified(domain):
        text = f"The 'From' address you supplied ({letter.sender}) is not a Sender Signature on your account."
        raise RequestRefusedError(400, text)


def _check_addresses(letter: Letter, reply_to: str) -> None:
    _check_address("From", letter.sender)
    if not letter.to:
        raise RequestRefusedError(300, "Invalid 'To' address: ''.")
    if len(letter.recipients) > RECIPIENTS:
        raise RequestRefusedError(300, f"Too many recipients: {len(letter.recipients)}, and {RECIPIENTS} are allowed.")
    lists = (("To", letter.to), ("Cc", letter.cc), ("Bcc", letter.bcc), ("ReplyTo", addresses(reply_to)))
    for name, entries in lists:
        for entry in entries:
            _check_address(name, entry)


def _check_address(name: str, text: str) -> None:
    try:
        local, _, domain = address_of(text).rpartition("@")
    except ValueError:
        local = domain = ""
    if not (_MAILBOX.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise RequestRefusedError(300, f"Invalid '{name}' address: '{text[:200]}'.")


def _check_lengths(letter: Letter) -> None:
    for name, text in (("From", letter.sender), ("Subject", letter.subject), ("Tag", "".join(letter.tags))):
        if len(text.encode("utf-16-le", "surrogatepass")) // 2 > LENGTHS[name]:
            raise RequestRefusedError(300, f"'{name}' is longer than {LENGTHS[name]} characters.")
        if _LINE_BREAKING.search(text):
            raise RequestRefusedError(300, f"'{name}' must not contain line breaks.")


def _check_content(request: SendRequest, letter: Letter, document: JsonDocument, *, templated: bool) -> None:
    if not templated:
        if all(one is None or written_octets(one) <= 2 for one in (letter.text, letter.html)):
            raise RequestRefusedError(300, "Provide either email TextBody or HtmlBody or both.")
        return
    if not letter.template or letter.template == UNKNOWN:
        raise RequestRefusedError(1101, "The 'TemplateId' or 'TemplateAlias' is missing or not valid for this server.")
    if request.template_model is None:
        raise RequestRefusedError(1109, "The 'TemplateModel' field is required.")
    if letter.subject or letter.text is not None or letter.html is not None:
        raise RequestRefusedError(1123, "Subject, TextBody and HtmlBody cannot be used together with a template.")


def _check_headers(request: SendRequest, document: JsonDocument) -> None:
    for one in request.headers or ():
        name = document.text(one.name)
        if not _HEADER_NAME.fullmatch(name) or _LINE_BREAKING.search(document.text(one.value)):
            raise RequestRefusedError(300, f"Invalid header '{name[:200]}'.")


def _check_metadata(request: SendRequest, letter: Letter) -> None:
    if len(request.metadata or {}) > METADATA_KEYS:
        raise RequestRefusedError(300, f"Metadata has more than {METADATA_KEYS} keys.")
    if len({key.lower() for key in letter.metadata}) < len(request.metadata or {}):
        raise RequestRefusedError(300, "Metadata has two keys that differ in case only.")
    for key, value in letter.metadata.items():
        if not key or len(key) > METADATA_KEY_CHARACTERS or len(value) > METADATA_VALUE_CHARACTERS:
            limits = f"{METADATA_KEY_CHARACTERS} characters for a key, {METADATA_VALUE_CHARACTERS} for a value"
            raise RequestRefusedError(300, f"Metadata '{key[:200]}' is over the limit: {limits}.")


def _check_stream(stream: str) -> None:
    """Any stream that could exist does, but one."""
    if stream == "inbound":
        raise RequestRefusedError(1236)
    if stream == UNKNOWN or not _STREAM.fullmatch(stream):
        raise RequestRefusedError(1235, f"The stream provided: '{stream[:200]}' does not exist on this server.")


def _check_attachments(request: SendRequest, letter: Letter, document: JsonDocument) -> None:
    for one, attachment in zip(request.attachments or (), letter.attachments, strict=True):
        name = attachment.filename
        if not name or _LINE_BREAKING.search(name):
            raise RequestRefusedError(300, "An attachment has no valid 'Name'.")
        if name.rpartition(".")[2].lower() in FORBIDDEN_EXTENSIONS and "." in name:
            raise RequestRefusedError(411, f"Invalid attachment: '{name}' has a file type that is not allowed.")
        if not re.fullmatch(r"[^\s/]+/[^\r\n\x00]+", attachment.content_type):
            raise RequestRefusedError(300, f"Attachment '{name}' has no valid 'ContentType'.")
        if one.content_id and not document.text(one.content_id).startswith("cid:"):
            raise RequestRefusedError(300, f"The 'ContentID' of attachment '{name}' does not begin with 'cid:'.")


def _check_sizes(letter: Letter) -> None:
    """The sizes that the vendor limits: each body, and all together with the base64 as written."""
    bodies = [_octets(one, string_octets) for one in (letter.text, letter.html) if one is not None]
    total = sum(bodies)
    for attachment in letter.attachments:
        _octets(attachment.content, base64_octets, attachment.filename)
        total += written_octets(attachment.content) - 2
    if total > MESSAGE_OCTETS or any(one > BODY_OCTETS for one in bodies):
        raise RequestRefusedError(300, "The message is too large: 10 MB, and 5 MB for each body, are allowed.", 413)


def _octets(string: JsonString, count: Callable[[JsonString], int], filename: str = "") -> int:
    try:
        return count(string)
    except ValueError as error:
        if filename:
            raise RequestRefusedError(300, f"The 'Content' of attachment '{filename}' is no base64: {error}") from error
        raise RequestRefusedError(402, f"Received invalid JSON input: {error}") from error
