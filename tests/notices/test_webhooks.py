"""What is posted to webhooks, how it is signed, and when again; Standard Webhooks' own library judges signatures."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from gateway.exchange import ApiAnswer, NoAnswer
from gateway.notices import webhooks
from gateway.notices.webhooks import Verdict, Webhook, event_posts, read_answer, read_key, request_headers
from gateway.store.records import StoredEvent, WebhookPost

from .messages import NOW, stored

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
POST = WebhookPost("msg_1", "app", NOW, NOW, b'{"type":"message.refused"}')
STANDARD = Webhook("app", "https://app.example/", keys=(read_key(SECRET),))
POSTMARK = Webhook("old", "https://app.example/", "postmark", login="user:password")


def verify(headers, body, secret=SECRET, monkeypatch=None):
    """As a receiver does with Standard Webhooks' own library; its clock stands at the time of the attempt."""
    import standardwebhooks.webhooks as library

    class StandingClock(library.datetime):
        @classmethod
        def now(cls, tz=None):
            return library.datetime.fromtimestamp(NOW, tz)

    monkeypatch.setattr(library, "datetime", StandingClock)
    return Receiver(secret).verify(body, headers)


def test_a_signature_is_taken_by_the_standards_own_library(monkeypatch):
    headers = request_headers(STANDARD, POST, NOW + 0.9)
    assert verify(headers, POST.body, monkeypatch=monkeypatch) == {"type": "message.refused"}
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", str(int(NOW)))
    for other in (headers | {"webhook-id": "msg_2"}, headers | {"webhook-timestamp": str(int(NOW) + 1)}):
        with pytest.raises(WebhookVerificationError):
            verify(other, POST.body, monkeypatch=monkeypatch)
    with pytest.raises(WebhookVerificationError):
        verify(headers, POST.body + b" ", monkeypatch=monkeypatch)


def test_while_a_new_secret_spreads_both_are_taken(monkeypatch):
    webhook = replace(STANDARD, keys=(read_key(SECRET), read_key(OLD_SECRET)))
    headers = request_headers(webhook, POST, NOW)
    assert verify(headers, POST.body, SECRET, monkeypatch)
    assert verify(headers, POST.body, OLD_SECRET, monkeypatch)


@given(key=st.binary(min_size=24, max_size=64), body=st.binary(max_size=300), seconds=st.integers(0, 2**33))
def test_any_signature_is_what_the_standards_own_library_computes(key, body, seconds):
    from datetime import UTC, datetime

    text = body.decode("latin-1")
    secret = "whsec_" + base64.b64encode(key).decode()
    theirs = Receiver(secret).sign("msg_1", datetime.fromtimestamp(seconds, UTC), text)
    assert webhooks.signature(read_key(secret), "msg_1", str(seconds), text.encode()) == theirs


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_!!!", base64.b64encode(bytes(32)).decode(), "whsec_AAAA", "whsec_" + "A" * 100]
)
def test_a_secret_of_another_form_is_refused_without_being_told(secret):
    with pytest.raises(ValueError, match='expected "whsec_"') as raised:
        read_key(secret)
    assert len(secret) < 7 or secret.removeprefix("whsec_") not in str(raised.value)


def posts_of(hooks, *names, message=None):
    ids = iter("abcdefgh")
    events = [
        StoredEvent(NOW + 0.5, name, "01k9message0000000aa", {"recipients": ["ann@mail.example"]}) for name in names
    ]
    return event_posts(hooks, message or stored(), events, NOW, lambda: next(ids))


def test_a_post_tells_type_time_and_data():
    (post,) = posts_of([STANDARD], "refused")
    assert (post.post_id, post.webhook, post.created_at, post.next_attempt_at) == ("msg_a", "app", NOW, NOW)
    assert json.loads(post.body) == {
        "type": "message.refused",
        "timestamp": "2026-11-18T11:06:40.500Z",
        "data": {
            "recipients": ["ann@mail.example"],
            "message_id": "01k9message0000000aa",
            "kind": "mail",
            "account": "postscale/key-12345678",
            "header_message_id": "<77@shop.example>",
            "reverse_path": "orders@shop.example",
        },
    }


