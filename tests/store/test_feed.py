"""Events, bounce records, webhook deliveries, and what retention takes of all of it."""

from __future__ import annotations

from dataclasses import replace

from gateway.store.interface import LONGEST_WAIT_SECONDS, PIECE_OCTETS
from gateway.store.records import Bounce, Selection, State, StoredEvent, WebhookPost
from tests.store.mail import LEASE_SECONDS, NOW, OVER, add, claim, finish, found, message, totals

EVENTS = [StoredEvent(NOW + n, "received", f"m-{n % 2}", {"size": n, "text": "ü\0"}) for n in range(4)]
BOUNCE = Bounce(
    0, "m-1", "main/key-1", "Ann@cust.example", NOW, 300, "Invalid", "no such user", "outbound", "welcome", {"a": "b"}
)
POST = WebhookPost("p-1", "https://hook.example/", NOW, NOW, b'{"x": 1}\xff')


def claim_posts(store, now=NOW, lease=LEASE_SECONDS):
    return store.run(lambda one: one.claim_webhook_posts(now, 10, lease))


def test_events_come_in_order_and_can_be_read_on_from_any(store):
    assert store.look(lambda one: one.last_event_number()) == 0
    store.run(lambda one: one.add_events(EVENTS))
    kept = store.look(lambda one: one.events(0, 10))
    assert [replace(one, number=0) for one in kept] == EVENTS
    numbers = [one.number for one in kept]
    assert numbers == sorted(set(numbers))
    assert store.look(lambda one: one.events(numbers[1], 1)) == [kept[2]]
    assert store.look(lambda one: one.events(numbers[0], 10, "m-0")) == [kept[2]]
    assert store.look(lambda one: one.last_event_number()) == numbers[-1]


def test_no_events_are_no_work(store):
    store.run(lambda one: one.add_events([]))
    assert store.look(lambda one: one.events(0, 10)) == []


def test_a_bounce_record_is_found_by_its_number(store):
    first = store.run(lambda one: one.add_bounce(BOUNCE))
    second = store.run(lambda one: one.add_bounce(BOUNCE))
    assert second > first > 0
    assert store.look(lambda one: one.bounce(first)) == replace(BOUNCE, number=first)
    assert store.look(lambda one: one.bounce(second + 1)) is None


def test_bounce_records_are_counted_and_paged_newest_first(store):
    made = [replace(BOUNCE, at=NOW + n, message_id=f"m-{n}", tag="" if n else "welcome") for n in range(5)]
    numbers = [store.run(lambda t, one=one: t.add_bounce(one)) for one in made]

    def page(*arguments, **conditions):
        count, kept = store.look(lambda one: one.bounces(Selection(**conditions), *arguments))
        return count, [numbers.index(one.number) for one in kept]

    assert page(2) == (5, [4, 3])
    assert page(2, 4) == (5, [0])
    assert page(9, 0, "welcome") == (1, [0])
    assert page(9, 0, "", "broadcast") == (0, [])
    assert page(9, message_ids=("m-1", "m-3")) == (2, [3, 1])
    assert page(9, recipient="ann@", account_name="MAIN/key-1", received_from=NOW + 1, received_until=NOW + 3) == (
        2,
        [2, 1],
    )


def test_a_delivery_is_made_by_one_and_again_when_it_was_not_taken(store, open_store):
    store.run(lambda one: one.add_webhook_posts([POST, replace(POST, post_id="p-2", next_attempt_at=NOW + 50)]))
    (mine,) = claim_posts(store)
    assert replace(mine, token="") == POST
    assert claim_posts(open_store()) == []
    store.run(lambda one: one.finish_webhook_post(replace(mine, attempts=1), NOW + 30))
    (again,) = claim_posts(store, NOW + 30)
    assert (again.post_id, again.attempts) == ("p-1", 1)
    store.run(lambda one: one.finish_webhook_post(again, NOW + 40))
    (given_back,) = claim_posts(store, NOW + 40)
    assert given_back.attempts == 1
    store.run(lambda one: one.finish_webhook_post(given_back, None))
    assert [one.post_id for one in claim_posts(store, NOW + 50)] == ["p-2"]


def test_a_delivery_whose_maker_died_is_taken_over_and_its_late_end_changes_nothing(store):
    store.run(lambda one: one.add_webhook_posts([POST]))
    (dead,) = claim_posts(store, lease=OVER)
    (taken,) = claim_posts(store)
    store.run(lambda one: one.finish_webhook_post(dead, None))
    store.run(lambda one: one.finish_webhook_post(dead, NOW + 999))
    store.run(lambda one: one.finish_webhook_post(taken, NOW + 30))
    assert len(claim_posts(store, NOW + 30)) == 1


def test_a_delivery_is_made_though_the_clock_went_back(store):
    store.run(lambda one: one.add_webhook_posts([replace(POST, next_attempt_at=NOW + LONGEST_WAIT_SECONDS + 1)]))
    assert claim_posts(store) == []
    assert len(claim_posts(store, NOW - 5)) == 1


# -- keeping house


def prune(store, content_before=0.0, log_before=0.0, limit=100):
    return store.run(lambda one: one.prune(content_before, log_before, limit))


def test_content_goes_first_and_the_log_later_and_the_sum_never(store):
    add(store, message(1), message(2), message(3, state=State.HELD))
    for mine in claim(store):
        finish(store, mine, State.RELAYED, at=NOW + 100)
    before = totals(store)
    assert prune(store, content_before=NOW + 100) == 0
    assert prune(store, content_before=NOW + 101) == 2
    assert [found(store, message(n)).has_content for n in (1, 2, 3)] == [False, False, True]
    assert store.look(lambda one: list(one.content(message(1).message_id))) == []
    assert prune(store, log_before=NOW + 101) == 2
    assert [found(store, message(n)) is None for n in (1, 2, 3)] == [True, True, False]
    assert totals(store) == before


def test_mail_that_waits_is_never_pruned(store):
    add(store, message(1), message(2, state=State.HELD))
    assert prune(store, NOW * 2, NOW * 2) == 0


def test_a_turn_takes_no_more_than_it_is_told_and_large_mail_takes_several(store):
    add(store, message(1, state=State.RELAYED), content=bytes(PIECE_OCTETS * 5))
    assert prune(store, content_before=NOW + 1, limit=2) == 2
    assert not found(store, message(1)).has_content
    assert store.look(lambda one: one.content_piece(message(1).message_id, 0)) is None
    assert [prune(store, log_before=NOW + 1, limit=2) for _ in range(4)] == [2, 2, 0, 0]
    assert found(store, message(1)) is None


def test_what_a_log_pruned_in_one_turn_holds_goes_with_its_messages(store):
    add(store, *(message(n, state=State.RELAYED) for n in range(3)))
    store.run(lambda one: one.add_events(EVENTS))
    store.run(lambda one: one.add_bounce(BOUNCE))
    assert prune(store, log_before=NOW + 2, limit=1000) == 3 + 3 + 2 + 1
    assert [one.at for one in store.look(lambda one: one.events(0, 10))] == [NOW + 2, NOW + 3]
    assert store.look(lambda one: one.bounces(Selection(), 10)) == (0, [])
    assert totals(store).relayed == 3


def test_numbers_of_events_are_not_given_again(store):
    store.run(lambda one: one.add_events(EVENTS))
    last = store.look(lambda one: one.last_event_number())
    prune(store, log_before=NOW + 100)
    assert store.look(lambda one: one.last_event_number()) == 0
    store.run(lambda one: one.add_events(EVENTS[:1]))
    assert store.look(lambda one: one.last_event_number()) > last
