"""One worker as the main process sees it: a process, its channel, and what it has counted."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from gateway.lane_state import LaneState
from gateway.log_settings import LogSettings
from gateway.workers.channel import Channel, open_channel
from gateway.workers.messages import (
    Message,
    OctetsHeld,
    Ping,
    Prepare,
    Prepared,
    QueueState,
    SessionsChanged,
    Use,
)

MODULE = "gateway.workers"
NOT_FOR_WORKERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
PING_SECONDS = 5.0
STUCK_SECONDS = 30.0  # as WatchdogSec in the unit: what has not come back by then does not


@dataclass(frozen=True, slots=True)
class Wanted:
    """What workers are to use: the settings as a file's text (None: the embedded ones), the file, the ports by key.

    generation counts how often that has changed.
    """

    generation: int
    settings: str | None
    path: str
    descriptors: dict[str, int]
    hash_key: bytes


class Member(ProcessProtocol):
    """A worker. heard gets its messages that are not for us, ended is called once, with how it ended."""

    def __init__(
        self,
        number: int,
        reactor: Any,
        heard: Callable[[Member, Message], None],
        ended: Callable[[Member, str], None],
        log: LogSettings | None = None,
    ) -> None:
        self.number = number
        self.began_seconds = reactor.seconds()
        self.peers: Counter[str] = Counter()
        self.octets = 0
        self.lanes: list[LaneState] = []
        self.messages_not_logged = 0
        self.serves = False
        self.prepared: Wanted | None = None
        self._reactor = reactor
        self._heard = heard
        self._ended = ended
        self._waiting: Deferred[list[str]] | None = None
        self._answered_seconds = self.began_seconds
        self._ping: Any = None
        self._killed_for = ""
        self._log = [log.format, str(log.file or "")] if log is not None else []
        self._process, self.channel = self._spawn()
        self.pid: int = self._process.pid

    def _spawn(self) -> tuple[Any, Channel]:
        ours, theirs = socket.socketpair()
        with ours, theirs, Path(os.devnull).open("rb") as nothing:
            environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_WORKERS}
            command = [sys.executable, "-P", "-m", MODULE, type(self._reactor).__module__, *self._log]
            process = self._reactor.spawnProcess(
                self,
                sys.executable,
                command,
                env=environment,
                childFDs={0: nothing.fileno(), 1: 1, 2: 2, 3: theirs.fileno()},
            )
            channel = open_channel(self._reactor, os.dup(ours.fileno()), self._hear, self._silent)
        self._ping = self._reactor.callLater(PING_SECONDS, self._look)
        return process, channel

    # -- settings

    async def prepare(self, wanted: Wanted) -> list[str]:
        """Have it make ready for these; the problems if it cannot, or when it ends meanwhile."""
        self._waiting = Deferred()
        ports = list(wanted.descriptors)
        prepare = Prepare(wanted.settings, wanted.path, ports, self.number, wanted.hash_key)
        self.channel.tell(prepare, [wanted.descriptors[key] for key in ports])
        problems = await self._waiting
        self.prepared = None if problems else wanted
        return problems

    def use(self) -> None:
        """Have it use what it has prepared."""
        self.channel.tell(Use())
        self.serves = True

    # -- what it says

    def _hear(self, message: Message) -> None:
        match message:
            case Prepared(problems):
                self._answer(problems)
            case Ping():
                self._answered_seconds = self._reactor.seconds()
            case QueueState(lanes, messages_not_logged):
                self.lanes, self.messages_not_logged = lanes, messages_not_logged
            case SessionsChanged(peer, change):
                self.peers[peer] += change
                if not self.peers[peer]:
                    del self.peers[peer]
                self._heard(self, SessionsChanged(peer, change, self.number))
            case OctetsHeld(change):
                self.octets += change
                self._heard(self, message)
            case _:
                self._heard(self, message)

    def _answer(self, problems: Sequence[str]) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(list(problems))

    # -- its end

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessExitedAlready):
            self._process.signalProcess("KILL")

    def processEnded(self, reason: Failure) -> None:
        """The process is gone."""
        if self._ping.active():
            self._ping.cancel()
        status: Any = reason.value
        how = f"signal {status.signal}" if status.signal is not None else f"status {status.exitCode}"
        if self._killed_for:
            how = f"{how} ({self._killed_for})"
        self.serves = False
        self._answer([f"worker {self.number} has ended with {how}"])
        self._ended(self, how)

    def _silent(self) -> None:
        """The channel is closed: the process is about to end, or has nothing left to say."""

    def _look(self) -> None:
        """A worker whose reactor is stuck holds its sessions for ever, and takes connections that nobody answers."""
        if self._reactor.seconds() - self._answered_seconds > STUCK_SECONDS:
            self._killed_for = f"its event loop was stuck for {STUCK_SECONDS:g} s"
            self.kill()
            return
        self.channel.tell(Ping())
        self._ping = self._reactor.callLater(PING_SECONDS, self._look)