def test_words_that_utf_8_cannot_carry_do_not_stop_the_mail():
    event = StoredEvent(NOW, "refused", "01k9message0000000aa", {"reason": "half \ud83d"})
    (post,) = event_posts([STANDARD], stored(), [event], NOW, lambda: "a")
    assert json.loads(post.body)["data"]["reason"] == "half \ud83d"


def test_each_webhook_is_told_of_what_it_asked_for():
    some = replace(STANDARD, name="some", events=frozenset({"refused"}))
    other = replace(STANDARD, name="other", accounts=frozenset({"postscale/user-other"}))
    posts = posts_of([STANDARD, some, other, POSTMARK], "refused", "relayed")
    assert [(one.webhook, json.loads(one.body)["type"]) for one in posts] == [
        ("app", "message.refused"),
        ("some", "message.refused"),
        ("app", "message.relayed"),
    ]
    assert len({one.post_id for one in posts}) == 3


def answer(status, **headers):
    return ApiAnswer(status, headers, b"")


@pytest.mark.parametrize(
    ("answer", "standard", "postmark"),
    [
        (answer(200), Verdict.TAKEN, Verdict.TAKEN),
        (answer(204), Verdict.TAKEN, Verdict.TAKEN),
        (answer(301), Verdict.AGAIN, Verdict.AGAIN),
        (answer(400), Verdict.AGAIN, Verdict.DROPPED),
        (answer(404), Verdict.AGAIN, Verdict.DROPPED),
        (answer(408), Verdict.UNWELL, Verdict.UNWELL),
        (answer(410), Verdict.GONE, Verdict.GONE),
        (answer(429), Verdict.UNWELL, Verdict.UNWELL),
        (answer(500), Verdict.UNWELL, Verdict.UNWELL),
        (NoAnswer(True, "timeout"), Verdict.UNWELL, Verdict.UNWELL),
    ],
)
def test_what_an_answer_means(answer, standard, postmark):
    assert read_answer(STANDARD, answer) is standard
    assert read_answer(POSTMARK, answer) is postmark


def test_waits_grow_over_hours_with_jitter_and_never_end_for_the_standard():
    middle = [webhooks.next_wait_seconds(STANDARD, replace(POST, attempts=n), answer(500), 0.5) for n in range(12)]
    assert middle == [*webhooks.STANDARD_WAITS, 86400.0, 86400.0, 86400.0]
    edges = [webhooks.next_wait_seconds(STANDARD, POST, answer(500), chance) for chance in (0.0, 1.0)]
    assert edges == [4.0, 6.0]


def test_postmarks_waits_are_six():
    waits = [webhooks.next_wait_seconds(POSTMARK, replace(POST, attempts=n), answer(500), 0.5) for n in range(7)]
    assert waits == [60.0, 300.0, 600.0, 600.0, 600.0, 900.0, None]


def test_a_receiver_that_says_when_is_not_asked_earlier():
    assert webhooks.next_wait_seconds(STANDARD, POST, answer(429, **{"retry-after": "600"}), 0.5) == 600.0


def test_what_is_too_old_is_given_up_by_the_standard_alone():
    at = NOW + 3 * 24 * 3600 + 1
    assert webhooks.is_too_old(STANDARD, POST, at)
    assert not webhooks.is_too_old(STANDARD, POST, at - 2)
    assert not webhooks.is_too_old(POSTMARK, POST, at)


def test_postmarks_header_fields_count_down_and_log_in():
    headers = request_headers(POSTMARK, replace(POST, attempts=2), NOW)
    assert headers == {
        "Content-Type": "application/json",
        "X-PM-Webhook-Trace-Id": "msg_1",
        "X-PM-Retries-Remaining": "4",
        "Authorization": "Basic dXNlcjpwYXNzd29yZA==",
    }
    assert request_headers(POSTMARK, POST, NOW)["X-PM-Retries-Remaining"] == "6"


def test_no_secret_is_in_what_a_log_may_show():
    assert "password" not in repr(POSTMARK)
    assert repr(read_key(SECRET)) not in repr(STANDARD)
