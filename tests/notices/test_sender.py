"""The webhook sender with a clock that the test turns, a store in memory, and a receiver that does as it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.events import Alarm
from gateway.exchange import ApiAnswer, NoAnswer
from gateway.notices.lane import AT_ONCE
from gateway.notices.sender import IN_HAND, POLL_SECONDS, WebhookSender
from gateway.notices.webhooks import Webhook
from gateway.store.interface import StoreError
from gateway.store.records import WebhookPost

from .messages import NOW

GONE_FOR_A_DAY = 86400.0
APP = Webhook("app", "https://app.example/", keys=(b"k" * 24,))
OTHER = Webhook("other", "https://other.example/", "postmark")


class MemoryStore:
    """The webhook posts of a store, as its interface has them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.posts: dict[str, WebhookPost] = {}
        self._leases: dict[str, float] = {}
        self.broken = False

    async def write(self, job):
        if self.broken:
            raise StoreError("disk full")
        return job(self)

    def add(self, name: str, webhook: str = "app") -> None:
        self.posts[name] = WebhookPost(name, webhook, NOW, NOW, b"{}")

    def claim_webhook_posts(self, now, limit, lease_seconds):
        free = [one for one in self.posts.values() if self._leases.get(one.post_id, 0) <= self._clock.seconds()]
        due = [one for one in free if one.next_attempt_at <= now][:limit]
        self._leases |= {one.post_id: self._clock.seconds() + lease_seconds for one in due}
        return due

    def finish_webhook_post(self, post, next_attempt_at):
        self._leases.pop(post.post_id, None)
        if next_attempt_at is None:
            del self.posts[post.post_id]
        else:
            self.posts[post.post_id] = replace(post, next_attempt_at=next_attempt_at)


class Receiver:
    """A client that answers by itself, or waits when it is slow."""

    def __init__(self) -> None:
        self.answer: ApiAnswer | NoAnswer = ApiAnswer(200, {}, b"")
        self.asked: list[str] = []
        self.urls: list[str] = []
        self.at_once = 0
        self.waiting: list[Deferred[None]] | None = None
        self.is_closed = False

    async def exchange(self, request, body, deadline_seconds):
        self.asked.append(request.headers.get("webhook-id") or request.headers["X-PM-Webhook-Trace-Id"])
        self.urls.append(request.url)
        assert list(body.pieces()) == [b"{}"]
        if self.waiting is not None:
            held: Deferred[None] = Deferred()
            self.waiting.append(held)
            self.at_once = max(self.at_once, len(self.waiting))
            await held
        return self.answer

    def let_go(self) -> None:
        waiting, self.waiting = self.waiting or [], None
        for one in waiting:
            one.callback(None)

    async def close(self) -> None:
        self.is_closed = True


