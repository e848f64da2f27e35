"""The workers of a gateway: as many as asked for, one for each that ends, all with the same settings and counts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults

from gateway.events import Alarm, SessionsLost
from gateway.lane_state import LaneState, merged
from gateway.lasting import Lasting
from gateway.log_settings import LogSettings
from gateway.reports import Reports
from gateway.storage import Storage
from gateway.tables import Problem, SettingsError
from gateway.workers.member import Member, Wanted
from gateway.workers.messages import (
    Abort,
    Change,
    Drain,
    Gone,
    Look,
    Message,
    OctetsHeld,
    Reopen,
    Reported,
    SessionsChanged,
    event_of,
)
from gateway.workers.replica import Replica

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
LASTING_SECONDS = 60.0  # a worker that has lived so long did not end because of how it started
HASH_KEY_OCTETS = 32


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker for those who look: serves is False until it takes connections."""

    number: int
    pid: int
    began_seconds: float
    sessions: int
    serves: bool


class Workforce:
    """All workers. Nothing runs until start(); hash_key is what the main process's own counts have to be made with.

    log: None where twistd logs by its own options, and workers to standard output.
    """

    def __init__(self, count: int, reactor: Any, reports: Reports, log: LogSettings | None) -> None:
        self.hash_key = secrets.token_bytes(HASH_KEY_OCTETS)
        self._count = count
        self._reactor = reactor
        self._reports = reports
        self._log = log
        self._members: dict[int, Member] = {}
        self._wanted = Wanted(0, None, "", {}, self.hash_key)
        self._next: Wanted | None = None
        self._replica: Replica | None = None
        self._storage: Storage | None = None
        self._wait_seconds = dict.fromkeys(range(1, count + 1), 0.0)
        self._late: list[Deferred[None]] = []
        self._draining: float | None = None
        self._not_logged_by_ended = 0
        self._all_ended: Deferred[None] = Deferred()
        self._ready: Deferred[None] = Deferred()

    def start(
        self, lasting: Lasting, settings: str | None, path: str, descriptors: Mapping[str, int]
    ) -> Deferred[None]:
        """Start them all; fires when all serve for the first time."""
        self._replica = Replica(lasting)
        self._storage = lasting.storage
        self._wanted = Wanted(1, settings, path, dict(descriptors), self.hash_key)
        for number in range(1, self._count + 1):
            self._begin(number)
        return self._ready

    def states(self) -> list[WorkerState]:
        """The workers there are now."""
        return [
            WorkerState(one.number, one.pid, one.began_seconds, one.peers.total(), one.serves)
            for one in self._members.values()
        ]

    @property
    def missing(self) -> int:
        """How many do not serve at the moment."""
        return self._count - sum(one.serves for one in self._members.values())

    def lane_states(self) -> list[LaneState]:
        """What the workers' queues know of their lanes, each lane once."""
        return merged(state for one in self._members.values() for state in one.lanes)

    @property
    def messages_not_logged(self) -> int:
        """How many messages of direct mode the workers' logs have lost, those that have ended included."""
        return self._not_logged_by_ended + sum(one.messages_not_logged for one in self._members.values())

    # -- new settings

    async def prepare(self, settings: str | None, path: str, descriptors: Mapping[str, int]) -> None:
        """Have all workers make ready for these. SettingsError when one cannot."""
        await DeferredList(self._late)  # a worker is asked one thing at a time
        self._next = Wanted(self._wanted.generation + 1, settings, path, dict(descriptors), self.hash_key)
        serving = [one for one in self._members.values() if one.serves]
        answers = [Deferred.fromCoroutine(one.prepare(self._next)) for one in serving]
        problems = [problem for answer in await gatherResults(answers) for problem in answer]
        if problems:
            # Those that could prepare it let go of its ports again. Waited for, or the next reload would take their
            # answers for those to its own question
            await gatherResults([Deferred.fromCoroutine(one.prepare(self._wanted)) for one in serving if one.serves])
            raise SettingsError([Problem("", one) for one in dict.fromkeys(problems)])

    def use(self) -> None:
        """Use what was prepared. A worker that has begun meanwhile prepares it now; one that cannot is replaced."""
        assert self._next is not None
        self._wanted, self._next = self._next, None
        # One that does not serve yet is on its way, and looks what is wanted before it does
        late = [one for one in self._members.values() if one.serves and one.prepared is not self._wanted]
        for one in self._members.values():
            if one.prepared is self._wanted:
                one.use()
        self._late = [Deferred.fromCoroutine(self._make_ready(one)) for one in late]

    # -- a worker's life

    def _begin(self, number: int) -> None:
        if self._draining is not None:
            return
        member = self._members[number] = Member(number, self._reactor, self._heard, self._ended, self._log)
        Deferred.fromCoroutine(self._make_ready(member))

    async def _make_ready(self, member: Member) -> None:
        """Until it serves what is wanted now, which may change while it prepares."""
        while member.prepared is not self._wanted:
            problems = await member.prepare(self._wanted)
            if self._members.get(member.number) is not member:
                return
            if problems:
                self._reports(Alarm(f"worker {member.number} cannot start: {'; '.join(problems)}"))
                member.kill()
                return
        self._introduce(member)
        member.use()
        if self._draining is not None:
            member.channel.tell(Drain(self._draining))
        if not self.missing and not self._ready.called:
            self._ready.callback(None)

    def _introduce(self, member: Member) -> None:
        """It learns what has been counted so far, and the others learn that it is there."""
        if member.serves or self._replica is None:
            return
        for change in self._replica.copies():
            member.channel.tell(change)
        for other in self._members.values():
            if other is not member and other.serves:
                other.channel.tell(SessionsChanged("", 0, member.number))
                member.channel.tell(SessionsChanged("", 0, other.number))
                for peer, sessions in other.peers.items():
                    member.channel.tell(SessionsChanged(peer, sessions, other.number))
                member.channel.tell(OctetsHeld(other.octets))

    def _ended(self, member: Member, how: str) -> None:
        del self._members[member.number]
        self._not_logged_by_ended += member.messages_not_logged
        if member.peers:
            self._reports(SessionsLost(member.number, member.peers.total()))
        for peer, sessions in member.peers.items():
            self._spread(member, SessionsChanged(peer, -sessions, member.number))
        self._spread(member, OctetsHeld(-member.octets))
        for other in self._members.values():
            other.channel.tell(Gone(member.number))
        if self._draining is None:
            Deferred.fromCoroutine(self._free_claims())
            self._replace(member, how)
        elif not self._members:
            self._all_ended.callback(None)

    async def _free_claims(self) -> None:
        """What it had in hand is for the others."""
        if self._storage is not None:
            await self._storage.process_ended()
            self.look()

    def _replace(self, member: Member, how: str) -> None:
        lived_seconds = self._reactor.seconds() - member.began_seconds
        before = self._wait_seconds[member.number]
        longer = min(max(FIRST_WAIT_SECONDS, before * 2), LONGEST_WAIT_SECONDS)
        wait = 0.0 if lived_seconds > LASTING_SECONDS else longer
        self._wait_seconds[member.number] = wait
        told = f"worker {member.number} (process {member.pid}) has ended with {how}; another begins in {wait:g} s"
        self._reports(Alarm(told))
        self._reactor.callLater(wait, self._begin, member.number)

    # -- what they say

    def _heard(self, member: Member, message: Message) -> None:
        if isinstance(message, Reported):
            self._reports.observed(event_of(message))
        elif isinstance(message, Change):
            self._spread(member, message)

    def _spread(self, member: Member, change: Change) -> None:
        """What one has counted, all others and the main process count too."""
        if self._replica is not None:
            self._replica.hear(change)
        for other in self._members.values():
            if other is not member and other.serves:
                other.channel.tell(change)

    # -- the end

    async def drain(self, seconds: float) -> None:
        """Have all drain within so many seconds; returns when none is left."""
        self._draining = seconds
        for one in self._members.values():
            one.channel.tell(Drain(seconds))
        if self._members:
            # One that is stuck does not hear of it
            late = self._reactor.callLater(seconds + FIRST_WAIT_SECONDS * 4, self._kill)
            await DeferredList([self._all_ended])
            if late.active():
                late.cancel()

    def look(self) -> None:
        """Somebody has changed the queue: have them see what is due."""
        for one in self._members.values():
            one.channel.tell(Look())

    def reopen_log(self) -> None:
        """Have them go on in a new file of the log."""
        for one in self._members.values():
            one.channel.tell(Reopen())

    def abort(self) -> None:
        """Cut off all sessions; who is draining ends then."""
        for one in self._members.values():
            one.channel.tell(Abort())

    def _kill(self) -> None:
        for one in self._members.values():
            one.kill()
