"""The one place where the events of a whole gateway arrive: its own, and those of its worker processes."""

from __future__ import annotations

from gateway.events import Event, Reporter


class Reports:
    """A reporter that writes each event to the log, and tells it to whoever observes.

    Observers count, show or keep events; they see those of all processes.
    """

    def __init__(self, log: Reporter) -> None:
        self._log = log
        self._observers: list[Reporter] = []

    def __call__(self, event: Event) -> None:
        """An event of this process."""
        self._log(event)
        self.observed(event)

    def observed(self, event: Event) -> None:
        """An event of another process, which has logged it."""
        for observer in self._observers:
            observer(event)

    def observe(self, observer: Reporter) -> None:
        """Tell this observer every event from now on."""
        self._observers.append(observer)
