"""Encoded words, as mail programs write them and as they should be written."""

from __future__ import annotations

from email.header import Header, decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.words import decode_words, encode_words, without_controls

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?caf=C3=A9?=", "café"),
        ("=?UTF-8?B?Y2Fmw6k=?=", "café"),
        ("=?iso-8859-1?Q?a_b=5Fc?=", "a b_c"),
        ("=?windows-1252?q?=80?=", "€"),
        ("=?iso-8859-1?q?=80?=", "€"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        ("=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=", "日本語"),
        ("=?gb2312?B?xOO6ww==?=", "你好"),
        ("=?utf-8*en?q?hi?=", "hi"),
        ("=?utf-8?b?8J+Y?= =?utf-8?b?gA==?=", "😀"),
        ("=?utf-8?q?=C3?=\r\n =?utf-8?q?=A9?=", "é"),
        ("=?utf-8?q?=C3?= =?UTF-8?q?=A9?=", "é"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
        ("=?utf-8?q?hello world?=", "hello world"),
        ("=?utf-8?b?Y2Fmw6k?=", "café"),
        ("=?x-unknown?q?caf=E9?=", "café"),
        ("=?utf-7?q?+AGE-?=", "+AGE-"),
        ("=?utf-8?q?=E9?=", "é"),
        ("=?utf-8?b?x?=", "=?utf-8?b?x?="),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?q?abc", "=?utf-8?q?abc"),
        ("Re: =?utf-8?q?=C3=A9?=!", "Re: é!"),
        ("=?utf-8?q?100%25_=ZZ?=", "100%25 =ZZ"),
        ("=?utf-8?q?a=0D=0ABcc:_x=00?=", "a  Bcc: x"),
    ],
)
def test_a_word_is_read_as_mail_readers_do(body, text):
    assert decode_words(body) == text


def test_control_characters_go_and_line_breaks_become_blanks():
    assert without_controls("a\tb\r\nc\x00d\x7fe\x9bf\u2028g") == "a b  cdef g"


@given(st.text())
def test_nothing_raises_and_nothing_breaks_a_line(body):
    text = decode_words(body)
    assert not set(text) & {chr(code) for code in [*range(32), 127, 0x85, 0x2028]}


@given(LINES)
def test_encoded_words_stand_for_the_text(text):
    assert decode_words(encode_words(text)) == text


@given(LINES)
def test_an_independent_reader_reads_the_same(text):
    encoded = encode_words(text)
    if encoded != text:
        assert str(make_header(decode_header(encoded))) == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], min_codepoint=128), min_size=1, max_size=80))
def test_words_of_an_independent_writer_are_read(text):
    assert decode_words(Header(text, "utf-8").encode()) == text


@given(st.text())
def test_encoded_words_are_short_ascii_and_hold_whole_characters(text):
    encoded = encode_words(text)
    assert encoded.isascii()
    assert "\n" not in encoded and "\r" not in encoded
    if "=?" in encoded:
        for word in encoded.split(" "):
            assert len(word) <= 75
            assert "\ufffd" not in decode_words(word) or "\ufffd" in text


def test_plain_text_is_left_alone():
    assert encode_words("Hello, you") == "Hello, you"
