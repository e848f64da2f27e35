"""A message's story in the order in which it happened: its events, and between them the attempts that led to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.console.message_document import overall_state
from gateway.console.relations import Relations
from gateway.store.records import WAITING, Attempt, Bounce, State, StoredEvent, StoredMessage

LABELS = {
    "hello_name": "Client says it is",
    "peer": "From address",
    "transmission_type": "Spoken",
    "listener": "Listener",
    "tls": "TLS",
}
"""What StoredMessage.origin has, in words. Anything else in it is shown under its own name."""

TOLD_ELSEWHERE = frozenset({"recipients", "from", "subject", "to", "account", "mode", "dsn", "notice_of"})
"""Details of events that the page shows in other places already, or in words of its own."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry of the story: an event, or an attempt with its number, from 1."""

    at: float
    event: StoredEvent | None = None
    attempt: Attempt | None = None
    number: int = 0

    @property
    def recipients(self) -> Sequence[Mapping[str, Any]]:
        """To whom the event happened, as far as it says."""
        told = self.event.detail.get("recipients") if self.event else None
        return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []

    @property
    def further(self) -> Mapping[str, Any]:
        """What else the event says."""
        detail = self.event.detail if self.event else {}
        return {name: value for name, value in detail.items() if name not in TOLD_ELSEWHERE}


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of one message, ready to be shown."""

    message: StoredMessage
    happenings: tuple[Happening, ...]
    changes: tuple[str, ...]
    bounces: tuple[Bounce, ...]
    relations: Relations

    @classmethod
    def of(
        cls,
        message: StoredMessage,
        attempts: Sequence[Attempt],
        events: Sequence[StoredEvent],
        bounces: Sequence[Bounce],
        relations: Relations,
    ) -> Story:
        """Put it in order. changes are what attempts could not carry or had to repair, each once."""
        found = [Happening(one.at, event=one) for one in events]
        found += [Happening(one.began_at, attempt=one, number=number) for number, one in enumerate(attempts, 1)]
        found.sort(key=lambda one: (one.at, one.attempt is not None))
        changes = dict.fromkeys(line for one in attempts for line in one.report)
        return cls(message, tuple(found), tuple(changes), tuple(bounces), relations)

    @property
    def state(self) -> State:
        """The one to show for all recipients."""
        return overall_state(self.message)

    @property
    def waits(self) -> bool:
        """Whether there is anything to steer."""
        return any(one.state in WAITING for one in self.message.recipients)

    @property
    def origin(self) -> Mapping[str, str]:
        """How the message came, by labels."""
        origin = {name: value for name, value in self.message.origin.items() if name not in TOLD_ELSEWHERE}
        given = {name: str(value) for name, value in origin.items() if value not in ("", None)}
        known = {label: given.pop(name) for name, label in LABELS.items() if name in given}
        return known | given
