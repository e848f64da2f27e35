"""Failed logins are counted per address, in windows, within bounded memory."""

from __future__ import annotations

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
    for _ in range(times):
        count.add(peer)


def test_the_limit_is_reached_by_its_own_address_only(count):
    fail(count, "192.0.2.1", 2)
    assert not count.exceeded("192.0.2.1")
    count.add("192.0.2.1")
    assert count.exceeded("192.0.2.1")
    assert not count.exceeded("192.0.2.2")


def test_a_new_window_begins_with_nothing(count, clock):
    fail(count, "192.0.2.1", 3)
    clock.now += 599
    assert count.exceeded("192.0.2.1")
    clock.now += 1
    assert not count.exceeded("192.0.2.1")
    fail(count, "192.0.2.1", 2)
    assert not count.exceeded("192.0.2.1")


def test_failures_do_not_prolong_a_window(count, clock):
    for _ in range(4):
        count.add("192.0.2.1")
        clock.now += 150
    assert not count.exceeded("192.0.2.1")


def test_a_host_cannot_hide_within_its_ipv6_network(count):
    for number in range(3):
        count.add(f"2001:db8:1:2::{number + 1:x}")
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
