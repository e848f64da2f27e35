"""Messages that wait for the same key at a vendor with a batch call travel together, each with its own outcome."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred as Promise

from gateway.departures import Departure, VendorEntry
from gateway.message import Content, Envelope, Mailbox, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred
from gateway.queue.rides import SharedRides
from gateway.store.records import State
from gateway.vendor import ApiAnswer, NoAnswer, VendorAccount, load
from tests.queue.gateways import Kept, run_queue, settings_text, until
from tests.running import connected, letter, log_in, send

POSTMARK = '[vendors.postmark]\napi = "postmark"\nurl = "http://127.0.0.1:{console}/sandbox/postmark/v1"\n'


class WaitingRelay:
    """Gives the answer to a request when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Promise[Any]]] = []
        self.deadlines: list[float | None] = []

    async def attempt(self, exchange, note, *, large, deadline_seconds=None):
        self.deadlines.append(deadline_seconds)
        try:
            request = next(exchange)
            while True:
                answered: Promise[Any] = Promise()
                self.asked.append((request, answered))
                answer = await answered
                note(request, answer, 1.0)
                request = exchange.send(answer)
        except StopIteration as stop:
            return stop.value

    def answer(self, number: int, answer: Any) -> None:
        self.asked[number][1].callback(answer)


class Rider:
    """Attempts at one vendor entry, and what came of each."""

    def __init__(self, name: str) -> None:
        self.now = 0.0
        self.relay, self.rides = WaitingRelay(), SharedRides(lambda: self.now)
        self.entry = VendorEntry(name, load(name), "http://x", "k", self.relay)
        self.results: dict[int, Any] = {}
        self.calls: dict[int, list[Any]] = {}

    def go(self, number: int, key: str = "k", deadline_seconds: float | None = None) -> None:
        content = Content((), (Mailbox("", "a@shop.example"),), (), (), "s", None, None, (), 10)
        submission = Submission(f"m{number}", Envelope("", (f"{number}@cust.example",)), content, SendOptions())
        departure = Departure(self.entry, VendorAccount("http://x", key), submission)
        calls = self.calls.setdefault(number, [])
        attempt = self.rides.attempt(
            departure,
            submission,
            lambda *one, told_elsewhere=False: calls.append((*one, told_elsewhere)),
            large=False,
            deadline_seconds=deadline_seconds,
        )
        Promise.fromCoroutine(attempt).addBoth(lambda result: self.results.update({number: result}))

    def urls(self) -> list[str]:
        return [request.url.removeprefix("http://x") for request, _ in self.relay.asked]


def batch_answer(*codes: int) -> ApiAnswer:
    """An answer with these error codes, in order; a message that was taken has an id."""
    items = [
        {"ErrorCode": code, "Message": "told", **({} if code else {"MessageID": f"v{number}"})}
        for number, code in enumerate(codes)
    ]
    return ApiAnswer(200, {}, json.dumps(items).encode())


def test_the_first_leave_at_once_and_who_comes_meanwhile_leaves_together():
    rider = Rider("postmark")
    for number in range(7):
        rider.go(number)
    assert rider.urls() == ["/email", "/email"]
    rider.relay.answer(0, ApiAnswer(200, {}, b'{"ErrorCode":0,"MessageID":"v"}'))
    assert rider.urls() == ["/email", "/email", "/email/batch"]
    assert len(rider.relay.asked[2][0].json) == 5
    rider.relay.answer(2, batch_answer(0, 0, 406, 0, 0))
    outcomes = {number: next(iter(result[0].values())) for number, result in rider.results.items()}
    assert outcomes[2] == Accepted("v0")
    assert outcomes[4].cause is Cause.SUPPRESSED
    assert sorted(outcomes) == [0, 2, 3, 4, 5, 6]
    assert len(rider.calls[3]) == 1
    assert [calls[0][-1] for number, calls in sorted(rider.calls.items()) if number > 1] == [False] + [True] * 4


def test_a_request_that_fails_defers_all_that_were_in_it():
    rider = Rider("postmark")
    for number in range(4):
        rider.go(number)
    rider.relay.answer(0, NoAnswer(False, "refused"))
    rider.relay.answer(2, ApiAnswer(503, {}, b"{}"))
    for number in (0, 2, 3):
        assert isinstance(next(iter(rider.results[number][0].values())), Deferred)


def test_a_fault_of_our_own_reaches_everybody_and_the_next_can_leave(monkeypatch):
    rider = Rider("postmark")
    for number in range(4):
        rider.go(number)
    monkeypatch.setattr("gateway.queue.rides.translate_batch", lambda *_: 1 / 0)
    rider.relay.answer(0, NoAnswer(False, "refused"))
    assert {type(rider.results[number].value) for number in (2, 3)} == {ZeroDivisionError}
    monkeypatch.undo()
    rider.go(9)
    assert len(rider.relay.asked) == 3


def test_keys_do_not_share_a_request_and_neither_do_vendors_without_a_batch_call():
    rider = Rider("postmark")
    for number in range(4):
        rider.go(number, key=f"k{number}")
    assert rider.urls() == ["/email"] * 4
    rider = Rider("relaypost")
    for number in range(4):
        rider.go(number)
    assert len(rider.relay.asked) == 4


def test_whoever_waited_has_less_time_left():
    rider = Rider("postmark")
    for number in range(3):
        rider.go(number, deadline_seconds=10.0)
    rider.now = 4.0
    rider.relay.answer(0, NoAnswer(False, "refused"))
    assert rider.relay.deadlines == [10.0, 10.0, 6.0]


def test_a_gateway_sends_what_waits_in_one_request(tmp_path):
    text = settings_text(POSTMARK, "").replace('dialect = "postscale"', 'dialect = "postmark"')
    text = text.replace("lease_seconds = 8.0", "lease_seconds = 60.0")
    key = "pm_test_queue_2"
    with run_queue(tmp_path, text) as gateway, connected(gateway) as client:
        assert log_in(client, key, key)[0] == 235
        sent = []
        for _ in range(12):
            code, told = send(client, "slow@sandbox.example", octets=letter("slow@sandbox.example"))
            assert code == 250
            sent.append(told.split()[2])
        for one in sent:
            Kept(gateway).wait_for(one, State.RELAYED)
        urls = [call.url for one in sent for attempt in Kept(gateway).attempts(one) for call in attempt.calls]
        until(lambda: Kept(gateway).totals().relayed == 12, gateway)
    assert sum(url.endswith("/email/batch") for url in urls) >= 6
