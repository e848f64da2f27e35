"""How a message is said in Postscale's API: From, subject, bodies, headers, tags, metadata, attachments."""

from __future__ import annotations

import base64

import pytest

from gateway.outcome import Cause, Refused
from gateway.vendor import DialectError
from gateway.vendors.postscale import NO_SUBJECT, VENDOR

from .submissions import PLAIN, Driven, drive, octets_of, submission

TO = "ann@cust.example"


def send(mail: str | bytes, reverse_path: str = "bounces@shop.example") -> Driven:
    return drive(submission(mail, TO, reverse_path=reverse_path))


def with_fields(*fields: str, body: str = "Hello.") -> Driven:
    return send("\n".join(("From: shop@shop.example", f"To: {TO}", "Subject: Hello", *fields, "", body, "")))


def test_a_plain_message_is_nothing_but_its_four_fields():
    driven = send(PLAIN)
    assert driven.document == {
        "from": "shop@shop.example", "to": [TO], "subject": "Hello", "text_body": "Hello Ann.\n",
    }  # fmt: skip
    assert driven.report == ()


# -- From


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Shop <shop@shop.example>", "Shop <shop@shop.example>"),
        ('"Shop, \\"The\\" Inc." <shop@shop.example>', '"Shop, \\"The\\" Inc." <shop@shop.example>'),
        ("=?utf-8?q?J=C3=B6rg?= <j@shop.example>", "Jörg <j@shop.example>"),
        ("=?utf-8?b?w5YsIEluYy4=?= <j@shop.example>", '"Ö, Inc." <j@shop.example>'),
        ("Jörg Müller <j@shop.example>", "Jörg Müller <j@shop.example>"),
        ("=?utf-8?q?x_=3Ceve=40evil=2Eexample=3E?= <j@shop.example>", '"x <eve@evil.example>" <j@shop.example>'),
        ("j@shop.example (The Shop)", "The Shop <j@shop.example>"),
    ],
)
def test_from_keeps_its_name(written, said):
    assert send(f"From: {written}\nTo: {TO}\nSubject: s\n\nx\n").document["from"] == said


def test_of_several_authors_the_first_is_carried_and_that_is_reported():
    driven = send(f"From: a@shop.example, b@shop.example\nTo: {TO}\nSubject: s\n\nx\n")
    assert driven.document["from"] == "a@shop.example"
    assert any("several authors" in line for line in driven.report)


@pytest.mark.parametrize("field", ["", "From: nobody\n", "From:\n"])
def test_without_an_author_the_reverse_path_stands_for_it(field):
    driven = send(f"{field}To: {TO}\nSubject: s\n\nx\n")
    assert driven.document["from"] == "bounces@shop.example"
    assert any("reverse-path" in line for line in driven.report)


def test_without_author_and_reverse_path_nothing_is_sent():
    driven = send(f"To: {TO}\nSubject: s\n\nx\n", reverse_path="")
    assert driven.requests == []
    assert driven.outcomes == {TO: Refused(Cause.INVALID, "The message has no From field with an address")}


def test_a_null_reverse_path_is_no_matter_when_there_is_an_author():
    assert send(PLAIN, reverse_path="").document["from"] == "shop@shop.example"


# -- tags and metadata


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        (["X-Postscale-Tags: a, b"], ["a", "b"]),
        (["x-postscale-tags:a,b"], ["a", "b"]),
        (["X-Postscale-Tags: a,", "  b"], ["a", "b"]),
        (["X-Postscale-Tags: a", "X-POSTSCALE-TAGS: b, a"], ["a", "b"]),
        (["X-Postscale-Tags: =?utf-8?q?gr=C3=BCn=2C_a?=,", " =?utf-8?b?YmxhdQ==?="], ["grün", "a", "blau"]),
        (["X-Postscale-Tags: grün"], ["grün"]),
        (["X-Postscale-Tags: , ,a,,"], ["a"]),
    ],
)
def test_tags_in_all_the_forms_that_clients_write(fields, tags):
    assert with_fields(*fields).document["tags"] == tags


@pytest.mark.parametrize(
    "fields", [["X-Postscale-Tags:"], ["X-Postscale-Tags: , "], ["X-Postscale-Metadata:"], ["X-Postscale-Metadata: {}"]]
)
def test_empty_options_are_left_out(fields):
    assert with_fields(*fields).document.keys() == {"from", "to", "subject", "text_body"}


