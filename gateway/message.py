"""What walks through the house: the neutral, frozen model of one submission. It imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

from gateway.quickly import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Envelope:
    """Who the mail is from and for, as said in MAIL and RCPT (RFC 5321 §2.3.1).

    reverse_path is empty for the null reverse-path; forward_paths keeps the order of the RCPT commands. ret, envid,
    notify and orcpt are what was asked of notifications (RFC 3461 §4), as written; the last two by forward-path.
    """

    reverse_path: str
    forward_paths: tuple[str, ...]
    ret: str = ""
    envid: str = ""
    notify: Mapping[str, str] = field(default_factory=dict)
    orcpt: Mapping[str, str] = field(default_factory=dict)


@quickly_made
@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox of an address field (RFC 5322 §3.4): a display name, decoded and maybe empty, and an address."""

    display_name: str
    address: str


class HeaderField(NamedTuple):
    """One header field in its original order: the name as written, the body unfolded, encoded words left alone.

    A tuple and no dataclass, because it is the one thing that every message has a dozen of, and is made twice as fast.
    """

    name: str
    body: str


header_field: Callable[[tuple[str, str]], HeaderField] = partial(tuple.__new__, HeaderField)
"""HeaderField of a name and a body without a call of Python's in between, for who makes all those of a message."""


class TextSource(Protocol):
    """A text body that can be read as often as needed, piece by piece, so that it is never whole in memory.

    Line breaks are LF, as in any text outside a message (RFC 2046 §4.1.1 asks for CRLF only inside one).
    """

    def pieces(self) -> Iterator[str]:
        """Give the text from its beginning."""


class Base64Source(Protocol):
    """Octets that can be read as often as needed as standard base64 without line breaks (RFC 4648 §4)."""

    @property
    def base64_octets(self) -> int:
        """How many octets all the pieces of pieces() have together."""

    def pieces(self) -> Iterator[bytes]:
        """Give the base64 text from its beginning."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Attachment:
    """A body part that is not the text.

    filename is never empty (a name is made when the message has none); content_type is the media type with the
    parameters that matter to a reader (charset, method), without the name; content_id has no angle brackets and is
    empty when there is none; size_octets counts the decoded octets.
    """

    filename: str
    content_type: str
    content_id: str
    inline: bool
    size_octets: int
    source: Base64Source


@quickly_made
@dataclass(frozen=True, slots=True)
class Content:
    """The mail data, read: its header section, its address fields, its bodies and attachments.

    report lists in plain words what had to be repaired or guessed while reading; nothing is dropped in silence.
    """

    fields: tuple[HeaderField, ...]
    author: tuple[Mailbox, ...]
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    subject: str
    text: TextSource | None
    html: TextSource | None
    attachments: tuple[Attachment, ...]
    size_octets: int
    report: tuple[str, ...] = ()

    def with_fields(self, fields: tuple[HeaderField, ...]) -> Content:
        """The same with another header section; dataclasses.replace() would ask what the fields of a Content are."""
        one = self
        return Content(
            fields, one.author, one.to, one.cc, one.subject, one.text, one.html, one.attachments, one.size_octets,
            one.report,
        )  # fmt: skip

    def bodies(self, name: str) -> list[str]:
        """The bodies of all header fields of that name, in order; names compare without case (RFC 5322 §1.2.2)."""
        wanted = name.lower()
        length = len(wanted)  # compared first: it leaves few names to bring into lower case
        return [one.body for one in self.fields if len(one.name) == length and one.name.lower() == wanted]


@quickly_made
@dataclass(frozen=True, slots=True)
class SendOptions:
    """What a dialect's header fields ask for, in neutral words; empty or None where nothing was asked.

    template is an id or name at the vendor; variables fill it. track_links is none, html, text or html_and_text. stream
    names one of the vendor's message streams. keep_message_id: the Message-ID field is to reach the recipients.
    scheduled_at is ISO 8601. test_bounce names a kind of bounce to make up for a recipient that is for tests.
    """

    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    template: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = ""
    track_opens: bool | None = None
    track_links: str = ""
    stream: str = ""
    keep_message_id: bool = False
    scheduled_at: str = ""
    test_bounce: str = ""
    report: tuple[str, ...] = ()


@quickly_made
@dataclass(frozen=True, slots=True)
class Submission:
    """One message on its way: the gateway's own id for it, its envelope, its content and its send options."""

    message_id: str
    envelope: Envelope
    content: Content
    options: SendOptions

    @property
    def idempotency_key(self) -> str:
        """The one key of this submission, on every attempt: the client's own, else the gateway's id of the message."""
        return self.options.idempotency_key or self.message_id
