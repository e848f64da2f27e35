"""Keeps what is counted and remembered in step between processes: each tells its changes, and hears those of others.

A change takes a millisecond to arrive. Until then a limit may be passed by as many sessions as come within that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.accounts.throttle import CountedFailures, FailedLogin
from gateway.lasting import Lasting
from gateway.workers.messages import Answered, Change, Failures, LoginFailure, OctetsHeld, Served, SessionsChanged


class Replica:
    """The counts of one process."""

    def __init__(self, lasting: Lasting) -> None:
        self._lasting = lasting
        self._counts = lasting.counts

    def tell(self, tell: Callable[[Change], None]) -> None:
        """From now on pass on what changes here."""
        counts = self._counts
        counts.sessions.told = lambda peer, change: tell(SessionsChanged(peer, change))
        counts.in_flight.told = lambda change: tell(OctetsHeld(change))
        counts.failed_logins.told = lambda one: tell(LoginFailure(one.address, one.account, one.guess))
        counts.keys.told = lambda entry, answer: tell(Answered("keys", entry, answer))
        counts.secrets.told = lambda entry, answer: tell(Answered("secrets", entry, answer))
        self._lasting.taken.told = lambda digest, paths: tell(Served(digest, sorted(paths)))

    def hear(self, change: Change) -> None:
        """What changed in another process."""
        counts = self._counts
        match change:
            case SessionsChanged(peer, difference):
                counts.sessions.note_elsewhere(peer, difference)
            case OctetsHeld(difference):
                counts.in_flight.note_elsewhere(difference)
            case LoginFailure(address, account, guess):
                counts.failed_logins.note(FailedLogin(address, account, guess))
            case Failures(name, age_seconds, times, unseen, guesses):
                counts.failed_logins.take(CountedFailures(name, age_seconds, times, unseen, tuple(guesses)))
            case Answered("keys", entry, answer, age_seconds):
                counts.keys.note(entry, answer, age_seconds)
            case Answered("secrets", entry, answer, age_seconds):
                counts.secrets.note(entry, answer, age_seconds)
            case Served(digest, paths, age_seconds):
                self._lasting.taken.note(digest, frozenset(paths), age_seconds)

    def copies(self) -> Iterator[Change]:
        """All that is remembered, for a process that has just begun. Sessions and octets belong to their workers."""
        counts = self._counts
        for one in counts.failed_logins.copies():
            yield Failures(one.name, one.age_seconds, one.times, one.unseen, list(one.guesses))
        for entry, answer, age_seconds in counts.keys.copies():
            yield Answered("keys", entry, answer, age_seconds)
        for entry, answer, age_seconds in counts.secrets.copies():
            yield Answered("secrets", entry, answer, age_seconds)
        for digest, paths, age_seconds in self._lasting.taken.copies():
            yield Served(digest, sorted(paths), age_seconds)
