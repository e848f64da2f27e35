"""The log as lines: each event, ours or Twisted's, as text or as JSON, on one stream.

Text is what twistd itself would write. A line is made without twisted.logger's formats, which cost ten times as much,
and written at once: none is lost however the process ends, and ours keep their order among Twisted's.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping

from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)
from zope.interface import implementer

from gateway.log_settings import LogFormat
from gateway.log_stream import LogStream

NAMESPACE = "mailgateway"
PRIORITIES = {"critical": 2, "error": 3, "warn": 4}
"""Those of syslog(3). Without one, systemd takes a line for info."""
ENCODE = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
"""ASCII: no character that anything takes for a line end, such as U+2028, stands in a line as itself."""


@implementer(ILogObserver)
class LogLines:
    """An observer of all that Twisted logs, and the place where events of ours are told without it."""

    def __init__(self, stream: LogStream, line_format: LogFormat, wall_seconds: Callable[[], float]) -> None:
        self.is_json = line_format == "json"
        self._stream = stream
        self._wall_seconds = wall_seconds
        self._second = -1
        self._shown_second = ""

    def __call__(self, event: LogEvent) -> None:
        """Something that was logged through Twisted, with its trace if it has one."""
        line = _json_line(event) if self.is_json else formatEventAsClassicLogText(event)
        if line:
            self._write((event.get("log_level") or LogLevel.info).name, line)

    def text(self, line: str) -> None:
        """An event of ours in the text format."""
        self._stream.write(f"{self._time()} [{NAMESPACE}#info] {line}\n")

    def json(self, level: str, name: str, fields: Mapping[str, object]) -> None:
        """An event of ours in the JSON format."""
        self._write(level, _object(self._wall_seconds(), level, name, fields))

    def reopen(self) -> None:
        """Go on in a new file. OSError when it cannot be opened."""
        self._stream.reopen()

    def _write(self, level: str, line: str) -> None:
        """With its priority for the journal, which takes each line for itself."""
        if self._stream.takes_priorities and level in PRIORITIES:
            line = "".join(f"<{PRIORITIES[level]}>{one}\n" for one in line.removesuffix("\n").split("\n"))
        self._stream.write(line)

    def _time(self) -> str:
        """The time as twistd shows it, which changes each second."""
        now = self._wall_seconds()
        if int(now) != self._second:
            self._second, self._shown_second = int(now), formatTime(now)
        return self._shown_second


def _json_line(event: LogEvent) -> str:
    """An event of Twisted's as a JSON object: what it says in text, where it comes from, and its trace."""
    level, failure = event.get("log_level") or LogLevel.info, event.get("log_failure")
    source = str(event.get("log_system") or event.get("log_namespace") or "-")
    fields = {"source": source, "text": formatEvent(event)}
    if failure is not None:
        fields["trace"] = failure.getTraceback()
    if not (fields["text"] or failure):
        return ""
    return _object(event.get("log_time") or 0.0, level.name, "log", fields)


def _object(at: float, level: str, name: str, fields: Mapping[str, object]) -> str:
    time = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")
    return ENCODE({"time": time, "level": level, "event": name, **fields}) + "\n"
