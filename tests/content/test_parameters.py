"""Content-Type and Content-Disposition bodies, from the RFCs and from mail programs."""

from __future__ import annotations

from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.parameters import parse_parameters


@pytest.mark.parametrize(
    ("body", "value", "parameters"),
    [
        ("text/plain", "text/plain", {}),
        ("", "", {}),
        ("Text/HTML; Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        ('text/plain; charset="us-ascii" ; format=flowed', "text/plain", {"charset": "us-ascii", "format": "flowed"}),
        ("text/plain; charset=us-ascii (Plain text)", "text/plain", {"charset": "us-ascii"}),
        ("(a (nested\\)) b) text/plain(c);(d)charset(e)=(f)x", "text/plain", {"charset": "x"}),
        ('attachment; filename="a;b,\\"c\\".pdf"', "attachment", {"filename": 'a;b,"c".pdf'}),
        ("attachment; filename=my file.pdf", "attachment", {"filename": "my file.pdf"}),
        ('attachment; filename="=?utf-8?q?caf=C3=A9.pdf?="', "attachment", {"filename": "café.pdf"}),
        ("attachment; filename==?utf-8?b?Y2Fmw6k=?=", "attachment", {"filename": "café"}),
        ('attachment; filename="naïve.txt"', "attachment", {"filename": "naïve.txt"}),
        ("attachment; filename*=utf-8''caf%C3%A9.pdf; filename=cafe.pdf", "attachment", {"filename": "café.pdf"}),
        ("attachment; filename=cafe.pdf; filename*=iso-8859-1'fr'caf%E9.pdf", "attachment", {"filename": "café.pdf"}),
        ("a/b; x*1=b; x*0=a; x*2=c", "a/b", {"x": "abc"}),
        ("a/b; x*0*=utf-8''%C3; x*1*=%A9; x*2=\"%20.pdf\"", "a/b", {"x": "é%20.pdf"}),
        ("a/b; x*0*=koi8-r''%F0%D2; x*1*=%C9", "a/b", {"x": "При"}),
        ("a/b; x*=broken%", "a/b", {"x": "broken%"}),
        ("a/b; x*99999999999=y", "a/b", {"x*99999999999": "y"}),
        ('a/b; x="never closed', "a/b", {"x": "never closed"}),
        ('a/b; x="ends in a backslash\\', "a/b", {"x": "ends in a backslash"}),
        ("a/b;;; ; =x; y", "a/b", {}),
        ("a/b; x=1; x=2", "a/b", {"x": "1"}),
        ("a/b (never closed; x=1", "a/b", {}),
    ],
)
def test_a_body_is_read(body, value, parameters):
    assert parse_parameters(body) == (value, parameters)


def test_the_example_of_rfc_2231_section_4_1():
    body = (
        "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; "
        'title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"'
    )
    assert parse_parameters(body)[1] == {"title": "This is even more ***fun*** isn't it!"}


@given(st.text(st.sampled_from("\"\\();=*'%0aé \t?") | st.characters(), max_size=60))
def test_nothing_raises(body):
    value, parameters = parse_parameters(body)
    assert value == value.strip()
    assert all(name == name.lower() and name for name in parameters)


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=200))
def test_a_filename_written_by_an_independent_program_is_read(filename):
    written = Message()
    written.add_header("Content-Disposition", "attachment", filename=("utf-8", "", filename))
    assert parse_parameters(written["Content-Disposition"])[1]["filename"] == filename


@pytest.mark.parametrize("unit", ["(", '"', ";", "\\", '"\\"', "a*0=;", "(\\)", "x=(;", "*", '""', "='"])
def test_long_nonsense_is_read_once(unit):
    assert parse_parameters("a/b; x=" + unit * 200_000)[0].startswith("a/b")