@pytest.mark.parametrize(
    ("fields", "metadata"),
    [
        (['X-Postscale-Metadata: {"a": "1"}'], {"a": "1"}),
        (['X-Postscale-Metadata: {"a":', '\t"1",', ' "b": "2"}'], {"a": "1", "b": "2"}),
        (['X-Postscale-Metadata: {"a": "ü"}'], {"a": "ü"}),
        (['X-Postscale-Metadata: {"a": "\\u00fc"}'], {"a": "ü"}),
        (["X-Postscale-Metadata: =?utf-8?b?" + base64.b64encode('{"a": "ü"}'.encode()).decode() + "?="], {"a": "ü"}),
        (['X-Postscale-Metadata: {"a": "1"}', 'X-Postscale-Metadata: {"b": "2"}'], {"a": "1", "b": "2"}),
        (["X-Postscale-Metadata-order: 77"], {"order": "77"}),
        (["X-Postscale-Metadata-Order-Id: =?utf-8?q?=C3=BC?="], {"Order-Id": "ü"}),
        (["X-Postscale-Metadata-a: 1", 'X-Postscale-Metadata: {"b": "2"}'], {"a": "1", "b": "2"}),
    ],
)
def test_metadata_in_both_forms(fields, metadata):
    assert with_fields(*fields).document["metadata"] == metadata


@pytest.mark.parametrize(
    "written",
    [
        "{",
        "{'a': 'b'}",
        '{"a": 1}',
        '{"a": null}',
        '{"a": {"b": "c"}}',
        '["a"]',
        '"a"',
        "5",
        '{"a":"b"} x',
        '{"a":"\\ud800"}',
    ],
)
def test_bad_metadata_is_refused_by_the_name_of_its_field(written):
    with pytest.raises(DialectError, match="X-Postscale-Metadata is not a JSON object of strings"):
        with_fields(f"X-Postscale-Metadata: {written}")


def test_no_dialect_field_is_passed_known_or_not():
    driven = with_fields("X-Postscale-Tags: a", "X-Postscale-Foo: b", "x-postscale-metadata-: c", "X-Postscale: d")
    assert driven.document["headers"] == {"X-Postscale": "d"}
    assert "metadata" not in driven.document


def test_a_dialect_field_without_a_meaning_is_reported():
    options = submission(PLAIN.replace("Subject", "X-Postscale-Foo: b\nSubject"), TO).options
    assert options.report == ("X-Postscale-Foo has no meaning here and was taken out",)


def test_translate_passes_no_dialect_field_even_when_nobody_took_it_out_before():
    assert VENDOR.is_dialect_field("X-POSTSCALE-Foo")
    assert not VENDOR.is_dialect_field("X-Postscaler")


# -- headers


def headers_of(*fields: str) -> dict[str, str]:
    return with_fields(*fields).document.get("headers", {})


def test_fields_that_mean_something_to_the_recipient_are_passed_as_written():
    fields = {
        "Reply-To": "help@shop.example", "Message-ID": "<1@shop.example>", "In-Reply-To": "<0@cust.example>",
        "References": "<0@cust.example> <1@cust.example>", "Date": "Sat, 21 Nov 2026 16:00:00 +0000",
        "List-Unsubscribe": "<https://shop.example/u>", "List-Id": "News <news.shop.example>",
        "Sender": "robot@shop.example", "X-My-Header": "=?utf-8?q?=C3=BC?=", "Auto-Submitted": "auto-generated",
    }  # fmt: skip
    assert headers_of(*(f"{name}: {body}" for name, body in fields.items())) == fields


def test_fields_that_the_api_has_a_place_for_or_that_tell_the_way_so_far_are_left_out():
    assert headers_of(
        "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit",
        "Received: from a by b", "Return-Path: <a@b>", "Delivered-To: a@b", "ARC-Seal: i=1", "bcc: x@y", "CC: x@y",
        "Authentication-Results: x; spf=pass",
    ) == {}  # fmt: skip


def test_a_signature_that_cannot_be_carried_is_reported():
    driven = with_fields("DKIM-Signature: v=1; d=shop.example")
    assert "headers" not in driven.document
    assert any("DKIM-Signature" in line for line in driven.report)


