"""One attempt, driven with a fake clock: what the deadline does to several requests."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.relay import Relay
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer


class SlowClient:
    """Answers every request after the same time."""

    def __init__(self, clock: Clock, answer_seconds: float) -> None:
        self.clock = clock
        self.answer_seconds = answer_seconds
        self.deadlines: list[float] = []

    async def exchange(self, request: ApiRequest, body: object, deadline_seconds: float) -> ApiAnswer:
        self.deadlines.append(deadline_seconds)
        self.clock.advance(self.answer_seconds)
        return ApiAnswer(202, {}, b"{}")

    async def close(self) -> None:
        """Nothing is open."""


def many_requests(count: int):
    answers = []
    for _ in range(count):
        answers.append((yield ApiRequest("POST", "http://127.0.0.1/send", {})))
    return {str(number): answer for number, answer in enumerate(answers)}


def result_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallback(results.append)
    return results[0]


def test_a_request_that_the_deadline_would_cut_is_not_begun():
    clock = Clock()
    client = SlowClient(clock, answer_seconds=0.7)
    relay = Relay(client, clock.seconds, None, exchange_seconds=10.0, login_seconds=1.0)
    noted: list[Any] = []
    answers = result_of(relay.attempt(many_requests(30), lambda *one: noted.append(one), large=False))
    unsent = [one for one in answers.values() if isinstance(one, NoAnswer)]
    assert min(client.deadlines) > 2 * 0.7 - 1e-9
    assert len(unsent) == 30 - len(client.deadlines) > 0
    assert not any(one.wholly_written for one in unsent)
    assert [(request.method, round(seconds, 1)) for request, _, seconds in noted] == [("POST", 0.7)] * len(
        client.deadlines
    )


def test_a_single_request_has_all_the_time():
    clock = Clock()
    client = SlowClient(clock, answer_seconds=9.0)
    relay = Relay(client, clock.seconds, None, exchange_seconds=10.0, login_seconds=1.0)
    assert result_of(relay.attempt(many_requests(1), lambda *_: None, large=False))["0"].status == 202
    assert client.deadlines == [10.0]


def test_a_deadline_can_only_be_shorter_than_the_usual():
    clock = Clock()
    client = SlowClient(clock, answer_seconds=0.1)
    relay = Relay(client, clock.seconds, None, exchange_seconds=10.0, login_seconds=1.0)
    for wanted, given in ((3.0, 3.0), (30.0, 10.0)):
        client.deadlines.clear()
        result_of(relay.attempt(many_requests(1), lambda *_: None, large=False, deadline_seconds=wanted))
        assert client.deadlines == [given]
