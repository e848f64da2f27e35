"""What the page of one message shows, read from the inbox: fields, bodies, attachments, and the request itself."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.console.json_outline import outline
from gateway.sandbox.inbox import Entry, Inbox
from gateway.sandbox.json_strings import base64_octets, string_pieces
from gateway.sandbox.letter import Letter

# A hundred pages of print; the whole text is a link away.
_SHOWN_TEXT_CHARACTERS = 200_000
# Enough to see what kind of thing a broken request is.
_SHOWN_BROKEN_OCTETS = 4000


@dataclass(frozen=True, slots=True)
class ShownAttachment:
    """One attachment's line; octets is None when its base64 is broken."""

    filename: str
    content_type: str
    octets: int | None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """letter is None when the request was no send request; text_cut tells that text is only its beginning."""

    entry: Entry
    letter: Letter | None
    text: str
    text_cut: bool
    attachments: tuple[ShownAttachment, ...]
    json_text: str

    @classmethod
    def of(cls, inbox: Inbox, message_id: str) -> MessagePage:
        """Read one message; LookupError when it is gone."""
        entry = inbox.entry(message_id)
        letter = _letter(inbox, message_id)
        text = _beginning(letter) if letter else ""
        return cls(
            entry,
            letter,
            text[:_SHOWN_TEXT_CHARACTERS],
            len(text) > _SHOWN_TEXT_CHARACTERS,
            _attachments(letter) if letter else (),
            _json_text(inbox, entry),
        )


def _letter(inbox: Inbox, message_id: str) -> Letter | None:
    try:
        return inbox.letter(message_id)
    except ValueError:
        return None


def _beginning(letter: Letter) -> str:
    """The text, or a little more of it than is shown."""
    if letter.text is None:
        return ""
    text = ""
    try:
        for piece in string_pieces(letter.text):
            text += piece
            if len(text) > _SHOWN_TEXT_CHARACTERS:
                break
    except ValueError:
        return text
    return text


def _attachments(letter: Letter) -> tuple[ShownAttachment, ...]:
    shown = []
    for one in letter.attachments:
        try:
            octets = base64_octets(one.content)
        except ValueError:
            octets = None
        shown.append(ShownAttachment(one.filename, one.content_type, octets))
    return tuple(shown)


def _json_text(inbox: Inbox, entry: Entry) -> str:
    """The request body laid out; of one that is no JSON, the beginning as it came."""
    if entry.arrival.well_formed:
        return outline(inbox.document(entry.id))
    return inbox.body(entry.id).read(0, _SHOWN_BROKEN_OCTETS).decode("utf-8", "replace")
