"""How a reply is written, and that the replies of the SMTP side are fit to be written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outcome import Reply
from gateway.smtp import replies
from gateway.smtp.replies import LINE_OCTETS, write_reply

NAMED = {name: one for name, one in vars(replies).items() if isinstance(one, Reply)}
LINE = re.compile(rb"[2-5][0-9][0-9][- ][ -~]*\r\n")


@pytest.mark.parametrize("name", NAMED)
def test_codes_and_enhanced_codes_belong_together(name):
    reply = NAMED[name]
    assert 200 <= reply.code < 600
    if reply.enhanced:
        assert re.fullmatch(rf"{reply.code // 100}\.\d{{1,3}}\.\d{{1,3}}", reply.enhanced)


@given(
    st.integers(200, 599), st.text(alphabet=st.characters(min_codepoint=32, exclude_characters="\x7f") | st.just("\n"))
)
def test_a_reply_is_lines_of_printable_ascii_of_at_most_512_octets(code, text):
    lines = write_reply(Reply(code, text, ""), enhanced=False).splitlines(keepends=True)
    assert len(lines) == text.count("\n") + 1
    assert all(LINE.fullmatch(line) and len(line) <= LINE_OCTETS for line in lines)
    assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]


def test_an_enhanced_code_is_on_every_line():
    assert write_reply(Reply(250, "a\nb", "2.0.0"), enhanced=True) == b"250-2.0.0 a\r\n250 2.0.0 b\r\n"
