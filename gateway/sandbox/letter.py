"""What a send request says, in words that fit any vendor: who, to whom, which bodies and attachments.

A letter holds its bodies as written in JSON, to be decoded when they are read; the vendor's sandbox file makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import JsonString, LongString

# What a list of messages can show; the whole is in the letter.
_SHOWN_RECIPIENTS = 5
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class LetterAttachment:
    """One attachment: content is a JSON string of standard base64, content_type is empty when none was given."""

    filename: str
    content_type: str
    content: JsonString


@dataclass(frozen=True, slots=True)
class Letter:
    """One send request, read. text and html are JSON strings, None when absent; template is a slug or an id."""

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    subject: str
    template: str
    text: JsonString | None
    html: JsonString | None
    headers: Mapping[str, str]
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    attachments: tuple[LetterAttachment, ...]

    @property
    def recipients(self) -> tuple[str, ...]:
        """All of to, cc and bcc, in this order."""
        return self.to + self.cc + self.bcc


@dataclass(frozen=True, slots=True)
class Summary:
    """A letter in one line of a list: strings are cut to a length that can be shown, recipients to the first few."""

    sender: str = ""
    recipients: tuple[str, ...] = ()
    recipient_count: int = 0
    subject: str = ""
    attachment_count: int = 0

    @classmethod
    def of(cls, letter: Letter) -> Summary:
        """Sum a letter up; an empty subject with a template is told as the template's name."""
        subject = letter.subject or (f"template {letter.template}" if letter.template else "")
        return cls(
            letter.sender[:_SHOWN_CHARACTERS],
            tuple(one[:_SHOWN_CHARACTERS] for one in letter.recipients[:_SHOWN_RECIPIENTS]),
            len(letter.recipients),
            subject[:_SHOWN_CHARACTERS],
            len(letter.attachments),
        )


Reader = Callable[[JsonDocument], Letter]
"""Reads a request body; ValueError when it is no send request of that vendor."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as a sandbox received and answered it.

    status is None when no answer was given; error is what the answer said was wrong, else empty; skipped lists the
    recipients that the vendor would not mail; well_formed tells whether the body is a JSON document, and long_strings
    which of its strings are long.
    """

    vendor: str
    method: str
    path: str
    headers: Mapping[str, str]
    status: int | None
    read: Reader
    error: str = ""
    vendor_message_id: str = ""
    skipped: tuple[str, ...] = ()
    summary: Summary = field(default_factory=Summary)
    well_formed: bool = True
    long_strings: tuple[LongString, ...] = ()
