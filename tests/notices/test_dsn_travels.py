"""A DSN is read as any mail is, and said in each vendor's API: its text stays text, its parts are attachments."""

from __future__ import annotations

import base64

import pytest

from gateway.content.reading import read_content
from gateway.content.spool import Spool
from gateway.message import Envelope, SendOptions, Submission
from gateway.notices.dsn import Sender, make_dsn
from gateway.notices.verdicts import verdicts
from gateway.vendor import VendorAccount, load

from .messages import HEADER, NOW, refused, stored

SENDER = Sender("smtp.gateway.example", "postmaster@gateway.example")
TYPES = {
    "ascii": ["message/delivery-status", "text/rfc822-headers"],
    "utf8": ["message/global-delivery-status", "message/global-headers"],
}


@pytest.fixture(params=["ascii", "utf8"])
def dsn(request, tmp_path):
    if request.param == "ascii":
        message, header = stored(), HEADER
    else:
        message, header = stored(refused("жанна@mail.example")), "Subject: Привет\r\n".encode()
    dsn = make_dsn("01k9dsn0000000000000", SENDER, message, verdicts(message, message.recipients), header, NOW)
    spool = Spool(tmp_path)
    spool.write(dsn.content)
    yield request.param, dsn, read_content(spool)
    spool.close()


def test_our_own_reader_finds_its_text_and_its_parts(dsn):
    kind, _, content = dsn
    assert content.subject == "Your message could not be delivered"
    assert [(one.display_name, one.address) for one in content.author] == [
        ("Mail Delivery System", "postmaster@gateway.example")
    ]
    text = "".join(content.text.pieces())
    assert text.startswith("This is the mail gateway smtp.gateway.example.")
    assert "Reason: On the suppression list" in text
    assert [one.content_type for one in content.attachments] == TYPES[kind]
    assert len({one.filename for one in content.attachments}) == 2
    status = base64.b64decode(b"".join(content.attachments[0].source.pieces())).decode()
    assert "Action: failed\r\nStatus: 5.1.1\r\n" in status
    assert content.html is None


@pytest.mark.parametrize("name", ["postscale", "poststack", "postmark", "relaypost"])
def test_every_vendor_can_be_told_it(dsn, name):
    _, made, content = dsn
    submission = Submission(made.message_id, Envelope("", (made.recipient,)), content, SendOptions())
    translation = load(name).translate(VendorAccount("https://api.vendor.example", "key"), submission)
    request = next(translation.exchange)
    assert request.method == "POST"
    assert made.recipient in repr(request.json)
    assert "postmaster@gateway.example" in repr(request.json)
    assert "auto-replied" in repr(request.json).lower()
