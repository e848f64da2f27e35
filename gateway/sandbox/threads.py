"""Work beside the reactor, and work that goes on when the client who asked for it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")

_log = Logger()


def beside(reactor: Any, call: Callable[[], T]) -> Deferred[T]:
    """Run a blocking call in a thread of the reactor's own pool."""
    return deferToThreadPool(reactor, reactor.getThreadPool(), call)


def uncancelled(work: Deferred[T]) -> Deferred[T]:
    """Wait for work that goes on when the waiting is cancelled; how it ends is then only logged, if it fails."""
    waiting: Deferred[T] = Deferred()

    def done(result: T) -> None:
        if not waiting.called:
            waiting.callback(result)

    def failed(failure: Failure) -> None:
        if waiting.called:
            _log.failure("a request failed after its client had left", failure)
        else:
            waiting.errback(failure)

    work.addCallbacks(done, failed)
    return waiting
