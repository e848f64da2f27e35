"""Bounce records in Postmark's shape: who gets one, what the API and the webhook say of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.message import SendOptions
from gateway.notices import bounces
from gateway.notices.webhooks import Webhook, bounce_posts
from gateway.outcome import Cause
from gateway.store.records import Recipient, State

from .messages import NOW, refused, stored

OPTIONS = SendOptions(tags=("receipt",), metadata={"order": "77"}, stream="billing")


def bounces_of(*recipients, **more):
    message = stored(*recipients, **more)
    return list(bounces.bounces_of(message, message.recipients, SendOptions(), NOW))


def test_a_bounce_is_told_in_the_vendors_shape():
    message = stored()
    (bounce,) = bounces.bounces_of(message, message.recipients, OPTIONS, NOW + 0.25)
    assert bounces.bounce_document(replace(bounce, number=7), message) == {
        "RecordType": "Bounce",
        "ID": 7,
        "Type": "SMTPApiError",
        "TypeCode": 100007,
        "Name": "SMTP API error",
        "Tag": "receipt",
        "MessageID": "01k9message0000000aa",
        "ServerID": 0,
        "MessageStream": "billing",
        "Description": "The recipient is inactive.",
        "Details": "On the suppression list",
        "Email": "ann@mail.example",
        "From": "orders@shop.example",
        "BouncedAt": "2026-11-18T11:06:40.2500000Z",
        "DumpAvailable": True,
        "Inactive": False,
        "CanActivate": False,
        "Subject": "Order 77",
    }


def test_a_bounce_outlives_its_message():
    (bounce,) = bounces_of()
    document = bounces.bounce_document(bounce, None)
    assert (document["From"], document["Subject"], document["DumpAvailable"]) == ("", "", False)
    assert not bounces.bounce_document(bounce, stored(has_content=False))["DumpAvailable"]


def test_the_dump_begins_with_the_long_error_and_its_code():
    (bounce,) = bounces_of()
    head = bounces.dump_head(bounce)
    assert head == "The recipient is inactive.\r\nOn the suppression list\r\nError code: 406\r\n\r\n"


@pytest.mark.parametrize(
    ("cause", "code"),
    [("SUPPRESSED", 406), ("SENDER_UNVERIFIED", 400), ("INVALID", 300), ("KEY_REFUSED", 10), ("new one", 300)],
)
def test_the_error_code_is_the_one_nearest_to_the_cause(cause, code):
    assert [one.error_code for one in bounces_of(refused(cause=cause))] == [code]


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_words(cause):
    assert all(one.description.endswith(".") for one in bounces_of(refused(cause=cause.name)))


def test_each_failed_recipient_bounces_and_nobody_else():
    states = {f"{state.value}@mail.example": state for state in State}
    found = bounces_of(*(Recipient(path, state) for path, state in states.items()), reverse_path="")
    assert {one.path for one in found} == {"refused@mail.example", "expired@mail.example"}
    assert {one.stream for one in found} == {"outbound"}


def test_notices_of_our_own_do_not_bounce():
    assert bounces_of(kind="dsn") == []


def test_statistics_count_all_and_by_type():
    assert bounces.statistics_document(0) == {"InactiveMails": 0, "Bounces": [{"Name": "All", "Count": 0}]}
    assert bounces.statistics_document(3)["Bounces"] == [
        {"Name": "All", "Count": 3},
        {"Type": "SMTPApiError", "Name": "SMTP API error", "Count": 3},
    ]


def test_the_webhook_is_sent_the_bounce_with_its_metadata():
    message = stored()
    (bounce,) = bounces.bounces_of(message, message.recipients, OPTIONS, NOW)
    hooks = [Webhook("old", "https://a.example/", "postmark"), Webhook("app", "https://b.example/")]
    document = bounces.webhook_document(replace(bounce, number=7), message)
    (post,) = bounce_posts(hooks, bounce.account_name, document, NOW, lambda: "trace-1")
    assert (post.post_id, post.webhook) == ("trace-1", "old")
    told = json.loads(post.body)
    assert (told["RecordType"], told["ID"], told["Metadata"]) == ("Bounce", 7, {"order": "77"})
    assert "Content" not in told
