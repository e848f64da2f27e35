"""The session core by its events: what it asks outside, and what it never asks."""

from __future__ import annotations

import pytest

from gateway.outcome import Reply
from gateway.smtp import events, replies
from gateway.smtp.conversation import State
from gateway.smtp.endings import ending
from tests.smtp.core_client import CoreClient

TO = b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@cust.example>\r\n"


@pytest.fixture
def client():
    client = CoreClient("implicit")
    client.log_in()
    return client


def heard(client: CoreClient, kind: type) -> list:
    return [event for event in client.heard if isinstance(event, kind)]


def test_paths_are_asked_about_as_the_client_wrote_them(client):
    client.feed(b'MAIL FROM:<"A B"@shop.example> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<@r.example:b@Cust.example>\r\n')
    assert heard(client, events.ReversePath)[0].address == '"A B"@shop.example'
    assert heard(client, events.ReversePath)[0].parameters == {"SIZE": "9", "BODY": "8BITMIME"}
    assert heard(client, events.ForwardPath)[0].address == "b@Cust.example"


@pytest.mark.parametrize("piece", [0, 1, 2, 3, 7])
def test_mail_data_comes_out_exact(client, piece):
    client.feed(TO + b"DATA\r\n" + b"Subject: x\r\n\r\n..dot\r\n..\r\nno.dot\r\n\r\n.\r\n", piece)
    assert client.messages == [b"Subject: x\r\n\r\n.dot\r\n.\r\nno.dot\r\n\r\n"]


def test_the_password_is_in_no_representation_of_an_event(client):
    assert "pass" not in repr(heard(client, events.LoginWanted)[0].login).replace("password", "")


def test_nothing_is_asked_while_an_answer_is_pending(client):
    client.patient = False
    client.feed(TO + b"DATA\r\ntext\r\n.\r\nQUIT\r\n")
    assert len(heard(client, events.ReversePath)) == 1
    assert heard(client, events.ForwardPath) == []
    assert client.session.take_output() == b""


def test_pending_commands_go_on_in_order_once_answered(client):
    client.patient = False
    client.feed(TO + b"RSET\r\nNOOP\r\n")
    client.session.answer(replies.REVERSE_PATH_OK)
    client.pump()
    client.session.answer(replies.FORWARD_PATH_OK)
    client.pump()
    assert client.session.take_output().split(b"\r\n")[:4] == [
        b"250 Sender OK",
        b"250 Recipient OK",
        b"250 Reset",
        b"250 OK",
    ]


def test_an_answer_that_comes_after_the_session_was_shut_is_ignored(client):
    client.patient = False
    client.feed(TO)
    client.session.shut(replies.SHUTTING_DOWN)
    client.session.answer(replies.REVERSE_PATH_OK)
    client.pump()
    assert client.session.take_output() == b"421 Service shutting down, try again later\r\n"
    assert client.closed
    assert client.feed(b"NOOP\r\n") == b""


def test_an_answer_that_nobody_waits_for_is_ignored(client):
    client.session.answer(Reply(250, "what?"))
    assert client.session.take_output() == b""


@pytest.mark.parametrize("text", [b"bare\nlf\r\n", b"nul\0\r\n", b"x" * 17000 + b"\r\n"])
def test_a_message_with_a_fault_is_dropped_and_never_ended(client, text):
    client.feed(TO + b"DATA\r\nSubject: x\r\n" + text + b"more\r\n.\r\n", 1000)
    assert len(heard(client, events.MailDataDropped)) == 1
    assert client.messages == []
    assert client.session.state is State.READY


def test_octets_sent_in_clear_behind_starttls_count_for_nothing_even_when_they_come_later():
    client = CoreClient("starttls")
    client.feed(b"EHLO a\r\nSTARTTLS\r\n")
    client.feed(b"EHLO evil\r\n")
    client.start_tls()
    client.pump()
    assert client.session.take_output() == b""
    assert client.session.hello_name == ""
    assert client.session.unread_octets == 0


def test_a_session_shut_before_it_began_says_only_that():
    client = CoreClient("starttls")
    client.session.take_output()
    client.session.shut(replies.TOO_MANY_SESSIONS)
    client.session.greet()
    assert client.session.take_output() == b"421 Too many sessions, try again later\r\n"


def test_a_failed_login_leaves_nobody_logged_in():
    client = CoreClient("implicit")
    client.feed(b"EHLO a\r\nAUTH PLAIN AGJhZABwYXNz\r\n")
    assert client.feed(TO) == b"502 Authentication required\r\n503 Send MAIL first\r\n"


def counted(client: CoreClient) -> dict[tuple[str, int], int]:
    return {(verb, code): times for verb, code, times in client.session.counted_replies()}


@pytest.mark.parametrize("piece", [0, 1, 5])
def test_replies_are_counted_by_what_they_answer_however_the_octets_come(piece):
    client = CoreClient("implicit")
    client.feed(b"EHLO client.test\r\nAUTH PLAIN AGdvb2QAcGFzcw==\r\n", piece)
    client.feed(TO + b"DATA\r\nMAIL FROM:<x@y.example>\r\n.\r\n" + TO + b"BDAT 3\r\nabcBDAT 2 LAST\r\n\r\n", piece)
    client.feed(b"noop\r\nXYZZY\r\nMAIL\r\n\x80\r\nQUIT\r\n", piece)
    assert counted(client) == {
        ("none", 220): 1,
        ("EHLO", 250): 1,
        ("AUTH", 235): 1,
        ("MAIL", 250): 2,
        ("RCPT", 250): 2,
        ("DATA", 354): 1,
        ("end-of-data", 250): 1,
        ("BDAT", 250): 2,
        ("NOOP", 250): 1,
        ("other", 500): 2,
        ("MAIL", 501): 1,
        ("QUIT", 221): 1,
    }


def test_the_lines_of_a_login_count_as_AUTH():
    client = CoreClient("implicit")
    client.feed(b"EHLO client.test\r\nAUTH LOGIN\r\nZ29vZA==\r\nYmFk\r\n")
    assert counted(client)["AUTH", 334] == 2
    assert counted(client)["AUTH", 235] == 1


def test_a_last_word_that_nobody_has_asked_for_answers_no_command(client):
    client.feed(b"NOOP\r\n")
    client.session.shut(replies.TIMED_OUT)
    assert counted(client)["none", 421] == 1
    assert ("NOOP", 421) not in counted(client)
    assert client.session.last_word == replies.TIMED_OUT


def test_what_is_no_smtp_is_counted_under_no_name_of_its_own(client):
    client.feed(b"GET / HTTP/1.1\r\n")
    assert counted(client)["other", 421] == 1


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"QUIT\r\n", "quit"),
        (b"GET / HTTP/1.1\r\n", "no-smtp"),
        (b"x\r\n" * 20, "errors"),
        (b"NOOP\r\n" * 1001, "commands"),
        (b"NOOP " + b"x" * 100_000, "errors"),
        (b"BDAT x\r\n", "refused"),
        (b"NOOP\r\n", "client-gone"),
    ],
)
def test_how_a_session_ended_is_told_in_a_word(client, octets, why):
    client.feed(octets)
    assert ending(client.session.last_word) == why
