"""Spooled mail data -> gateway.message.Content: which part is the text, which the HTML, and what else is attached.

It decides presentation only; vendors decide what they can carry. Safe to run in a thread.
"""

from __future__ import annotations

import re

from gateway.content.addresses import parse_mailboxes
from gateway.content.base64_source import Base64
from gateway.content.filenames import given_filename, made_filename
from gateway.content.sources import Text
from gateway.content.spool import Spool
from gateway.content.structure import Part, UnreadableError, read_structure
from gateway.content.words import decode_words, without_controls
from gateway.message import Attachment, Content, Mailbox

__all__ = ["UnreadableError", "read_content"]

# What a reader of the attachment needs to know of its type; a name and a boundary have no meaning there any more.
_KEPT_PARAMETERS = ("charset", "method")
# All that these say is in their parameters (RFC 2046 §5.2.2, §5.2.3).
_TOLD_BY_PARAMETERS = ("message/partial", "message/external-body")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~\-]+")
_NOTES = {
    "multipart/signed": "multipart/signed was taken apart: its signature does not hold any more",
    "multipart/encrypted": "multipart/encrypted travels as attachments",
    "multipart/report": "multipart/report was taken apart: programs do not see a report in it any more",
}


def read_content(spool: Spool) -> Content:
    """Read a message. UnreadableError when it has several From fields or is nested or padded beyond all use.

    A message without header, body or author is no error here.
    """
    root, report = read_structure(spool)
    authors, to, cc, subjects = [root.named.get(name, []) for name in ("from", "to", "cc", "subject")]
    if len(authors) > 1:
        raise UnreadableError("more than one From field")
    if len(subjects) > 1:
        report.append("more than one Subject field: the first was taken")
    bodies = _Bodies(spool, report)
    bodies.add(root, ())
    bodies.compare()
    return Content(
        fields=root.fields,
        author=_mailboxes(authors),
        to=_mailboxes(to),
        cc=_mailboxes(cc),
        subject=decode_words(subjects[0]).strip() if subjects else "",
        text=bodies.text,
        html=bodies.html,
        attachments=tuple(bodies.attachments),
        size_octets=spool.size_octets,
        report=tuple(dict.fromkeys(report)),
    )


def _mailboxes(bodies: list[str]) -> tuple[Mailbox, ...]:
    """The mailboxes of all fields of a name; several fields are against RFC 5322 §3.6 but their meaning is plain."""
    return tuple([mailbox for body in bodies for mailbox in parse_mailboxes(body)])


class _Bodies:
    """The leaves of a message, each put in its place in the order of the message."""

    def __init__(self, spool: Spool, report: list[str]) -> None:
        self.text: Text | None = None
        self.html: Text | None = None
        self.attachments: list[Attachment] = []
        self._spool = spool
        self._report = report
        self._text_parents: tuple[Part, ...] = ()
        self._html_parents: tuple[Part, ...] = ()

    def add(self, part: Part, parents: tuple[Part, ...]) -> None:
        """Place a part and all parts inside it; parents are the multiparts around it, the outermost first."""
        parent_type = parents[-1].media_type if parents else ""
        if part.children:
            if part.media_type in _NOTES:
                self._report.append(_NOTES[part.media_type])
            for child in part.children:
                self.add(child, (*parents, part))
        elif not self._is_body(part, parent_type):
            self._attach(part, parent_type)
        elif part.media_type == "text/plain":
            self.text, self._text_parents = self._text(part), parents
        else:
            self.html, self._html_parents = self._text(part), parents

    def compare(self) -> None:
        """Report a text and an HTML that the message shows both, because the API has them as alternatives."""
        if self.text is None or self.html is None:
            return
        pairs = zip(self._text_parents, self._html_parents, strict=False)
        around_both = [one.media_type for one, other in pairs if one is other]
        if around_both[-1] != "multipart/alternative":
            self._report.append("the text and the HTML stand one after the other, and travel as alternatives")

    def _is_body(self, part: Part, parent_type: str) -> bool:
        """Whether a leaf is shown as the text or the HTML of the message: the first of its kind, and not a file."""
        if part.media_type not in ("text/plain", "text/html"):
            return False
        if part.disposition not in ("", "inline"):  # an unknown disposition is attachment (RFC 2183 §2.8)
            return False
        if given_filename(part) or parent_type == "multipart/encrypted":
            return False
        return (self.text if part.media_type == "text/plain" else self.html) is None

    def _text(self, part: Part) -> Text:
        charset = part.parameters.get("charset", "")
        text = Text(self._spool, part.body_start, part.body_stop, part.transfer_encoding, charset)
        self._report += text.report
        return text

    def _attach(self, part: Part, parent_type: str) -> None:
        source = Base64(self._spool, part.body_start, part.body_stop, part.transfer_encoding)
        given = given_filename(part)
        filename = given or made_filename(self._spool, part, len(self.attachments) + 1)
        self._report += [f"{note} ({filename})" for note in source.report]
        if parent_type == "multipart/alternative":
            self._report.append(f"the alternative {part.media_type} travels as an attachment ({filename})")
        elif part.media_type in ("text/plain", "text/html") and part.disposition != "attachment" and not given:
            which = f"a further {part.media_type} part"
            if part.disposition not in ("", "inline"):
                which = f"a {part.media_type} part of unknown disposition"
            self._report.append(f"{which} travels as an attachment ({filename})")
        self.attachments.append(
            Attachment(
                filename=filename,
                content_type=_content_type(part),
                content_id=part.content_id,
                inline=_is_inline(part, parent_type),
                size_octets=source.size_octets,
                source=source,
            )
        )


def _is_inline(part: Part, parent_type: str) -> bool:
    """Whether the body shows the part: in multipart/related by its Content-ID, whatever the disposition (RFC 2387)."""
    if part.content_id and (not part.disposition or parent_type == "multipart/related"):
        return True
    return part.disposition == "inline"


def _content_type(part: Part) -> str:
    """The media type with the parameters that matter to a reader, quoted where they are no tokens (RFC 2045 §5.1)."""
    pieces = [part.media_type]
    kept = part.parameters if part.media_type in _TOLD_BY_PARAMETERS else _KEPT_PARAMETERS
    for name in kept:
        if name == "name" or not _TOKEN.fullmatch(name):
            continue
        if value := without_controls(part.parameters.get(name, "")).strip():
            if not _TOKEN.fullmatch(value):
                value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
            pieces.append(f"{name}={value}")
    return "; ".join(pieces)
