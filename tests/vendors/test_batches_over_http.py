"""Batches at the stand-ins over real HTTP: whoever travels with others fares as alone."""

from __future__ import annotations

from functools import partial
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.outcome import Accepted, Deferred, Refused, Unknown
from gateway.sandbox import postmark_magic, poststack_magic
from gateway.vendor import VendorAccount, load
from gateway.vendors import postmark
from tests.sandbox.console_process import running

from .batches import drive, over_http, submission

KEYS = {"postmark": "pm_test_0123456789", "poststack": "sk_test_0123456789"}
# Their answers are not about a message but about a request, and so about everybody in it; told apart below
OF_THE_REQUEST = {"garbage", "slow", "noanswer", "cut", "cut-answer", "huge-answer", "badgateway"}
NAMES = {
    vendor: sorted({one.name for one in table.RECIPIENTS} - OF_THE_REQUEST) + ["ann"] * 20
    for vendor, table in (("postmark", postmark_magic), ("poststack", poststack_magic))
}


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    with running(tmp_path_factory.mktemp("console") / "inbox") as process:
        yield process


def account(console, vendor: str, key: str = "") -> VendorAccount:
    return VendorAccount(f"http://127.0.0.1:{console.port}/sandbox/{vendor}/v1", key or KEYS[vendor], own_key=True)


OF_THE_ACCOUNT = {f"code-{code}" for code in postmark.OF_THE_ACCOUNT}
numbers = count()


def crowd(names, **options):
    """A message to each of these magic addresses; ids are never used twice, because a vendor remembers them."""
    return [submission(f"{next(numbers):06}", f"{name}+{n}@sandbox.example", **options) for n, name in enumerate(names)]


def kinds(done):
    return [type(one) for one in done.only]


def plain(outcome):
    """An outcome without the id that is another one for each message."""
    return Accepted if isinstance(outcome, Accepted) else outcome


@pytest.mark.parametrize("vendor", KEYS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_outcomes_of_a_batch_are_those_of_single_sends(console, vendor, data):
    """Or as another one's: what defers one message, or is about the account, holds for those after it."""
    names = data.draw(st.lists(st.sampled_from(NAMES[vendor]), min_size=2, max_size=6))
    at, of = account(console, vendor), load(vendor)
    alone = [plain(drive(of, at, [one], over_http).only[0]) for one in crowd(names)]
    console.call("DELETE", "/api/v1/sandbox/messages")
    submissions = crowd(names)
    together = [plain(one) for one in drive(of, at, submissions, over_http).only]
    of_all = [
        one for one, name in zip(alone, names, strict=True) if isinstance(one, Deferred) or name in OF_THE_ACCOUNT
    ]
    assert all(one == other or one in of_all for one, other in zip(together, alone, strict=True))
    taken = [one["request"]["json"] for one in console.messages() if not one["error"]]
    accepted = [one.message_id for one, outcome in zip(submissions, together, strict=True) if outcome is Accepted]
    assert sorted(one.get("Subject") or one["subject"] for one in taken) == accepted


@pytest.mark.parametrize("vendor", KEYS)
def test_every_magic_address_fares_beside_another_as_alone(console, vendor):
    for name in sorted({*NAMES[vendor]}):
        at, of = account(console, vendor), load(vendor)
        alone = [plain(drive(of, at, [one], over_http).only[0]) for one in crowd([name, "ann"])]
        assert [plain(one) for one in drive(of, at, crowd([name, "ann"]), over_http).only] == alone, name


@pytest.mark.parametrize("vendor", KEYS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [("noanswer", Unknown), ("cut", Unknown), ("cut-answer", Unknown), ("badgateway", Deferred),
     ("huge-answer", Accepted)],
)  # fmt: skip
def test_what_becomes_of_the_answer_falls_on_everybody(console, vendor, name, kind):
    asked = partial(over_http, timeout_seconds=1) if name == "noanswer" else over_http
    done = drive(load(vendor), account(console, vendor), crowd(["ann", name, "bob"]), asked)
    assert kinds(done) == [kind] * 3


@pytest.mark.parametrize("vendor", KEYS)
def test_an_unreadable_item_is_unknown_alone(console, vendor):
    done = drive(load(vendor), account(console, vendor), crowd(["ann", "garbage", "bob"]), over_http)
    assert kinds(done) == [Accepted, Unknown, Accepted]


def test_one_message_too_large_takes_down_nobody(console):
    console.call("DELETE", "/api/v1/sandbox/messages")
    names = ["ann", "bob", "toolarge", "cat", "dan"]
    done = drive(load("postmark"), account(console, "postmark"), crowd(names), over_http)
    assert kinds(done) == [Accepted, Accepted, Refused, Accepted, Accepted]
    assert len(console.messages()) == 4


@pytest.mark.parametrize("key", ["pm_down_1", "pm_limited_1", "pm_revoked_1", "pm_pending_1"])
def test_a_key_that_fails_is_asked_once_for_all(console, key):
    done = drive(load("postmark"), account(console, "postmark", key), crowd(["ann", "bob", "cat"]), over_http)
    assert len(done.requests) == 1
    assert len(set(map(plain, done.only))) == 1
    assert kinds(done)[0] in (Deferred, Refused)


@pytest.mark.parametrize("way", ["together", "alone"])
def test_a_batch_that_was_never_answered_is_repeated_without_a_second_copy(console, way):
    """PostStack knows each message of it by its own key, in a batch and out of it."""
    at, of = account(console, "poststack"), load("poststack")
    submissions = crowd(["ann", "cut", "bob"])
    assert kinds(drive(of, at, submissions, over_http)) == [Unknown] * 3
    again = [submissions] if way == "together" else [[one] for one in submissions]
    for some in again:
        done = drive(of, at, some, over_http)
        assert kinds(done) == [Accepted] * len(some)
        assert all(any("replayed" in line for line in report) for report in done.reports)


def test_messages_with_a_template_are_taken_together(console):
    console.call("DELETE", "/api/v1/sandbox/messages")
    submissions = crowd(["ann", "bob"], template="welcome", variables={"name": "x"})
    done = drive(load("postmark"), account(console, "postmark"), submissions, over_http)
    assert kinds(done) == [Accepted, Accepted]
    assert [one["request"]["path"].rpartition("/")[2] for one in console.messages()] == ["batchWithTemplates"] * 2
