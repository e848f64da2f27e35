"""Writes events as log lines: one line an event, a name first, then field=value, values quoted where they need it."""

from __future__ import annotations

import dataclasses
import re

import msgspec
from twisted.logger import Logger

from gateway.events import Alarm, Event, Failed

LOG = Logger(namespace="mailgateway")
PLAIN = re.compile(r"[A-Za-z0-9_.:/@+<>\-]+\Z")


class EventLog:
    """A reporter that logs. What came from outside is quoted, so no value can look like another field or line."""

    def __call__(self, event: Event) -> None:
        """Log one event."""
        if isinstance(event, Failed):
            LOG.error("failed session={session}\n{trace}", session=event.session_id, trace=event.trace)
        elif isinstance(event, Alarm):
            LOG.critical("alarm text={text}", text=_quoted(event.text))
        else:
            LOG.info("{line}", line=line_of(event))


def line_of(event: Event) -> str:
    """An event as one line of printable text. Fields without a value are left out."""
    fields = ((field.name, getattr(event, field.name)) for field in dataclasses.fields(event))
    told = (f"{name}={_quoted(value)}" for name, value in fields if value not in (None, "", ()))
    return " ".join([_name(event), *told])


def _name(event: Event) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


def _quoted(value: object) -> str:
    text = "; ".join(value) if isinstance(value, tuple) else str(value)
    if PLAIN.match(text):
        return text
    safe = "".join(c if c.isprintable() else "?" for c in text)
    return msgspec.json.encode(safe.encode("utf-8", "replace").decode()).decode()
