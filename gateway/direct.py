"""Direct attempts: those that the client waits for.

Who was taken while others were not is remembered for the client's next try.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.attempts import OPEN_GATE, Attempts, Errand, Gate, Result
from gateway.departures import Plan
from gateway.events import Repeated, Reporter
from gateway.incoming import Incoming, Reader
from gateway.outcome import Accepted, Deferred, Outcome, Unknown, fold
from gateway.partial import TakenPaths


class DirectAttempts:
    """Makes the attempts of messages whose client waits."""

    def __init__(self, attempts: Attempts, reader: Reader, taken: TakenPaths, report: Reporter) -> None:
        self._attempts = attempts
        self._report = report
        self._reader = reader
        self._taken = taken

    async def make(
        self, incoming: Incoming, plan: Plan, deadline_seconds: float | None = None, gate: Gate = OPEN_GATE
    ) -> Result:
        """Attempt it for whoever has not been served by an earlier attempt at the same message."""
        digest = await self._reader.digest(incoming) if self._taken else None
        served = self._taken.of(digest) if digest else frozenset()
        paths = incoming.envelope.forward_paths
        if not served:
            return await self._attempts.run(_errand(incoming, paths, deadline_seconds), plan, gate)
        paths = tuple(path for path in paths if path not in served)
        name = plan.departures[0].entry.name
        result = Result(dict.fromkeys(served, Accepted()), dict.fromkeys(served, name))
        if not paths:
            self._report(Repeated(incoming.session_id, incoming.message_id, incoming.account.name, len(served)))
            return result
        return result.joined(await self._attempts.run(_errand(incoming, paths, deadline_seconds), plan, gate))

    async def remember(self, incoming: Incoming, outcomes: Mapping[str, Outcome]) -> None:
        """The client is told to try again, or that all is done: know the message when it comes again."""
        if not isinstance(fold(outcomes), (Deferred, Unknown)):
            if self._taken:
                self._taken.forget(await self._reader.digest(incoming))
            return
        taken = frozenset(path for path, one in outcomes.items() if isinstance(one, Accepted))
        if taken:
            self._taken.add(await self._reader.digest(incoming), taken)


def _errand(incoming: Incoming, paths: tuple[str, ...], deadline_seconds: float | None) -> Errand:
    return Errand(
        session_id=incoming.session_id,
        message_id=incoming.message_id,
        account_name=incoming.account.name,
        reverse_path=incoming.envelope.reverse_path,
        paths=paths,
        large=not incoming.spool.in_memory,
        deadline_seconds=deadline_seconds,
    )
