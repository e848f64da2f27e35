"""Failed logins are counted per address, in windows, within bounded memory; the same wrong secret counts once."""

from __future__ import annotations

import tracemalloc

import pytest

from gateway.accounts import throttle
from gateway.accounts.throttle import FailedLoginCount


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def count(clock):
    return FailedLoginCount(3, 600, 5.0, clock)


def fail(count, peer, times):
    for number in range(times):
        count.add(peer, "", f"secret {number}")


def test_the_limit_is_reached_by_its_own_address_only(count):
    fail(count, "192.0.2.1", 2)
    assert not count.exceeded("192.0.2.1")
    count.add("192.0.2.1", "shop", "another")
    assert count.exceeded("192.0.2.1")
    assert not count.exceeded("192.0.2.2")


def test_a_stale_secret_counts_once_however_often_it_is_repeated_and_waits_longer_each_time(count):
    delays = [count.add("192.0.2.1", "shop", "stale") for _ in range(9)]
    assert not count.exceeded("192.0.2.1")
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_the_same_secret_under_another_name_is_another_guess(count):
    for name in ("ann", "bob", "cy"):
        count.add("192.0.2.1", name, "letmein")
    assert count.exceeded("192.0.2.1")


def test_a_secret_that_was_not_shown_may_be_a_new_one_each_time(count):
    for _ in range(3):
        count.add("192.0.2.1", "shop", None)
    assert count.exceeded("192.0.2.1")


def test_a_user_name_that_looks_like_an_address_is_not_that_address(count):
    for number in range(3):
        count.add("192.0.2.1", "192.0.2.9", f"secret {number}")
    assert not count.exceeded("192.0.2.9")


def test_a_new_window_begins_with_nothing(count, clock):
    fail(count, "192.0.2.1", 3)
    clock.now += 599
    assert count.exceeded("192.0.2.1")
    clock.now += 1
    assert not count.exceeded("192.0.2.1")
    fail(count, "192.0.2.1", 2)
    assert not count.exceeded("192.0.2.1")


def test_failures_do_not_prolong_a_window(count, clock):
    for number in range(4):
        count.add("192.0.2.1", "", f"secret {number}")
        clock.now += 150
    assert not count.exceeded("192.0.2.1")


def test_a_host_cannot_hide_within_its_ipv6_network(count):
    for number in range(3):
        count.add(f"2001:db8:1:2::{number + 1:x}", "", f"secret {number}")
    assert count.exceeded("2001:db8:1:2:ffff::1")
    assert not count.exceeded("2001:db8:1:3::1")


def test_a_peer_without_an_address_counts_too(count):
    fail(count, "local", 3)
    assert count.exceeded("local")


def test_many_addresses_stay_bounded_and_the_latest_are_kept(count, monkeypatch):
    monkeypatch.setattr(throttle, "ADDRESSES", 5)
    for number in range(20):
        fail(count, f"192.0.2.{number}", 3)
    assert [n for n in range(20) if count.exceeded(f"192.0.2.{n}")] == [15, 16, 17, 18, 19]


def test_long_names_and_secrets_take_no_room(clock):
    count = FailedLoginCount(100, 600, 5.0, clock)
    tracemalloc.start()
    try:
        for number in range(500):
            count.add("192.0.2.1", f"{number}" * 3000, f"{number}" * 3000)
        kept_octets, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_octets < 500_000
