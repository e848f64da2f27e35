"""A worker that does not answer is ended, and what is said of it."""

from __future__ import annotations

from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.workers.member import PING_SECONDS, STUCK_SECONDS, Member
from gateway.workers.messages import Ping


class Process:
    """A process that notes what signals it gets."""

    pid = 4242

    def __init__(self):
        self.signals = []

    def signalProcess(self, name):
        self.signals.append(name)


class Reactor(Clock):
    """A clock that starts no process and has no sockets."""

    def __init__(self):
        super().__init__()
        self.process = Process()

    def spawnProcess(self, *arguments, **options):
        return self.process

    def adoptStreamConnection(self, descriptor, family, factory):
        factory.buildProtocol(None)


def started(reactor):
    ended = []
    return Member(1, reactor, lambda *_: None, lambda _, how: ended.append(how)), ended


def pass_time(reactor, seconds, answer):
    for _ in range(int(seconds / PING_SECONDS)):
        reactor.advance(PING_SECONDS)
        answer()


def test_a_worker_that_answers_lives_on():
    reactor = Reactor()
    member, _ = started(reactor)
    pass_time(reactor, STUCK_SECONDS * 3, lambda: member._hear(Ping()))
    assert reactor.process.signals == []


def test_a_worker_that_is_stuck_is_ended_and_the_reason_is_told():
    reactor = Reactor()
    member, ended = started(reactor)
    pass_time(reactor, STUCK_SECONDS, lambda: None)
    assert reactor.process.signals == []
    pass_time(reactor, PING_SECONDS, lambda: None)
    assert reactor.process.signals == ["KILL"]
    member.processEnded(Failure(ProcessTerminated(signal=9)))
    assert ended == [f"signal 9 (its event loop was stuck for {STUCK_SECONDS:g} s)"]
