"""What a worker process does: it serves the ports that the main process hands to it, and ends when that one does."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from gateway.assembly import Assembly
from gateway.event_log import EventLog
from gateway.events import Alarm, Event, Failed
from gateway.lasting import Lasting, Surroundings
from gateway.log_lines import LogLines
from gateway.log_stream import LogStream
from gateway.ports import Ports
from gateway.process import keep_what_is_there, raise_descriptor_limit
from gateway.reports import Reports
from gateway.sessions import Sessions
from gateway.settings import SettingsError, embedded, parse_settings
from gateway.store.interface import StoreError
from gateway.workers.channel import open_channel
from gateway.workers.fair import FairPort, Shares
from gateway.workers.messages import (
    Abort,
    Answered,
    Drain,
    Failures,
    Gone,
    LoginFailure,
    Look,
    Message,
    OctetsHeld,
    Ping,
    Prepare,
    Prepared,
    QueueState,
    Reopen,
    Served,
    SessionsChanged,
    Use,
    reported,
)
from gateway.workers.replica import Replica

QUEUE_STATE_SECONDS = 1.0  # between two looks at what to tell of the queue: as often as anybody asks
THREADS = 2  # reading large messages and checking hashes: a worker has about one processor


class Worker:
    """What the process does, told by the main process over the channel."""

    def __init__(self, reactor: Any, descriptor: int, lines: LogLines | None) -> None:
        self._reactor = reactor
        self._threads: ThreadPool | None = ThreadPool(0, THREADS, "mailgateway")
        self._threads.start()
        self._lines = lines
        self._reports = Reports(EventLog(lines))
        self._ports = Ports()
        self._shares = Shares()
        self._sessions: Sessions | None = None
        self._lasting: Lasting | None = None
        self._replica: Replica | None = None
        self._assembly: Assembly | None = None
        self._in_use: set[str] = set()
        self._told_state: QueueState | None = None
        self._stopping = False
        self._channel = open_channel(reactor, descriptor, self._heard, self._end)
        self._reports.observe(lambda event: self._channel.tell(reported(event)))

    def _heard(self, message: Message) -> None:
        match message:
            case Prepare():
                self._channel.tell(Prepared(self._prepare(message)))
            case Use():
                self._use()
            case Drain(seconds):
                self._drain(seconds)
            case Abort() if self._sessions is not None:
                self._sessions.abort()
            case Gone(number):
                self._shares.gone(number)
            case Look() if self._lasting is not None:
                self._lasting.storage.look()
            case Reopen():
                self._reopen_log()
            case Ping():
                self._channel.tell(Ping())
            case SessionsChanged() | OctetsHeld() | LoginFailure() | Failures() | Answered() | Served():
                self._count(message)

    # -- settings

    def _prepare(self, wanted: Prepare) -> list[str]:
        """Make all parts, and have the ports, none of which is served yet; the problems if that cannot be done."""
        descriptors = dict(zip(wanted.ports, self._channel.take_descriptors(), strict=True))
        # What an earlier reload has asked for, and was refused by another worker
        self._ports.close(set(self._ports.keys()) - self._in_use - descriptors.keys())
        try:
            self._make(wanted)
            for key in [key for key in descriptors if key not in self._ports]:
                self._adopt(key, descriptors[key])
        except SettingsError as error:
            return [str(one) for one in error.problems]
        except (StoreError, OSError) as error:
            return [str(error)]
        except Exception as error:
            self._reports(Failed("", traceback.format_exc()))
            return [f"a fault of the gateway, which the log tells more of: {type(error).__name__}"]
        finally:
            for one in descriptors.values():
                os.close(one)
        return []

    def _make(self, wanted: Prepare) -> None:
        path = Path(wanted.path)
        settings = embedded() if wanted.settings is None else parse_settings(wanted.settings.encode(), path)
        if self._lasting is None:
            surroundings = Surroundings(self._reactor, time.time, self._in_thread, self._reports)
            self._lasting = Lasting.under(settings, surroundings, wanted.hash_key, prunes=wanted.number == 1)
            self._replica = Replica(self._lasting)
            self._replica.tell(self._channel.tell)
            # One worker speaks for all where all see the same: an open port, a changed certificate
            tell = self._reports if wanted.number == 1 else _say_nothing
            self._sessions = Sessions(self._reactor, self._ports, tell)
            raise_descriptor_limit(settings.limits.sessions)
        self._assembly = Assembly(settings, self._lasting)

    def _adopt(self, key: str, descriptor: int) -> None:
        assert self._lasting is not None
        sessions = self._lasting.counts.sessions
        self._ports.adopt(key, self._reactor, descriptor)
        FairPort(self._ports.port(key), self._reactor, lambda: self._shares.ahead(sessions.here))

    def _use(self) -> None:
        if self._stopping:  # it was told to end while it made ready
            return
        assert self._assembly is not None and self._lasting is not None and self._sessions is not None
        self._lasting.counts.change_limits(self._assembly.settings.limits)
        self._sessions.use(self._assembly)
        if not self._in_use:  # once: at a reload the assembly before is still there, and would be kept for ever
            keep_what_is_there()
        self._in_use = set(self._assembly.fronts)
        if self._told_state is None:
            self._tell_queue_state()

    # -- counting with the others

    def _count(self, change: SessionsChanged | OctetsHeld | LoginFailure | Failures | Answered | Served) -> None:
        if isinstance(change, SessionsChanged):
            self._shares.change(change.worker, change.change)
        if self._replica is not None:
            self._replica.hear(change)

    def _tell_queue_state(self) -> None:
        """What the main process shows of our queue, when it has changed."""
        assert self._lasting is not None
        storage = self._lasting.storage
        state = QueueState(storage.lane_states(), storage.messages_not_logged)
        if state != self._told_state:
            self._told_state = state
            self._channel.tell(state)
        self._reactor.callLater(QUEUE_STATE_SECONDS, self._tell_queue_state)

    # -- the end

    def _drain(self, seconds: float) -> None:
        if not self._stopping:
            self._stopping = True
            Deferred.fromCoroutine(self._drained(seconds)).addBoth(lambda _: self._end())

    async def _drained(self, seconds: float) -> None:
        try:
            if self._sessions is not None:
                await self._sessions.drain(seconds)
            if self._lasting is not None:
                await self._lasting.storage.close()
        except Exception:
            self._reports(Failed("", traceback.format_exc()))

    def _reopen_log(self) -> None:
        try:
            if self._lines is not None:
                self._lines.reopen()
        except OSError as error:
            self._reports(Alarm(f"SIGHUP: the log of a worker stays in the file it was in: {error}"))

    def take_signals(self) -> None:
        """SIGTERM ends this worker. The others a terminal sends to all processes; the main one decides about them."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _terminate(self, *_: object) -> None:
        seconds = self._assembly.settings.limits.drain_seconds if self._assembly is not None else 0.0
        self._reactor.callFromThread(self._drain, seconds)

    def _end(self) -> None:
        """At once: either all is done, or the main process has gone and nobody would know of what is done here."""
        if self._threads is not None:
            threads, self._threads = self._threads, None
            threads.stop()
            self._reactor.stop()

    def _in_thread(self, call: Any) -> Deferred[Any]:
        assert self._threads is not None
        return deferToThreadPool(self._reactor, self._threads, call)


def own_lines(words: Sequence[str], wall_seconds: Callable[[], float]) -> LogLines | None:
    """The log by the command line: format and file, empty for standard output; None when it is twistd's."""
    if not words:
        return None
    line_format, file = words
    stream = LogStream(Path(file) if file else None)
    return LogLines(stream, "json" if line_format == "json" else "text", wall_seconds)


def _say_nothing(_: Event) -> None:
    """Another worker says it."""
