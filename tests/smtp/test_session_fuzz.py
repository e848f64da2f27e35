"""Any octets in any pieces, from each state: replies or a close, the same ones however cut, and little in memory."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.smtp import events
from tests.smtp.core_client import CoreClient

LIMITS = {"message_octets": 300, "text_line_octets": 80, "command_octets": 100, "auth_response_octets": 200}
TO = b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@cust.example>\r\n"
STATES = {
    "greeted": (b"", False),
    "after EHLO": (b"EHLO a\r\n", False),
    "in AUTH": (b"EHLO a\r\nAUTH LOGIN\r\n", False),
    "logged in": (b"", True),
    "in a transaction": (TO, True),
    "in mail data": (TO + b"DATA\r\n", True),
}
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\0", b".", b"\r\n.\r\n", b" ", b"EHLO a\r\n", b"HELO a\r\n", b"NOOP\r\n", b"RSET\r\n",
    b"AUTH PLAIN ", b"AUTH LOGIN\r\n", b"AGdvb2QAcGFzcw==\r\n", b"AUTH PLAIN AGdvb2QAcGFzcw==\r\n", b"*\r\n", b"=\r\n",
    b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>\r\n", b"RCPT TO:<at-rcpt.raise@d>\r\n", b"DATA\r\n", b"VRFY x\r\n", b"HELP\r\n",
    b" SIZE=", b" BODY=8BITMIME", b" SMTPUTF8", b"\xff", b"\xc3\xbc", b"\x16\x03", b"x" * 90, b"y" * 190, b"GET /\r\n",
    b"QUIT\r\n", b"<", b">", b"@", b"BDAT 5\r\n", b"BDAT 3 LAST\r\n", b"\n.\n", b"\r\n..",
]  # fmt: skip
octets = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=12), max_size=30).map(b"".join)
REPLIES = re.compile(rb"(?:[2-5][0-9][0-9][- ][ -~]*\r\n)*")


def start(state: str) -> CoreClient:
    says, logged_in = STATES[state]
    client = CoreClient("implicit", **LIMITS)
    if logged_in:
        client.log_in()
    client.feed(says)
    return client


def outcome(client: CoreClient, pieces: list[bytes]) -> tuple[bytes, bool, list[bytes]]:
    return client.feed_pieces(pieces), client.closed, client.messages


def cut(text: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[first:last] for first, last in pairwise(marks)]


@pytest.mark.parametrize("state", STATES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(text=octets, places=st.lists(st.integers(0, 900), max_size=8))
def test_replies_or_a_close_and_the_same_however_cut(state, text, places):
    whole = outcome(start(state), [text])
    assert REPLIES.fullmatch(whole[0])
    assert outcome(start(state), cut(text, places)) == whole
    assert outcome(start(state), [text[place : place + 1] for place in range(len(text))]) == whole


@pytest.mark.parametrize("state", STATES)
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.sampled_from(TOKENS) | st.binary(max_size=300), max_size=40))
def test_no_more_is_held_than_the_longest_line(state, pieces):
    client = start(state)
    for piece in pieces:
        client.feed(piece)
        assert client.session.unread_octets <= LIMITS["auth_response_octets"]
        assert not client.session.take_output()


@settings(max_examples=100, deadline=None)
@given(text=octets)
def test_while_an_answer_is_pending_octets_wait_and_nothing_is_said(text):
    client = start("logged in")
    client.patient = False
    assert client.feed(b"MAIL FROM:<a@b>\r\n" + text, 1) == b""
    assert client.session.unread_octets == len(text)
    assert isinstance(client.heard[-1], events.ReversePath)


@settings(max_examples=100, deadline=None)
@given(text=octets)
def test_a_password_that_was_never_sent_lets_nobody_in(text):
    client = CoreClient("implicit", **LIMITS)
    client.feed(text.replace(b"AGdvb2QAcGFzcw==", b"AGJhZABwYXNz"))
    assert not [one for one in client.heard if isinstance(one, events.ReversePath)]
