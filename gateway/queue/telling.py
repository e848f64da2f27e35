"""The log lines of a step of a stored message."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.events import Ended, Held, Reporter, Waiting
from gateway.queue.steps import Progress
from gateway.store.records import Recipient, State


def tell(report: Reporter, progress: Progress, now: float) -> None:
    """Report who has ended, who waits until when, and who is held. now is the wall clock."""
    message = progress.message
    whose = (message.session_id, message.message_id, message.account_name)
    for one in progress.ended:
        report(Ended(*whose, one.path, one.state.value, one.vendor, one.vendor_message_id, one.reason))
    waiting = _in_state(progress, State.QUEUED)
    if waiting and message.next_attempt_at is not None:
        seconds = round(max(0.0, message.next_attempt_at - now), 1)
        report(Waiting(*whose, len(waiting), message.attempts, seconds, waiting[0].reason))
    held = _in_state(progress, State.HELD)
    if held:
        report(Held(*whose, len(held), held[0].reason))


def _in_state(progress: Progress, state: State) -> Sequence[Recipient]:
    return [one for one in progress.message.recipients if one.state is state]
