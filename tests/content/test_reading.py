"""Messages as real programs send them, read into the neutral content."""

from __future__ import annotations

import base64
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.reading import UnreadableError
from gateway.message import Content, Mailbox

from .contents import OUTLOOK, html_of, multipart, octets_of, read, text_of
from .spooled import crlf


def names(content: Content) -> list[tuple[str, str, str, bool]]:
    return [(one.filename, one.content_type, one.content_id, one.inline) for one in content.attachments]


def test_a_plain_message():
    content = read("From: Shop <s@a>\nTo: Ann <a@b>\nSubject: =?utf-8?q?caf=C3=A9?=\n\nHello\n.dot\n")
    assert content.author == (Mailbox("Shop", "s@a"),)
    assert content.to == (Mailbox("Ann", "a@b"),)
    assert (content.subject, text_of(content), content.html, content.report) == ("café", "Hello\n.dot\n", None, ())
    assert [one.name for one in content.fields] == ["From", "To", "Subject"]


def test_outlook_with_an_inline_image_and_a_file():
    content = read(OUTLOOK)
    assert content.subject == "Angebot für München"
    assert (content.author, content.cc) == (
        (Mailbox("Bee, Ann", "ann@corp.example"),),
        (Mailbox("Jörg", "j@c.example"),),
    )
    assert text_of(content) == "Grüße Ann\n"
    assert html_of(content) == '<p>Grüße <img src="cid:image001.png@01DA"></p>'
    assert names(content) == [
        ("image001.png", "image/png", "image001.png@01DA", True),
        ("Übersicht.pdf", "application/pdf", "", False),
    ]
    assert [octets_of(one) for one in content.attachments] == [b"\x89PNG\r\n\x1a\n", b"%PDF-1.4\n"]
    assert content.report == ()


def test_apple_mail_with_text_after_a_file():
    content = read(
        multipart(
            "Content-Type: text/plain; charset=us-ascii\n\nbefore",
            "Content-Type: application/pdf; x-unix-mode=0644; name=a.pdf\n"
            "Content-Disposition: inline; filename*=utf-8''a%CC%88.pdf\n"
            "Content-Transfer-Encoding: base64\n\nJVBE",
            "Content-Type: text/plain; charset=us-ascii\n\nafter",
        )
    )
    assert text_of(content) == "before"
    assert names(content) == [
        ("a\u0308.pdf", "application/pdf", "", True),
        ("attachment-2.txt", "text/plain; charset=us-ascii", "", False),
    ]
    assert octets_of(content.attachments[1]) == b"after"
    assert content.report == ("a further text/plain part travels as an attachment (attachment-2.txt)",)


def test_phpmailer_with_a_calendar_invitation():
    content = read(
        multipart(
            "Content-Type: text/plain; charset=iso-8859-1\n\nCome",
            "Content-Type: text/html; charset=iso-8859-1\n\n<b>Come</b>",
            'Content-Type: text/calendar; method="REQUEST"; charset=utf-8; name=x\n\nBEGIN:VCALENDAR\nEND:VCALENDAR',
            kind="alternative",
        ).replace("name=x", "x-y=z")
    )
    assert (text_of(content), html_of(content)) == ("Come", "<b>Come</b>")
    assert names(content) == [("attachment-1.ics", "text/calendar; charset=utf-8; method=REQUEST", "", False)]
    assert octets_of(content.attachments[0]) == b"BEGIN:VCALENDAR\r\nEND:VCALENDAR"
    assert content.report == ("the alternative text/calendar travels as an attachment (attachment-1.ics)",)


def test_a_delivery_status_report_and_a_forwarded_message():
    forwarded = (
        "From: c@d\nSubject: =?utf-8?q?a/b=3A_=C3=A9?=\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\nz\n--y--\n"
    )
    content = read(
        multipart(
            "\nIt failed",
            "Content-Type: message/delivery-status\n\nReporting-MTA: dns; a\n\nAction: failed",
            f"Content-Type: message/rfc822\n\n{forwarded}",
            "Content-Type: message/rfc822\n\n\nno subject",
            kind="report; report-type=delivery-status",
        )
    )
    assert text_of(content) == "It failed"
    assert [one.filename for one in content.attachments] == ["attachment-1.txt", "a_b_ é.eml", "message.eml"]
    assert [one.content_type for one in content.attachments][:2] == ["message/delivery-status", "message/rfc822"]
    assert octets_of(content.attachments[1]) == crlf(forwarded)


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [("ISO-2022-JP", "iso2022_jp", "日本語の本文"), ("koi8-r", "koi8_r", "Привет"), ("GB2312", "gb2312", "你好")],
)
def test_texts_in_old_charsets(charset, codec, text):
    header = f"From: a@b\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert text_of(read(header + text.encode(codec))) == text


