"""What new settings may change while the gateway runs. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from gateway.ports import keys
from gateway.settings import Settings
from gateway.tables import Problem

CHANGEABLE = frozenset(
    {
        "hostname", "tls", "listeners", "limits", "vendors", "routes", "queue", "notices", "webhooks",
        "store.content_days", "store.log_days",
    }
)  # fmt: skip
"""The tables and settings that take effect for new sessions. Whatever is not here holds until the next start: the state
folder and the store are open, the console has visitors, workers are counted."""


def fixed_problems(before: Settings, after: Settings) -> Iterator[Problem]:
    """What of the new settings cannot be had without a restart, by name."""
    for field in dataclasses.fields(Settings):
        yield from _changed(field.name, getattr(before, field.name), getattr(after, field.name))
    open_now = set(keys(one.endpoint for one in before.listeners))
    for number, key in enumerate(keys(one.endpoint for one in after.listeners)):
        if key.startswith("systemd:") and key not in open_now:
            told = f"{key}: a port that systemd passes is there from the start only; restart to add it"
            yield Problem(f"listeners[{number}].endpoint", told)


def _changed(path: str, before: object, after: object) -> Iterator[Problem]:
    if before == after or path in CHANGEABLE:
        return
    if dataclasses.is_dataclass(before) and type(before) is type(after):
        for field in dataclasses.fields(before):
            yield from _changed(f"{path}.{field.name}", getattr(before, field.name), getattr(after, field.name))
        return
    yield Problem(path, "cannot be changed while the gateway runs; restart to use it")
