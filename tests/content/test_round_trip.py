"""The golden round trip: message -> Content -> Postscale's JSON -> message; what differs is what the report says.

The vendor's part, writing the message anew, is played by Python's email package.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from gateway.content.json_body import JsonBody
from gateway.content.reading import UnreadableError, read_content
from gateway.message import Attachment, Content, Envelope, Mailbox, SendOptions, Submission
from gateway.recast import NOT_PASSED
from gateway.vendor import VendorAccount, decode_words, parse_mailboxes
from gateway.vendors.postscale import NO_SUBJECT, VENDOR

from .contents import html_of, octets_of, text_of
from .spooled import spooled

FOLDER = Path(__file__).parents[1] / "corpus" / "mime"
PAIRS = sorted(FOLDER.glob("*.eml"))
ACCOUNT = VendorAccount("https://api.example/v1", "ps_test_key", own_key=True)
REVERSE_PATH = "bounces@shop.example"
MADE_BY_RENDERING = ("from", "to", "cc", "subject", "mime-version", "content-")


@dataclass(frozen=True)
class Sent:
    """A message before its way, the document that went, the message after it, and what was reported."""

    before: Content
    document: dict[str, Any]
    after: Content
    report: str


def sent(octets: bytes) -> Sent:
    before = read_content(spooled(octets))
    seen = tuple(dict.fromkeys(one.address for one in (*before.to, *before.cc)))
    paths = (*seen, "hidden@blind.example")
    translation = VENDOR.translate(ACCOUNT, Submission("id1", Envelope(REVERSE_PATH, paths), before, SendOptions()))
    request = next(translation.exchange)
    body = JsonBody(request.json)
    written = b"".join(body.pieces())
    assert len(written) == body.length_octets
    document = json.loads(written)
    after = read_content(spooled(rendered(document)))
    return Sent(before, document, after, "\n".join((*before.report, *translation.report)))


def rendered(document: dict[str, Any]) -> bytes:
    """The message that a vendor makes of the document."""
    message = EmailMessage(policy=SMTP)
    if "text_body" in document:
        message.set_content(document["text_body"], cte="base64")
    if "html_body" in document:
        add = message.add_alternative if "text_body" in document else message.set_content
        add(document["html_body"], subtype="html", cte="base64")
    for number, one in enumerate(document.get("attachments", ())):
        octets = base64.b64decode(one["content"], validate=True)
        message.add_attachment(octets, "application", "octet-stream", filename=f"file-{number}")
    fields = [("From", document["from"]), ("Subject", document["subject"])]
    fields += [(name, ", ".join(document[name.lower()])) for name in ("To", "Cc") if name.lower() in document]
    fields += document.get("headers", {}).items()
    header = "".join(f"{name}: {body}\r\n" for name, body in fields)
    return header.encode() + _described(message.as_bytes(), document.get("attachments", ()))


def _described(octets: bytes, attachments: list[dict[str, str]]) -> bytes:
    """The message with the attachments' own types and names: the package refuses some that are strange but real."""
    for number, one in enumerate(attachments):
        written = f"""Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
Content-Disposition: attachment; filename="file-{number}"\r\n"""
        name = "".join(f"%{octet:02X}" for octet in one["filename"].encode("utf-8", "replace"))
        meant = f"""Content-Type: {one["content_type"]}\r\nContent-Transfer-Encoding: base64\r\n\
Content-Disposition: attachment; filename*=utf-8''{name}\r\n"""
        assert octets.count(written.encode()) == 1
        octets = octets.replace(written.encode(), meant.encode())
    return octets


def readable(path: Path) -> bool:
    return "unreadable" not in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


READABLE = [path for path in PAIRS if readable(path)]
every_message = pytest.mark.parametrize("path", READABLE, ids=[path.stem for path in READABLE])


@every_message
def test_texts_arrive_or_their_absence_is_reported(path):
    way = sent(path.read_bytes())
    before = [text_of(way.before), html_of(way.before)]
    after = [text_of(way.after), html_of(way.after)]
    if not any(before):
        assert "no text: an empty line is sent" in way.report
        assert (after[0] or "").strip() == ""
    else:
        # The package ends a text with a line break; an empty one beside the other is no loss
        assert [_ended(one) for one in after] == [_ended(one) for one in before]