class Bench:
    """A running sender."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.app, self.other = Receiver(), Receiver()
        self.told: list[str] = []
        self.sender = WebhookSender(
            self.store, self.clock, lambda: NOW + self.clock.seconds(), lambda: 0.5, self._report
        )
        self.sender.change({"app": (APP, self.app), "other": (OTHER, self.other)})
        self.sender.start()

    def _report(self, event) -> None:
        assert isinstance(event, Alarm)
        self.told.append(event.text)

    def wait(self, seconds: float) -> None:
        """Let time pass, in steps that no poll is longer than."""
        until = self.clock.seconds() + seconds
        while self.clock.seconds() < until:
            self.clock.advance(min(POLL_SECONDS, until - self.clock.seconds()))


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    stopped = Deferred.fromCoroutine(bench.sender.stop())
    assert stopped.called
    assert bench.app.is_closed
    assert bench.clock.getDelayedCalls() == []


def test_a_post_is_delivered_as_soon_as_the_sender_is_woken(bench):
    bench.store.add("msg_1")
    bench.sender.wake()
    assert bench.app.asked == ["msg_1"]
    assert bench.store.posts == {}


def test_posts_of_other_gateways_are_found_without_being_woken(bench):
    bench.store.add("msg_1")
    bench.wait(POLL_SECONDS)
    assert bench.app.asked == ["msg_1"]


def test_a_failed_post_comes_again_after_its_wait_and_under_its_id(bench):
    bench.app.answer = ApiAnswer(500, {}, b"")
    bench.store.add("msg_1")
    bench.sender.wake()
    bench.wait(4)
    assert bench.app.asked == ["msg_1"]
    bench.app.answer = ApiAnswer(200, {}, b"")
    bench.wait(4)
    assert bench.app.asked == ["msg_1", "msg_1"]
    assert bench.store.posts == {}
    assert bench.told == ["webhook app: msg_1 was not taken and is tried again: status 500"]


def test_a_receiver_that_is_down_is_not_flooded_and_keeps_no_other_waiting(bench):
    bench.app.answer = NoAnswer(False, "connection refused")
    for number in range(200):
        bench.store.add(f"msg_{number}")
    bench.store.add("trace-1", "other")
    bench.sender.wake()
    bench.wait(60)
    assert bench.other.asked == ["trace-1"]
    assert len(bench.app.asked) < 40
    assert len(bench.store.posts) == 200
    bench.app.answer = ApiAnswer(200, {}, b"")
    bench.wait(3600)
    assert bench.store.posts == {}
    assert len(bench.told) == 1


def test_a_slow_receiver_has_few_requests_at_once_and_keeps_no_other_waiting(bench):
    bench.app.waiting = []
    for number in range(IN_HAND - 10):
        bench.store.add(f"msg_{number}")
    bench.store.add("trace-1", "other")
    bench.sender.wake()
    assert bench.app.at_once == AT_ONCE
    assert bench.other.asked == ["trace-1"]
    bench.app.let_go()
    bench.wait(10)
    assert bench.store.posts == {}


def test_a_long_line_of_posts_does_not_wait_for_polls(bench):
    for number in range(4 * IN_HAND):
        bench.store.add(f"msg_{number}")
    bench.app.waiting = []
    bench.sender.wake()
    for _ in range(4 * IN_HAND // AT_ONCE):
        waiting, bench.app.waiting = bench.app.waiting, []
        for one in waiting:
            one.callback(None)
    assert bench.store.posts == {}
    assert bench.clock.seconds() == 0


def test_what_waits_for_a_receiver_that_is_down_is_no_attempt(bench):
    bench.other.answer = ApiAnswer(503, {}, b"")
    for number in range(40):
        bench.store.add(f"trace-{number}", "other")
    bench.sender.wake()
    bench.wait(20)
    assert sorted({one.attempts for one in bench.store.posts.values()}) == [0, 1]
    assert sum(one.attempts for one in bench.store.posts.values()) == len(bench.other.asked)


def test_a_receiver_that_is_gone_gets_nothing_more(bench):
    bench.app.answer = ApiAnswer(410, {}, b"")
    bench.store.add("msg_1")
    bench.sender.wake()
    bench.store.add("msg_2")
    bench.sender.wake()
    assert bench.app.asked == ["msg_1"]
    assert bench.store.posts == {}
    assert "410 Gone" in bench.told[0]


def test_what_is_never_taken_is_given_up_after_days(bench):
    bench.app.answer = ApiAnswer(400, {}, b"")
    bench.store.add("msg_1")
    bench.sender.wake()
    bench.wait(4 * GONE_FOR_A_DAY)
    assert bench.store.posts == {}
    assert 8 <= len(bench.app.asked) <= 9
    assert "is given up after" in bench.told[-1]


def test_postmarks_receivers_are_asked_seven_times(bench):
    bench.other.answer = ApiAnswer(503, {}, b"")
    bench.store.add("trace-1", "other")
    bench.sender.wake()
    bench.wait(GONE_FOR_A_DAY)
    assert bench.other.asked == ["trace-1"] * 7
    assert bench.store.posts == {}


def test_posts_for_a_webhook_that_is_not_in_these_settings_are_left_to_another_gateway_for_a_day(bench):
    bench.store.add("msg_1", "newer")
    bench.sender.wake()
    bench.wait(GONE_FOR_A_DAY - 600)
    assert [one.attempts for one in bench.store.posts.values()] == [0]
    bench.wait(1300)
    assert bench.store.posts == {}


def test_a_store_that_fails_is_told_of_once_and_asked_again(bench):
    bench.store.broken = True
    bench.wait(60)
    assert bench.told == ["webhooks wait for the store: disk full"]
    bench.store.broken = False
    bench.store.add("msg_1")
    bench.wait(POLL_SECONDS)
    assert bench.app.asked == ["msg_1"]


def test_a_stop_leaves_what_waits_to_the_next_start(bench):
    bench.app.waiting = []
    for number in range(20):
        bench.store.add(f"msg_{number}")
    bench.sender.wake()
    assert Deferred.fromCoroutine(bench.sender.stop()).called
    bench.app.let_go()
    assert len(bench.store.posts) == 20 - AT_ONCE


# -- new settings


def test_a_new_webhook_gets_what_is_posted_from_then_on(bench):
    new = Receiver()
    bench.sender.change({"app": (APP, bench.app), "new": (Webhook("new", "https://new.example/"), new)})
    bench.store.add("msg_1", "new")
    bench.sender.wake()
    assert new.asked == ["msg_1"]
    assert bench.other.is_closed
    bench.store.add("trace-1", "other")
    bench.sender.wake()
    assert (bench.other.asked, len(bench.store.posts)) == ([], 1)


def test_a_sender_without_webhooks_delivers_as_soon_as_it_has_one(bench):
    bench.sender.change({})
    bench.store.add("msg_1")
    bench.sender.wake()
    bench.clock.advance(300)
    assert bench.app.asked == []
    bench.sender.change({"app": (APP, bench.app)})
    bench.wait(600)
    assert bench.app.asked == ["msg_1"]


def test_what_waits_behind_a_slow_receiver_goes_to_the_new_one(bench):
    bench.app.waiting = []
    for number in range(20):
        bench.store.add(f"msg_{number}")
    bench.sender.wake()
    new = Receiver()
    bench.sender.change({"app": (replace(APP, url="https://new.example/"), new)})
    bench.app.let_go()
    bench.wait(POLL_SECONDS)
    assert bench.store.posts == {}
    assert (len(bench.app.asked), len(new.asked)) == (AT_ONCE, 20 - AT_ONCE)
    assert set(new.urls) == {"https://new.example/"}


def test_what_waits_for_a_webhook_that_is_no_more_goes_back_to_the_store(bench):
    bench.app.waiting = []
    for number in range(20):
        bench.store.add(f"msg_{number}")
    bench.sender.wake()
    bench.sender.change({"other": (OTHER, bench.other)})
    bench.app.let_go()
    bench.wait(1300)
    assert len(bench.app.asked) == AT_ONCE
    assert len(bench.store.posts) == 20 - AT_ONCE
    back = Receiver()
    bench.sender.change({"app": (APP, back)})
    bench.wait(600)
    assert bench.store.posts == {}


@pytest.mark.parametrize("answer", [ApiAnswer(410, {}, b""), ApiAnswer(500, {}, b""), NoAnswer(False, "refused")])
def test_what_the_receiver_before_answers_is_not_held_against_the_new_one(bench, answer):
    bench.app.answer, bench.app.waiting = answer, []
    bench.store.add("msg_1")
    bench.sender.wake()
    new = Receiver()
    bench.sender.change({"app": (replace(APP, url="https://new.example/"), new)})
    bench.app.let_go()
    bench.wait(POLL_SECONDS)
    assert new.asked == ["msg_1"]
    assert (bench.store.posts, bench.told) == ({}, [])


def test_a_receiver_that_was_gone_or_down_is_asked_again_once_it_is_changed_and_not_before(bench):
    bench.app.answer = ApiAnswer(410, {}, b"")
    bench.store.add("msg_1")
    bench.sender.wake()
    again = Receiver()
    bench.sender.change({"app": (APP, again)})
    bench.store.add("msg_2")
    bench.sender.wake()
    assert (again.asked, bench.store.posts) == ([], {})
    bench.sender.change({"app": (replace(APP, keys=(b"n" * 24,)), again)})
    bench.store.add("msg_3")
    bench.sender.wake()
    assert again.asked == ["msg_3"]
