"""Notices in a real store: written with the step that they tell of, or not at all."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from gateway.notices.dsn import Sender
from gateway.notices.notices import Notices
from gateway.notices.webhooks import Webhook
from gateway.store.records import Recipient, Selection, State, StoredEvent
from gateway.store.sqlite import SqliteStore

from .messages import NOW, ORIGINAL, refused, stored

WAITING = Recipient("ann@mail.example", State.QUEUED)


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "store.sqlite")
    store.open()
    message = replace(stored(WAITING, ret="FULL"), next_attempt_at=NOW)
    store.run(lambda at: at.add_message(message, [ORIGINAL[:60], ORIGINAL[60:]], ()))
    yield store
    store.close()


@pytest.fixture
def notices():
    numbers = count(1)
    hooks = (Webhook("app", "https://a.example/"), Webhook("old", "https://b.example/", "postmark"))
    sender = Sender("smtp.gateway.example", "postmaster@gateway.example")
    return Notices(sender, hooks, lambda: f"01k9new{next(numbers):013}", lambda *_: b"", 86400.0)


def tell(notices, transaction):
    message = stored(refused(), ret="FULL")
    notices.add_events(transaction, message, [StoredEvent(NOW, "refused", message.message_id)])
    return notices.of(transaction, message, message.recipients, ("dsn", "bounce"), NOW)


def test_a_dsn_is_in_the_queue_whole_and_counts_as_accepted(store, notices):
    dsn_id = store.run(lambda at: tell(notices, at))
    dsn = store.look(lambda at: at.message(dsn_id))
    assert dsn is not None
    assert (dsn.kind, dsn.recipients) == ("dsn", (Recipient("orders@shop.example", State.QUEUED),))
    content = b"".join(store.look(lambda at: list(at.content(dsn_id))))
    assert len(content) == dsn.size_octets
    assert ORIGINAL in content
    totals = store.look(lambda at: at.totals())
    assert (totals.accepted, totals.queued, totals.is_whole) == (2, 2, True)


def test_it_is_due_at_once_in_the_lane_of_its_message(store, notices):
    dsn_id = store.run(lambda at: tell(notices, at))
    (lane,) = store.look(lambda at: at.due_lanes(NOW, 10))
    claims = store.run(lambda at: at.claim("gateway", lane.lane, lane.account_name, NOW, 10, 60.0))
    assert dsn_id in {one.message.message_id for one in claims}


def test_bounces_events_and_posts_are_there_with_it(store, notices):
    store.run(lambda at: tell(notices, at))
    total, (bounce,) = store.look(lambda at: at.bounces(Selection(account_name="postscale/key-12345678"), 10))
    assert (total, bounce.path, bounce.error_code) == (1, "ann@mail.example", 406)
    assert [one.name for one in store.look(lambda at: at.events(0, 10))] == ["refused", "notified", "received"]
    posts = store.run(lambda at: at.claim_webhook_posts(NOW, 10, 60.0))
    assert sorted(one.webhook for one in posts) == ["app", "app", "old"]


def test_a_step_that_fails_leaves_no_notice_behind(store, notices):
    def fail(transaction):
        tell(notices, transaction)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        store.run(fail)
    assert len(store.look(lambda at: at.select(Selection(), 10))) == 1
    assert store.look(lambda at: at.events(0, 10)) == []
    assert store.look(lambda at: at.bounces(Selection(), 10)) == (0, [])
    assert store.run(lambda at: at.claim_webhook_posts(NOW, 10, 60.0)) == []