def _ended(text: str | None) -> str | None:
    return None if not text else text.removesuffix("\n").encode("utf-8", "replace").decode()


@every_message
def test_attachments_arrive_in_order_with_name_type_and_octets(path):
    way = sent(path.read_bytes())
    wanted = [_attachment(one) for one in way.before.attachments if one.size_octets]
    assert [_attachment(one) for one in way.after.attachments] == wanted
    for one in way.before.attachments:
        if not one.size_octets:
            assert f"attachment {one.filename} is empty" in way.report
        elif one.inline and one.content_id:
            assert f"inline part {one.filename} travels as an attachment" in way.report


def _attachment(attachment: Attachment) -> tuple[str, str, bytes]:
    return attachment.filename, attachment.content_type, octets_of(attachment)


@every_message
def test_names_and_addresses_arrive(path):
    way = sent(path.read_bytes())
    before = way.before
    if before.author:
        assert [_person(one) for one in way.after.author] == [_person(before.author[0])]
        assert ("From names several authors" in way.report) == (len(before.author) > 1)
    else:
        assert [one.address for one in way.after.author] == [REVERSE_PATH]
        assert "the reverse-path stands for it" in way.report
    if before.to or before.cc:
        assert way.document["bcc"] == ["hidden@blind.example"]
    else:
        assert way.document["to"] == ["hidden@blind.example"]
        return
    assert [_person(one) for one in way.after.to] == [_person(one) for one in before.to or before.cc]
    assert [_person(one) for one in way.after.cc] == ([_person(one) for one in before.cc] if before.to else [])


def _person(mailbox: Mailbox) -> tuple[str, str]:
    return mailbox.display_name, mailbox.address


@every_message
def test_subject_and_fields_arrive_in_order(path):
    way = sent(path.read_bytes())
    if way.before.subject.strip():
        assert way.after.subject == way.before.subject.strip()
    else:
        assert way.after.subject == NO_SUBJECT
        assert f"no subject: sent as {NO_SUBJECT}" in way.report
    wanted = _passed(way.before)
    arrived = [(one.name, one.body) for one in way.after.fields]
    passed = [(name, body) for name, body in arrived if not name.lower().startswith(MADE_BY_RENDERING)]
    assert [name for name, _ in passed] == list(wanted)
    for name, body in passed:
        assert decode_words(body) == decode_words(", ".join(wanted[name]))
        assert (len(wanted[name]) > 1) == (f"{name} stands more than once" in way.report)


def _passed(content: Content) -> dict[str, list[str]]:
    """The bodies of the fields that have no place of their own in the API, by their names in order."""
    passed: dict[str, list[str]] = {}
    for one in content.fields:
        name = one.name.lower()
        if name not in NOT_PASSED and not name.startswith(("content-", "arc-")):
            spelt = next((other for other in passed if other.lower() == name), one.name)
            passed.setdefault(spelt, []).append(one.body.strip())
    return passed


def test_a_report_tells_every_signature_that_is_lost():
    octets = b"From: a@b.example\r\nDKIM-Signature: v=1; d=b.example\r\nSubject: x\r\n\r\nt\r\n"
    assert "DKIM-Signature is not carried" in sent(octets).report


def test_an_unreadable_message_never_becomes_a_document():
    unreadable = [path for path in PAIRS if path not in READABLE]
    assert unreadable
    for path in unreadable:
        with pytest.raises(UnreadableError):
            read_content(spooled(path.read_bytes()))


def test_an_address_cannot_be_made_out_of_a_name():
    author = b"From: =?utf-8?q?x=3E=2C_evil=40y.example?= <a@b.example>\r\n"
    way = sent(author + b"To: =?utf-8?q?=22=3B_e=40y?= <c@d.example>\r\n\r\nt\r\n")
    assert [one.address for one in parse_mailboxes(way.document["from"])] == ["a@b.example"]
    assert [one.address for entry in way.document["to"] for one in parse_mailboxes(entry)] == ["c@d.example"]
    assert not re.search(r"[\r\n]", json.dumps(way.document, ensure_ascii=False))
