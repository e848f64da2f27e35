"""Counts failed logins per address and per account, in windows, within bounded memory, and says how long to wait.

Names and secrets are kept only as keyed hashes; the key is of this process alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ADDRESSES = 10_000  # 4 MB, 12 MB if each has a hundred secrets; who has more addresses is not stopped by counting them
FIRST_DELAY_SECONDS = 0.1  # nobody who mistypes notices it
NAME_OCTETS = 16  # of the hash of an address or account: no two are ever alike
GUESS_OCTETS = 8  # of the hash of a secret: two alike among a hundred would only count as one


@dataclass(frozen=True, slots=True)
class FailedLogin:
    """One failed login, in hashes: the address, the account if it was named, the secret if it was shown."""

    address: bytes
    account: bytes | None
    guess: int | None


@dataclass(frozen=True, slots=True)
class CountedFailures:
    """All failures of one address or account, for another process; name is a hash."""

    name: bytes
    age_seconds: float
    times: int
    unseen: int
    guesses: tuple[int, ...]


@dataclass(slots=True)
class _Failures:
    """The failures of one address or account since its window began; unseen: those whose secret was not shown."""

    began_seconds: float
    times: int = 0
    unseen: int = 0
    guesses: array[int] = field(default_factory=lambda: array("Q"))

    @property
    def distinct(self) -> int:
        return self.unseen + len(self.guesses)


class FailedLoginCount:
    """How often each address and account has failed since its window began; an IPv6 address counts as its /64.

    maximum is for the different pairs of user name and secret that an address may fail with: a client that repeats one
    stale secret guesses nothing, and must not shut out its neighbours. hash_key: the one of other processes that count
    together; told hears of each failure here, which they have by note().
    """

    def __init__(
        self,
        maximum: int,
        window_seconds: float,
        delay_seconds: float,
        seconds: Callable[[], float],
        hash_key: bytes | None = None,
    ) -> None:
        self._maximum = maximum
        self._window_seconds = window_seconds
        self._delay_seconds = delay_seconds
        self._seconds = seconds
        self._key = hash_key or secrets.token_bytes(NAME_OCTETS)
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()
        self.told: Callable[[FailedLogin], None] | None = None

    def change_limits(self, maximum: int, window_seconds: float, delay_seconds: float) -> None:
        """From now on these hold, for what has been counted too."""
        self._maximum, self._window_seconds, self._delay_seconds = maximum, window_seconds, delay_seconds

    def exceeded(self, peer: str) -> bool:
        """Whether this address has failed with too many different secrets in its window."""
        # Mostly nobody has failed, and then there is nothing to compute a hash for
        return bool(self._failures) and self._current(self._address(peer)).distinct >= self._maximum

    def add(self, peer: str, user_name: str, secret: str | None) -> float:
        """One more failed login from there; gives the seconds to wait, which double each time.

        user_name may be empty. secret is None where the mechanism does not show it: each counts as a new one then.
        """
        failed = FailedLogin(
            self._address(peer),
            self._hash("account", user_name, octets=NAME_OCTETS) if user_name else None,
            int.from_bytes(self._hash(user_name, secret, octets=GUESS_OCTETS)) if secret is not None else None,
        )
        if self.told is not None:
            self.told(failed)
        return self.note(failed)

    def note(self, failed: FailedLogin) -> float:
        """A failed login, here or in another process; gives the seconds to wait."""
        failures = [self._add(failed.address)]
        if failures[0].distinct < self._maximum:
            _note_guess(failures[0], failed.guess)
        if failed.account is not None:
            failures.append(self._add(failed.account))
        return max(self._delay(one.times - 1) for one in failures)

    def copies(self) -> Iterator[CountedFailures]:
        """All that is counted, for another process."""
        for name, one in self._failures.items():
            yield CountedFailures(name, self._seconds() - one.began_seconds, one.times, one.unseen, tuple(one.guesses))

    def take(self, copy: CountedFailures) -> None:
        """What another process has counted."""
        began_seconds = self._seconds() - copy.age_seconds
        self._failures[copy.name] = _Failures(began_seconds, copy.times, copy.unseen, array("Q", copy.guesses))

    def _add(self, name: bytes) -> _Failures:
        failures = self._failures[name] = self._current(name)
        failures.times += 1
        self._failures.move_to_end(name)
        if len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)
        return failures

    def _current(self, name: bytes) -> _Failures:
        now = self._seconds()
        failures = self._failures.get(name)
        is_current = failures is not None and now - failures.began_seconds < self._window_seconds
        return failures if failures is not None and is_current else _Failures(now)

    def _delay(self, failures_before: int) -> float:
        return min(self._delay_seconds, FIRST_DELAY_SECONDS * 2.0 ** min(failures_before, 30))

    def _address(self, peer: str) -> bytes:
        return self._hash("address", _network(peer), octets=NAME_OCTETS)

    def _hash(self, *parts: str, octets: int) -> bytes:
        """A keyed hash of the parts, each with its length before it, so that none runs into the next."""
        keyed = hashlib.blake2b(key=self._key, digest_size=octets)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            keyed.update(len(encoded).to_bytes(8) + encoded)
        return keyed.digest()


def _note_guess(address: _Failures, guess: int | None) -> None:
    if guess is None:
        address.unseen += 1
    elif guess not in address.guesses:
        address.guesses.append(guess)


def _network(peer: str) -> str:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False))
