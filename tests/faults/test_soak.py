"""Sessions that break off at every octet leave nothing behind: no session, descriptor, file, timer, slot or memory.

A sample in `make test`; every octet in every way with MAILGATEWAY_SOAK=long, which is `make soak`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import tests.conftest as fixtures
from gateway.http_client import IDLE_CONNECTIONS
from tests.conftest import RunningGateway, start_gateway
from tests.faults.seen import Process
from tests.faults.sessions import (
    DATA,
    EHLO,
    HANDSHAKE,
    MAIL,
    PLAIN,
    QUICK_WAYS,
    EarlyEndError,
    Session,
    Step,
    Way,
    data,
    letter,
    over_implicit_tls,
    over_starttls,
    rcpt,
    slow_vendor,
)
from tests.faults.soak import Cut, Soak, cuts

LONG = os.environ.get("MAILGATEWAY_SOAK") == "long"
STRIDE = 1 if LONG else 2
SILENT_STRIDE = 1 if LONG else 20
BATCH_SESSIONS = 260  # each may bring two messages, and the sandbox keeps a thousand
SILENT_SESSIONS = 200  # at one time, below the limit
SEED = 1  # the order of the sessions, the same in each run
QUIET_SECONDS = 30.0
LEFT_OCTETS_A_SESSION = 512  # a session's own objects are many times that
ALLOCATOR_OCTETS = 2 * 1024 * 1024  # arenas that Python keeps half used

SESSIONS = 250
IN_FLIGHT_OCTETS = 400_000
LIMITS = f"""
[limits]
idle_seconds = 2
handshake_seconds = 2
data_seconds = 3
sessions = {SESSIONS}
sessions_per_address = {SESSIONS}
spool_memory_octets = 512
octets_in_flight = {IN_FLIGHT_OCTETS}
failed_login_delay_seconds = 0.1
"""


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with short deadlines and low limits."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(fixtures, "SETTINGS", fixtures.SETTINGS + LIMITS)
        running = start_gateway(tmp_path_factory.mktemp("soak"))
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def seen(gateway: RunningGateway) -> Process:
    console = int(gateway.console_url.rpartition(":")[2])
    names = dict.fromkeys(gateway.ports.values(), "smtp") | {console: "console"}
    return Process(gateway.process.pid, names)


def kept(process: Process) -> Counter[str]:
    """What is open, without the connections to the vendor's API, which are kept for the next message."""
    found = process.descriptors()
    del found["console connection"]
    return found


def until(condition: Callable[[], Any]) -> bool:
    """Wait for it, no longer than QUIET_SECONDS."""
    end = time.monotonic() + QUIET_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def mixed(gateway: RunningGateway, stride: int, ways: Iterable[Way]) -> list[Cut]:
    """The cuts of all scripts, in an order that is no order, and the same in each run."""
    starttls, implicit = gateway.ports["starttls"], gateway.ports["implicit"]
    these = [
        *cuts(starttls, over_starttls, stride=stride, ways=ways),
        *cuts(implicit, over_implicit_tls, stride=stride, ways=ways),
        *cuts(implicit, slow_vendor, first_step=5, stride=stride * 10, ways=ways),
    ]
    random.Random(SEED).shuffle(these)
    return these


def in_batches(gateway: RunningGateway) -> list[list[Cut]]:
    """All sessions, quick and silent ones apart; a silent batch is first, because it takes the most memory at once."""
    silent, quick = mixed(gateway, SILENT_STRIDE, [Way.SILENT]), mixed(gateway, STRIDE, QUICK_WAYS)
    batches = [silent[start : start + SILENT_SESSIONS] for start in range(0, len(silent), SILENT_SESSIONS)]
    first, *others = batches + [quick[start : start + BATCH_SESSIONS] for start in range(0, len(quick), BATCH_SESSIONS)]
    random.Random(SEED).shuffle(others)
    return [first, *others]


def received(gateway: RunningGateway) -> set[str]:
    return {one["request"]["json"]["subject"] for one in gateway.messages()}


