"""A message that comes again after a part of its recipients was served."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.accounts.account import Account
from gateway.attempts import Attempts
from gateway.departures import Departures, NoDepartureError, VendorEntry
from gateway.direct import DirectAttempts
from gateway.dispatch import Dispatch
from gateway.incoming import Clocks, Incoming, Reader
from gateway.message import Content, Envelope, SendOptions, Submission
from gateway.outcome import Cause, Reply
from gateway.partial import TakenPaths
from gateway.routing import Route
from gateway.standing_alarms import StandingAlarms
from gateway.trace import Hop
from gateway.vendor import ApiAnswer, load
from gateway.vendors.postscale import VENDOR
from tests.content.spooled import spooled

MAIL = b"From: shop@shop.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
TAKEN, LIMITED, SUPPRESSED = (ApiAnswer(status, {}, b"{}") for status in (202, 429, 422))


class CannedRelay:
    """Answers the requests of each attempt with the next answers."""

    def __init__(self, answers: Iterable[ApiAnswer]) -> None:
        self.answers = iter(answers)
        self.asked: list[Any] = []

    async def attempt(self, exchange, note, *, large, deadline_seconds=None):
        request = next(exchange)
        while True:
            self.asked.append(request.json["to"])
            try:
                request = exchange.send(next(self.answers))
            except StopIteration as stop:
                return stop.value


class Logged:
    """A message store that only logs."""

    def log(self, arrival, result, *, is_accepted):
        """Nobody reads it here."""


def dispatch_with(*answers: ApiAnswer) -> tuple[Dispatch, CannedRelay]:
    relay = CannedRelay(answers)
    entry = VendorEntry("main", VENDOR, "http://127.0.0.1", None, relay)
    departures = Departures({"main": entry}, ())
    clocks, reader = Clocks(lambda: 0.0, lambda: 0.0), Reader({"postscale": VENDOR}, "gateway.test", None)
    alarms = StandingAlarms(clocks.seconds, lambda event: None)
    attempts = Attempts(clocks, lambda event: None, lambda *_: None, alarms)
    direct = DirectAttempts(attempts, reader, TakenPaths(clocks.seconds), lambda event: None)
    return Dispatch(departures, reader, direct, Logged(), clocks, lambda event: None, alarms), relay


def submit(dispatch: Dispatch, *recipients: str) -> Reply:
    account = Account("main/key-1", "postscale", "main", "ps_test_x")
    envelope = Envelope("shop@shop.example", recipients)
    incoming = Incoming("s1", "m1", account, envelope, Hop("client", "127.0.0.1", "ESMTPSA"), spooled(MAIL))
    replies: list[Reply] = []
    Deferred.fromCoroutine(dispatch.submit(incoming)).addCallback(replies.append)
    return replies[0]


def test_only_the_rest_is_attempted_again_and_who_was_served_counts_in_the_reply():
    dispatch, relay = dispatch_with(TAKEN, LIMITED, SUPPRESSED)
    assert submit(dispatch, "a@x.example", "b@x.example").code == 452
    assert submit(dispatch, "a@x.example", "b@x.example").code == 250
    assert relay.asked == [["a@x.example"], ["b@x.example"], ["b@x.example"]]


def test_once_all_are_served_the_message_may_be_sent_anew():
    dispatch, relay = dispatch_with(TAKEN, LIMITED, TAKEN, TAKEN, TAKEN)
    assert [submit(dispatch, "a@x.example", "b@x.example").code for _ in range(3)] == [452, 250, 250]
    assert len(relay.asked) == 5


def test_all_refused_is_a_refusal():
    dispatch, _ = dispatch_with(SUPPRESSED, SUPPRESSED)
    assert submit(dispatch, "a@x.example", "b@x.example") == Reply(550, "All recipients suppressed")


def test_a_message_may_be_as_large_as_the_largest_vendor_takes_but_no_larger_than_its_own():
    small, large = (VendorEntry(name, load(name), "http://127.0.0.1", "k", None) for name in ("postmark", "postscale"))
    entries = {"small": small, "large": large}
    account = Account("small/user-shop", "postmark", "small", None, "shop")
    everything = Departures(entries, (Route(("large",), tag="big"),))
    assert Departures(entries, ()).message_octets(account) == small.vendor.message_octets
    assert everything.message_octets(account) == large.vendor.message_octets
    content = Content((), (), (), (), "", None, None, (), small.vendor.message_octets + 1)
    for tag, leaves in (("big", True), ("other", False)):
        submission = Submission("m1", Envelope("a@x.example", ("b@x.example",)), content, SendOptions(tags=(tag,)))
        if leaves:
            assert everything.plan(account, submission).departures[0].entry is large
        else:
            with pytest.raises(NoDepartureError) as refused:
                everything.plan(account, submission)
            assert refused.value.outcome.cause is Cause.TOO_LARGE
