"""Numbers and times as people read them on the pages. All times are UTC, as in the log."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

from gateway.console.message_document import overall_state

MINUTE, HOUR, DAY = 60, 3600, 86400


def clock(seconds: float) -> str:
    """The time of day."""
    return _utc(seconds).strftime("%H:%M:%S")


def day_and_clock(seconds: float) -> str:
    """The date and the time of day."""
    return _utc(seconds).strftime("%Y-%m-%d %H:%M:%S")


def iso_time(seconds: float) -> str:
    """For <time datetime>, with milliseconds."""
    return _utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """How long something took or waits, in its two largest units at most: 120 ms, 4.2 s, 3 min, 5 h 12 min, 2 d 3 h."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    larger, smaller, names = (DAY, HOUR, ("d", "h")) if seconds >= DAY else (HOUR, MINUTE, ("h", "min"))
    whole, rest = divmod(int(seconds), larger)
    return f"{whole} {names[0]} {rest // smaller} {names[1]}" if rest // smaller else f"{whole} {names[0]}"


def ago(at: float, now: float) -> str:
    """A time as seen from now, in the past or to come."""
    whole = round(abs(now - at))
    if not whole:
        return "now"
    words = f"{whole} s" if whole < MINUTE else duration(whole)
    return f"{words} ago" if at < now else f"in {words}"


def number(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f")


def plural(count: int, noun: str) -> str:
    """So many of a noun that takes an s."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


FILTERS: Mapping[str, Callable[..., str]] = {
    "overall_state": overall_state,
    "clock": clock,
    "day_and_clock": day_and_clock,
    "iso_time": iso_time,
    "duration": duration,
    "ago": ago,
    "number": number,
    "plural": plural,
}
"""What templates may use, by name."""
