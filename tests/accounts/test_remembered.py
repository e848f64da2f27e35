"""Answers about secrets are remembered for a while, asked once at a time, and never kept with the secret."""

from __future__ import annotations

import gc

import pytest
from twisted.internet.defer import Deferred

from gateway.accounts import remembered
from gateway.accounts.remembered import BAD_SECONDS, GOOD_SECONDS, RememberedAnswers


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Vendor:
    """Is asked, and answers when told to."""

    def __init__(self) -> None:
        self.asked: list[Deferred[bool | None]] = []

    async def __call__(self) -> bool | None:
        self.asked.append(Deferred())
        return await self.asked[-1]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def answers(clock):
    return RememberedAnswers(clock)


@pytest.fixture
def vendor():
    return Vendor()


def ask(answers, vendor, *secret):
    """What the caller has been told so far, as a list of at most one."""
    told: list[object] = []
    asking = Deferred.fromCoroutine(answers.ask(*(secret or ("v", "key")), question=vendor))
    asking.addCallbacks(told.append, lambda failure: told.append(failure.value))
    return told


@pytest.mark.parametrize(("answer", "seconds"), [(True, GOOD_SECONDS), (False, BAD_SECONDS)])
def test_an_answer_holds_for_its_time_and_no_longer(answers, vendor, clock, answer, seconds):
    told = ask(answers, vendor)
    vendor.asked[0].callback(answer)
    assert told == [answer]
    clock.now += seconds - 1
    assert ask(answers, vendor) == [answer]
    assert len(vendor.asked) == 1
    clock.now += 1
    assert ask(answers, vendor) == []
    assert len(vendor.asked) == 2


def test_nobody_could_say_is_not_remembered(answers, vendor):
    told = ask(answers, vendor)
    vendor.asked[0].callback(None)
    assert told == [None]
    ask(answers, vendor)
    assert len(vendor.asked) == 2


@pytest.mark.parametrize("answer", [True, False, None])
def test_the_same_question_in_flight_is_asked_once_and_all_are_told(answers, vendor, answer):
    told = [ask(answers, vendor) for _ in range(50)]
    assert len(vendor.asked) == 1
    assert told == [[]] * 50
    vendor.asked[0].callback(answer)
    assert told == [[answer]] * 50


def test_a_question_that_fails_leaves_nobody_waiting(answers, vendor):
    first, second = ask(answers, vendor), ask(answers, vendor)
    error = RuntimeError("broken")
    vendor.asked[0].errback(error)
    assert (first, second) == ([error], [None])
    ask(answers, vendor)
    assert len(vendor.asked) == 2


def test_different_secrets_are_different_questions(answers, vendor):
    for secret in (("v", "key"), ("v", "Key"), ("w", "key"), ("v", "key "), ("vk", "ey"), ("v", "")):
        ask(answers, vendor, *secret)
    assert len(vendor.asked) == 6


def test_what_is_forgotten_is_asked_again(answers, vendor):
    ask(answers, vendor)
    vendor.asked[0].callback(True)
    answers.forget("v", "key")
    answers.forget("v", "never known")
    assert ask(answers, vendor) == []
    assert len(vendor.asked) == 2


def test_a_new_answer_replaces_an_old_one(answers, vendor, clock):
    ask(answers, vendor)
    vendor.asked[0].callback(True)
    clock.now += GOOD_SECONDS
    ask(answers, vendor)
    vendor.asked[1].callback(False)
    assert ask(answers, vendor) == [False]


def test_a_flood_of_secrets_stays_bounded_and_drops_the_oldest(answers, vendor, monkeypatch):
    monkeypatch.setattr(remembered, "ENTRIES", 3)
    for number in range(5):
        ask(answers, vendor, "v", str(number))
        vendor.asked[-1].callback(False)
    assert len(answers._answers) == 3
    assert ask(answers, vendor, "v", "4") == [False]
    assert ask(answers, vendor, "v", "0") == []


def test_the_memory_of_the_answers_holds_no_secret_and_differs_from_process_to_process(clock, vendor):
    """Private on purpose: what must not be there cannot be seen from outside."""
    one, other = RememberedAnswers(clock), RememberedAnswers(clock)
    for answers in (one, other):
        ask(answers, vendor, "v", "ps_live_needle")
        vendor.asked[-1].callback(True)
    gc.collect()
    assert b"needle" not in b"".join(one._answers)
    assert "needle" not in repr(vars(one))
    assert one._answers.keys() != other._answers.keys()
