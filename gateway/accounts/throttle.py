"""Counts failed logins per address and per account, in windows, within bounded memory, and says how long to wait."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

ADDRESSES = 10_000  # about 2 MB; whoever comes from more addresses than that is not stopped by counting them
FIRST_DELAY_SECONDS = 0.1  # nobody who mistypes notices it


class FailedLoginCount:
    """How often each address and account has failed since its window began; an IPv6 address counts as its /64."""

    def __init__(self, maximum: int, window_seconds: float, delay_seconds: float, seconds: Callable[[], float]) -> None:
        self._maximum = maximum
        self._window_seconds = window_seconds
        self._delay_seconds = delay_seconds
        self._seconds = seconds
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def exceeded(self, peer: str) -> bool:
        """Whether this address has failed too often in its window."""
        return self._count(_network(peer))[0] >= self._maximum

    def add(self, *names: str) -> float:
        """One more failed login under each of these names; gives the seconds to wait, which double each time."""
        return max(self._add(_network(name)) for name in names)

    def _add(self, network: str) -> float:
        failures, began = self._count(network)
        self._counts[network] = (failures + 1, began)
        self._counts.move_to_end(network)
        if len(self._counts) > ADDRESSES:
            self._counts.popitem(last=False)
        return min(self._delay_seconds, FIRST_DELAY_SECONDS * 2.0 ** min(failures, 30))

    def _count(self, network: str) -> tuple[int, float]:
        now = self._seconds()
        failures, began = self._counts.get(network, (0, now))
        return (failures, began) if now - began < self._window_seconds else (0, now)


def _network(peer: str) -> str:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False))
