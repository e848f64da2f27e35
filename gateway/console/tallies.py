"""Counts events for the metrics, of all processes: a few dictionaries, so that a message costs microseconds.

Every label is a name of the settings or a word of a short list, so there are some hundred series at most.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gateway.events import (
    Alarm,
    Answered,
    Attempted,
    CertificateTaken,
    Ended,
    Event,
    Failed,
    LoggedIn,
    LoginFailed,
    SessionEnded,
    SessionsLost,
)

BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Of the histograms: from an answer of the same machine to the longest that a client or a vendor is waited for."""
NO_ANSWER = "none"
Labels = tuple[str, ...]


class Histogram:
    """How often a value was in each bucket, and the sum of the values. The last bucket is for what is above all."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """One more value, in seconds."""
        self.counts[bisect_left(BOUNDS_SECONDS, value)] += 1
        self.total += value


class Tallies:
    """A reporter that counts. Its attributes are the counters and histograms, by the labels that metrics.py names."""

    def __init__(self) -> None:
        self.sessions_ended: Counter[Labels] = Counter()
        self.replies: Counter[Labels] = Counter()
        self.logins: Counter[Labels] = Counter()
        self.messages: Counter[Labels] = Counter()
        self.message_octets: Counter[Labels] = Counter()
        self.reply_seconds: defaultdict[Labels, Histogram] = defaultdict(Histogram)
        self.attempts: Counter[Labels] = Counter()
        self.calls: Counter[Labels] = Counter()
        self.call_seconds: defaultdict[Labels, Histogram] = defaultdict(Histogram)
        self.recipients_ended: Counter[Labels] = Counter()
        self.alarms = 0
        self.faults = 0
        self.certificate_ends: dict[str, float] = {}
        """When certificates expire, since 1970, by their files. Whoever starts the gateway says it of the first."""
        self._counted: Mapping[type[Event], Callable[[Any], None]] = {
            SessionEnded: self._session_ended,
            SessionsLost: self._sessions_lost,
            LoggedIn: self._logged_in,
            LoginFailed: self._login_failed,
            Answered: self._answered,
            Attempted: self._attempted,
            Ended: self._ended,
            CertificateTaken: self._certificate_taken,
            Alarm: self._alarm,
            Failed: self._failed,
        }

    def __call__(self, event: Event) -> None:
        """Count one event."""
        count = self._counted.get(type(event))
        if count is not None:
            count(event)

    def _session_ended(self, event: SessionEnded) -> None:
        self.sessions_ended[event.ending,] += 1
        for verb, code, times in event.replies:
            self.replies[verb, str(code)] += times

    def _sessions_lost(self, event: SessionsLost) -> None:
        self.sessions_ended["worker-lost",] += event.sessions

    def _logged_in(self, event: LoggedIn) -> None:
        self.logins["good", event.mechanism] += 1

    def _login_failed(self, event: LoginFailed) -> None:
        self.logins["undecided" if event.temporary else "refused", event.mechanism] += 1

    def _answered(self, event: Answered) -> None:
        labels = (event.listener, event.dialect, event.vendor, event.outcome)
        self.messages[labels] += 1
        self.message_octets[labels] += event.size_octets
        self.reply_seconds[event.outcome,].observe(event.seconds)

    def _attempted(self, event: Attempted) -> None:
        vendor = event.vendor
        self.attempts[vendor, event.outcome] += 1
        for status, seconds in event.calls:
            self.calls[vendor, f"{status // 100}xx" if status else NO_ANSWER] += 1
            self.call_seconds[vendor,].observe(seconds)

    def _ended(self, event: Ended) -> None:
        self.recipients_ended[event.vendor, event.state] += 1

    def _certificate_taken(self, event: CertificateTaken) -> None:
        self.certificate_ends[event.certificate] = datetime.fromisoformat(event.until).timestamp()

    def _alarm(self, _: Alarm) -> None:
        self.alarms += 1

    def _failed(self, _: Failed) -> None:
        self.faults += 1
