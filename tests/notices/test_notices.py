"""What the queue's step writes into its transaction: the DSN as a message of its own, bounces, posts."""

from __future__ import annotations

import json
from itertools import count

import pytest

from gateway.message import SendOptions
from gateway.notices.dsn import Sender
from gateway.notices.notices import Notices
from gateway.notices.webhooks import Webhook
from gateway.store.records import Recipient, State, StoredEvent

from .messages import NOW, ORIGINAL, Kept, refused, stored

HOOKS = (Webhook("app", "https://a.example/"), Webhook("old", "https://b.example/", "postmark"))


@pytest.fixture
def notices():
    numbers = count(1)
    return Notices(
        Sender("smtp.gateway.example", "postmaster@gateway.example"),
        HOOKS,
        lambda: f"01k9new{next(numbers):013}",
        lambda sealed, old, new: b"sealed for " + new.encode() + b", was " + sealed,
        5 * 86400.0,
    )


def test_a_dsn_waits_in_the_queue_as_mail_of_the_same_account(notices):
    kept, message = Kept(), stored(sealed_key=b"old", moved_to=("other",), lane="postscale/own")
    assert notices.of(kept, message, message.recipients, ("dsn",), NOW) == "01k9new0000000000001"
    ((dsn, content),) = kept.messages
    assert (dsn.message_id, dsn.kind, dsn.mode) == ("01k9new0000000000001", "dsn", "queued")
    assert (dsn.envelope.reverse_path, dsn.envelope.forward_paths) == ("", ("orders@shop.example",))
    assert dsn.recipients == (Recipient("orders@shop.example", State.QUEUED),)
    assert (dsn.account, dsn.account_name) == (message.account, message.account_name)
    assert (dsn.moved_to, dsn.lane) == (message.moved_to, message.lane)
    assert dsn.sealed_key == b"sealed for 01k9new0000000000001, was old"
    assert (dsn.received_at, dsn.next_attempt_at, dsn.expires_at) == (NOW, NOW, NOW + 5 * 86400)
    assert (dsn.size_octets, dsn.has_content) == (len(content), True)
    assert (dsn.author, dsn.subject) == ("postmaster@gateway.example", "Your message could not be delivered")
    assert b"Subject: Order 77" in content
    assert b"Thanks." not in content
    assert kept.bounces == []
    notified, received = kept.events
    assert (notified.name, notified.message_id) == ("notified", message.message_id)
    assert notified.detail == {"dsn": dsn.message_id}
    assert (received.name, received.message_id) == ("received", dsn.message_id)
    assert received.detail["notice_of"] == message.message_id


def test_a_dsn_that_fails_is_told_to_nobody(notices):
    kept, message = Kept(), stored()
    notices.of(kept, message, message.recipients, ("dsn", "bounce"), NOW)
    (dsn, _) = kept.messages[0]
    again = Kept()
    failed = [Recipient("orders@shop.example", State.REFUSED, cause="INVALID")]
    assert notices.of(again, dsn, failed, ("dsn", "bounce"), NOW) == ""
    assert (again.messages, again.bounces, again.posts) == ([], [], [])


def test_an_account_bound_to_one_address_sends_its_notices_from_there(notices):
    kept = Kept()
    message = stored(account={"own_address": "orders@shop.example"})
    notices.of(kept, message, message.recipients, ("dsn",), NOW)
    assert b"From: Mail Delivery System <orders@shop.example>\r\n" in kept.messages[0][1]


def test_ret_full_reads_the_message_from_the_store(notices):
    kept, message = Kept(), stored(ret="FULL")
    notices.of(kept, message, message.recipients, ("dsn",), NOW)
    assert ORIGINAL in kept.messages[0][1]


@pytest.mark.parametrize("kinds", [(), ("webhook",)])
def test_a_route_without_dsn_and_bounce_writes_neither(notices, kinds):
    kept, message = Kept(), stored()
    assert notices.of(kept, message, message.recipients, kinds, NOW) == ""
    assert (kept.messages, kept.bounces, kept.posts, kept.events) == ([], [], [], [])


def test_a_bounce_is_kept_and_posted_with_its_number(notices):
    kept = Kept()
    message = stored(refused(), refused("bob@mail.example"))
    notices.of(kept, message, message.recipients, ("bounce",), NOW, SendOptions(tags=("receipt",)))
    assert [(one.path, one.tag) for one in kept.bounces] == [
        ("ann@mail.example", "receipt"),
        ("bob@mail.example", "receipt"),
    ]
    assert [(one.webhook, json.loads(one.body)["ID"]) for one in kept.posts] == [("old", 1), ("old", 2)]


def test_late_mail_warns_only_who_asked(notices):
    waiting = [Recipient("ann@mail.example", State.QUEUED), Recipient("bob@mail.example", State.RELAYED)]
    kept = Kept()
    silent = stored(*waiting)
    assert notices.warn(kept, silent, waiting, ("dsn",), NOW) == ""
    asked = stored(*waiting, notify={one.path: "SUCCESS,DELAY" for one in waiting})
    assert notices.warn(kept, asked, waiting, ("bounce",), NOW) == ""
    assert notices.warn(kept, asked, waiting, ("dsn",), NOW)
    ((dsn, content),) = kept.messages
    assert dsn.subject == "Your message is delayed"
    assert b"bob@mail.example" not in content


def test_events_are_kept_and_posted_together(notices):
    kept = Kept()
    events = [StoredEvent(NOW, "refused", "01k9message0000000aa")]
    assert notices.add_events(kept, stored(), events) is True
    assert kept.events == events
    assert [one.webhook for one in kept.posts] == ["app"]
    assert notices.add_events(kept, stored(), []) is False