def test_a_signed_message_is_taken_apart_and_says_so():
    content = read(
        multipart(
            "\nsigned text",
            "Content-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\nMIIB",
            kind='signed; protocol="application/pkcs7-signature"',
        )
    )
    assert text_of(content) == "signed text"
    assert names(content) == [("attachment-1.p7s", "application/pkcs7-signature", "", False)]
    assert "signature does not hold" in content.report[0]


def test_encrypted_octets_pass_unchanged():
    sealed = bytes(range(256)) * 3
    written = base64.encodebytes(sealed).decode()
    content = read(
        'From: a@b\nContent-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data\n'
        f"Content-Transfer-Encoding: base64\n\n{written}"
    )
    assert (content.text, names(content)) == (None, [("smime.p7m", "application/pkcs7-mime", "", False)])
    assert octets_of(content.attachments[0]) == sealed
    pgp = read(multipart("Content-Type: application/pgp-encrypted\n\nVersion: 1", "\nhQEM", kind="encrypted"))
    assert (pgp.text, len(pgp.attachments)) == (None, 2)
    assert pgp.report[0] == "multipart/encrypted travels as attachments"


@pytest.mark.parametrize(
    ("header", "filename"),
    [
        ('Content-Disposition: attachment; filename=""', "attachment-1.bin"),
        ("Content-Disposition: attachment; filename=\nContent-Type: image/jpeg; name=b.jpg", "b.jpg"),
        ("Content-Type: image/jpeg; name*=utf-8''%C3%A9.jpg", "é.jpg"),
        ('Content-Disposition: attachment; filename="=?utf-8?q?a=0D=0Ab=00.txt?="', "a  b.txt"),
        ("Content-Type: image/gif\nContent-ID: <logo@shop>", "logo.gif"),
        ("Content-Type: image/gif\nContent-ID: <a/b.gif@shop>", "a_b.gif"),
        ("Content-Type: application/zip\nContent-ID: <logo@shop>", "attachment-1.zip"),
        ("Content-Type: application/x-nobody-knows", "attachment-1.bin"),
        ("Content-Type: text/csv", "attachment-1.csv"),
    ],
)
def test_every_attachment_has_a_name(header, filename):
    if "Content-Type" not in header:
        header += "\nContent-Type: application/octet-stream"
    attachment = read(multipart(f"{header}\n\nx")).attachments[0]
    assert attachment.filename == filename


def test_a_plain_text_file_is_an_attachment_even_when_it_comes_first():
    content = read(
        multipart("Content-Disposition: attachment\n\nfile", "Content-Type: text/plain; name=n.txt\n\nfile", "\ntext")
    )
    assert text_of(content) == "text"
    assert [one.filename for one in content.attachments] == ["attachment-1.txt", "n.txt"]
    assert content.report == ()


def test_empty_bodies_and_empty_attachments_are_kept():
    content = read(multipart("\n", "Content-Type: text/html\n\n", "Content-Disposition: attachment; filename=e\n\n"))
    assert (text_of(content), html_of(content)) == ("", "")
    assert [(one.filename, one.size_octets, octets_of(one)) for one in content.attachments] == [("e", 0, b"")]


def test_repeated_fields():
    content = read("From: a@b\nTo: c@d\nTo: e@f\nCc: g@h\nSubject: one\nSubject: two\n\nx")
    assert [one.address for one in content.to] == ["c@d", "e@f"]
    assert content.subject == "one"
    assert content.report == ("more than one Subject field: the first was taken",)
    with pytest.raises(UnreadableError, match="more than one From field"):
        read("From: a@b\nFROM: c@d\n\nx")


@pytest.mark.parametrize(
    "octets", [b"", b"\r\n", b"\r\n\r\n", b"hello", b"From: a@b", b"Subject: x\r\n", b"--x\r\n\r\n--x--"]
)
def test_next_to_nothing_is_no_error(octets):
    content = read(octets)
    assert content.size_octets == len(octets)
    assert text_of(content) is not None


@given(
    st.lists(st.tuples(st.binary(max_size=500), st.sampled_from(["base64", "quoted-printable"])), max_size=4),
    st.text("aé\n ", max_size=40),
)
def test_attachments_of_an_independent_writer_come_back(files, text):
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["Subject"] = "Jörg <a@b.example>", "Übersicht " * 12
    message.set_content(text)
    message.add_alternative(f"<p>{text}</p>", subtype="html")
    for number, (octets, encoding) in enumerate(files):
        message.add_attachment(octets, "application", "x-test", filename=f"ä {number}.bin", cte=encoding)
    content = read(message.as_bytes())
    assert content.author == (Mailbox("Jörg", "a@b.example"),)
    assert content.subject == ("Übersicht " * 12).strip()
    assert (text_of(content) or "").rstrip("\n") == text.rstrip("\n")
    assert "<p>" in (html_of(content) or "")
    assert [(one.filename, octets_of(one)) for one in content.attachments] == [
        (f"ä {number}.bin", octets) for number, (octets, _) in enumerate(files)
    ]
