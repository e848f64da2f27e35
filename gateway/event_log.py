"""Writes events as log lines, one an event: a name, then field=value with quotes where needed; or a JSON object."""

from __future__ import annotations

import dataclasses
import re
from typing import get_args

import msgspec
from twisted.logger import Logger

from gateway.events import COUNTED_ONLY, Alarm, Event, Failed
from gateway.log_lines import NAMESPACE, LogLines

LOG = Logger(namespace=NAMESPACE)
is_plain = re.compile(r"[A-Za-z0-9_.:/@+<>\-]+\Z").match
LEVELS: dict[type, str] = {Failed: "error", Alarm: "critical"}
NO_VALUE = (None, "", ())
NUMBERS = frozenset({int, float})
NOT_SHOWN = ("calls",)  # the message log has them, with what was asked and answered; a hundred would make a long line
SHAPES = {
    kind: (
        re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower(),
        tuple(one.name for one in dataclasses.fields(kind) if one.name not in NOT_SHOWN),
    )
    for kind in get_args(Event)
    if kind not in COUNTED_ONLY
}
"""The name of each kind of event that is logged, and its fields in their order."""


class EventLog:
    """A reporter that logs. What came from outside is quoted, so no value can look like another field or line.

    lines: where to; without, through twisted.logger, as where twistd has been told to log elsewhere.
    """

    def __init__(self, lines: LogLines | None = None) -> None:
        self._lines = lines

    def __call__(self, event: Event) -> None:
        """Log one event."""
        if type(event) in COUNTED_ONLY:
            return
        if self._lines is not None and self._lines.is_json:
            self._lines.json(LEVELS.get(type(event), "info"), SHAPES[type(event)][0], fields_of(event))
        elif isinstance(event, Failed):
            LOG.error("failed session={session}\n{trace}", session=event.session_id, trace=event.trace)
        elif isinstance(event, Alarm):
            LOG.critical("alarm text={text}", text=_quoted(event.text))
        elif self._lines is not None:
            self._lines.text(line_of(event))
        else:
            LOG.info("{line}", line=line_of(event))


def line_of(event: Event) -> str:
    """An event as one line of printable text. Fields without a value are left out."""
    name, fields = SHAPES[type(event)]
    told = [name]
    for field in fields:
        value = getattr(event, field)
        if value or value not in NO_VALUE:  # of most that have a value the first tells it
            told.append(f"{field}={_quoted(value)}")
    return " ".join(told)


def fields_of(event: Event) -> dict[str, object]:
    """The fields of an event that have a value, as JSON knows them; text that is no Unicode is shown with "?"."""
    values = {field: getattr(event, field) for field in SHAPES[type(event)][1]}
    return {field: _unicode(value) for field, value in values.items() if value not in NO_VALUE}


def _unicode(value: object) -> object:
    if isinstance(value, tuple):
        return [_unicode(one) for one in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _quoted(value: object) -> str:
    if type(value) in NUMBERS:
        return str(value)
    text = "; ".join(value) if isinstance(value, tuple) else str(value)
    if (text.isalnum() and text.isascii()) or is_plain(text):  # ids and words are told without the search
        return text
    safe = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    return msgspec.json.encode(safe.encode("utf-8", "replace").decode()).decode()