def test_a_repeated_field_is_joined_under_its_first_spelling_and_reported():
    driven = with_fields("X-Keyword: a", "X-KEYWORD: b")
    assert driven.document["headers"] == {"X-Keyword": "a, b"}
    assert any("more than once" in line for line in driven.report)


def test_a_field_that_cannot_be_a_list_keeps_its_first_value():
    driven = with_fields("Message-ID: <1@x>", "Message-ID: <2@x>", "Date: d1", "date: d2")
    assert driven.document["headers"] == {"Message-ID": "<1@x>", "Date": "d1"}
    assert sum("the first is carried" in line for line in driven.report) == 2


def test_raw_8_bit_text_becomes_encoded_words():
    assert headers_of("X-Campaign: Frühling") == {"X-Campaign": "=?utf-8?b?RnLDvGhsaW5n?="}


def test_raw_8_bit_names_of_an_address_field_are_encoded_and_the_address_stays_readable():
    expected = "=?utf-8?b?SsO2cmcsIEhlbHA=?= <help@shop.example>, =?utf-8?b?w5w=?= <u@shop.example>"
    assert headers_of('Reply-To: "Jörg, Help" <help@shop.example>, Ü <u@shop.example>') == {"Reply-To": expected}


def test_no_control_character_reaches_a_header_or_the_subject():
    mail = b"From: a@b.example\r\nTo: ann@cust.example\r\nSubject: a\x00\x07b\r\nX-A: a\x00b\x0bc\x1b[31m\r\n\r\nx\r\n"
    document = send(mail).document
    assert all(one.isprintable() for one in (document["subject"], *document["headers"].values()))


# -- subject and bodies


@pytest.mark.parametrize("field", ["", "Subject:\n", "Subject:   \n"])
def test_without_a_subject_one_is_made_and_reported(field):
    driven = send(f"From: a@b.example\nTo: {TO}\n{field}\nx\n")
    assert driven.document["subject"] == NO_SUBJECT
    assert any("no subject" in line for line in driven.report)


@pytest.mark.parametrize("body", ["", "\n"], ids=["no body at all", "an empty line"])
def test_an_empty_body_is_sent_as_an_empty_line(body):
    driven = send(f"From: a@b.example\nTo: {TO}\nSubject: s\n{body}")
    assert driven.document["text_body"] == "\n"
    assert any("no text" in line for line in driven.report)


def test_an_html_message_has_no_text_body():
    document = with_fields("Content-Type: text/html; charset=utf-8", body="<p>ü</p>").document
    assert document["html_body"] == "<p>ü</p>\n"
    assert "text_body" not in document


MIXED = """From: shop@shop.example
To: ann@cust.example
Subject: =?iso-8859-1?q?Gr=FC=DFe?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=M

--M
Content-Type: multipart/related; boundary=R

--R
Content-Type: multipart/alternative; boundary=A

--A
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
--A
Content-Type: text/html; charset=utf-8

<img src="cid:logo">
--A--
--R
Content-Type: image/png
Content-ID: <logo>
Content-Disposition: inline; filename=logo.png
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--R--
--M
Content-Type: application/pdf
Content-Disposition: attachment; filename*=utf-8''Rechnung%20f%C3%BCr%20J%C3%B6rg.pdf
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--M
Content-Type: text/calendar; method=REQUEST; charset=utf-8

BEGIN:VCALENDAR
--M
Content-Type: application/octet-stream; name=empty.bin
Content-Disposition: attachment

--M--
"""


def test_bodies_and_attachments_keep_name_type_and_octets():
    driven = send(MIXED)
    document = driven.document
    assert (document["subject"], document["text_body"]) == ("Grüße", "Grüße")
    assert document["html_body"] == '<img src="cid:logo">'
    told = {one["filename"]: (one["content_type"], octets_of(one)) for one in document["attachments"]}
    assert told.pop("logo.png") == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert told.pop("Rechnung für Jörg.pdf") == ("application/pdf", b"%PDF-1.4\n")
    ((_, calendar),) = told.items()
    assert calendar == ("text/calendar; charset=utf-8; method=REQUEST", b"BEGIN:VCALENDAR")


def test_what_the_api_cannot_say_of_an_attachment_is_reported():
    report = "\n".join(send(MIXED).report)
    assert "inline part logo.png travels as an attachment" in report
    assert "attachment empty.bin is empty" in report