def logged_in(gateway: RunningGateway) -> Session:
    session = Session(gateway.ports["implicit"])
    for step in (HANDSHAKE, Step(), EHLO, Step(b"AUTH PLAIN " + PLAIN)):
        session.take(step)
    return session


def break_off(gateway: RunningGateway, soak: Soak, batch: list[Cut], idle: Counter[str]) -> None:
    """Break a batch off; then nothing but what was open before may be, and no message that was not finished."""
    process = seen(gateway)
    soak.run(batch)
    assert soak.early == []
    assert until(lambda: kept(process) == idle), kept(process) - idle
    arrived = received(gateway)
    assert soak.acknowledged <= arrived
    assert arrived <= soak.finished
    gateway.clear()
    soak.finished.clear()
    soak.acknowledged.clear()


def test_sessions_that_break_off_at_any_octet_leave_nothing_behind(hurried: RunningGateway) -> None:
    process, soak = seen(hurried), Soak()
    spool = hurried.log_file.with_name("state") / "spool"
    batches = in_batches(hurried)
    hurried.clear()
    assert until(lambda: not process.descriptors()["smtp connection"])
    # The message log is written a moment later, and then what its writer needs is open
    assert until(lambda: any(name.endswith("-turn") for name in process.descriptors()))
    idle = kept(process)
    for batch in batches[: len(batches) // 2]:
        break_off(hurried, soak, batch, idle)
    before, sessions = process.memory_octets(), soak.sessions  # caches and arenas have their size by now
    for batch in batches[len(batches) // 2 :]:
        break_off(hurried, soak, batch, idle)
    grown, sessions = process.memory_octets() - before, soak.sessions - sessions
    assert grown < ALLOCATOR_OCTETS + LEFT_OCTETS_A_SESSION * sessions, f"{grown} octets by {sessions} sessions"
    assert process.descriptors()["console connection"] <= 2 * IDLE_CONNECTIONS  # both ends are its own
    assert list(spool.iterdir()) == []
    assert "Traceback" not in hurried.log()


def wakes_in_a_second(process: Process) -> int:
    before, end = process.wakes(), time.monotonic() + 1
    while time.monotonic() < end:
        time.sleep(0.1)
    return process.wakes() - before


def test_afterwards_no_timer_wakes_the_gateway(hurried: RunningGateway) -> None:
    assert until(lambda: wakes_in_a_second(seen(hurried)) < 10)


def test_afterwards_as_many_sessions_are_taken_as_the_limit_allows(hurried: RunningGateway) -> None:
    taken = []
    for _ in range(SESSIONS):
        taken.append(Session(hurried.ports["starttls"]))
        assert taken[-1].read_reply().startswith(b"220")
    with pytest.raises(EarlyEndError, match="421 Too many"):
        Session(hurried.ports["starttls"]).read_reply()
    for session in taken:
        session.socket.close()
    assert until(lambda: not seen(hurried).descriptors()["smtp connection"])


def test_afterwards_mail_data_is_taken_up_to_the_limit(hurried: RunningGateway) -> None:
    """Four sessions together hold all that may be in flight; a message left over from before would be too many."""
    open_ones = []
    for number in range(4):
        session = logged_in(hurried)
        for step in (MAIL, rcpt(), DATA):
            session.take(step)
        session.send(filled(letter(f"fill-{number}", 0), IN_FLIGHT_OCTETS // 4))
        open_ones.append(session)
    assert until(lambda: no_room_is_left(hurried))
    for session in open_ones:
        session.send(b".\r\n")
        assert session.read_reply().startswith(b"250")
        session.socket.close()


def filled(head: bytes, octets: int) -> bytes:
    """This head, and lines up to so many octets."""
    lines, rest = divmod(octets - len(head) - 2, 100)
    return head + (b"z" * 98 + b"\r\n") * lines + b"z" * rest + b"\r\n"


def no_room_is_left(gateway: RunningGateway) -> bool:
    session = logged_in(gateway)
    try:
        for step in (MAIL, rcpt(), DATA, data("one-more", 1)):
            session.take(step)
    except EarlyEndError as error:
        return b"452" in error.args[0]
    finally:
        session.socket.close()
    return False
