"""What the main process and its workers tell each other: one message a line, in JSON, over a pair of Unix sockets.

Both ends are the same code at the same version, and nobody else has the sockets.
"""

from __future__ import annotations

import typing
from typing import Any

import msgspec

from gateway.events import Event
from gateway.lane_state import LaneState

EVENTS: dict[str, Any] = {one.__name__: one for one in typing.get_args(Event)}


class Prepare(msgspec.Struct, tag="prepare", frozen=True):
    """To a worker: make ready for these settings (None: the embedded ones).

    ports are the keys of the ports of its listeners, whose descriptors come with this message in the same order.
    number counts workers from 1.
    """

    settings: str | None
    path: str
    ports: list[str]
    number: int
    hash_key: bytes


class Prepared(msgspec.Struct, tag="prepared", frozen=True):
    """To the main process: ready, or what keeps the settings from being used."""

    problems: list[str]


class Use(msgspec.Struct, tag="use", frozen=True):
    """To a worker: use what was prepared for the sessions to come."""


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """To a worker: 421 to who has nothing in hand, finish what is in hand within so many seconds, and end."""

    seconds: float


class Abort(msgspec.Struct, tag="abort", frozen=True):
    """To a worker: cut off what is left."""


class Look(msgspec.Struct, tag="look", frozen=True):
    """To a worker: somebody has changed the queue; see what is due."""


class Reopen(msgspec.Struct, tag="reopen", frozen=True):
    """To a worker: open the file of the log anew."""


class Ping(msgspec.Struct, tag="ping", frozen=True):
    """To a worker, which says the same: its reactor is not stuck."""


class Reported(msgspec.Struct, tag="reported", frozen=True):
    """To the main process: an event, which the worker has logged."""

    name: str
    fields: dict[str, Any]


class QueueState(msgspec.Struct, tag="queue-state", frozen=True):
    """To the main process: what the worker's queue knows of its lanes, and how many messages its log has lost."""

    lanes: list[LaneState]
    messages_not_logged: int


class SessionsChanged(msgspec.Struct, tag="sessions", frozen=True):
    """So many more sessions of a peer (fewer, when negative) in a worker; worker is its number, filled in by main."""

    peer: str
    change: int
    worker: int = 0


class Gone(msgspec.Struct, tag="gone", frozen=True):
    """To a worker: another has ended."""

    worker: int


class OctetsHeld(msgspec.Struct, tag="octets", frozen=True):
    """So many octets of mail data more are held by a worker."""

    change: int


class LoginFailure(msgspec.Struct, tag="failure", frozen=True):
    """A login failed; see FailedLogin."""

    address: bytes
    account: bytes | None
    guess: int | None


class Failures(msgspec.Struct, tag="failures", frozen=True):
    """All failures of an address or account so far; see CountedFailures."""

    name: bytes
    age_seconds: float
    times: int
    unseen: int
    guesses: list[int]


class Answered(msgspec.Struct, tag="answered", frozen=True):
    """Whether a secret is good, None when that holds no more. of: keys or secrets, as in Counts."""

    of: typing.Literal["keys", "secrets"]
    entry: bytes
    answer: bool | None
    age_seconds: float = 0.0


class Served(msgspec.Struct, tag="served", frozen=True):
    """Who of a message's recipients has been served, nobody when it is forgotten; see TakenPaths."""

    digest: bytes
    paths: list[str]
    age_seconds: float = 0.0


Change = SessionsChanged | OctetsHeld | LoginFailure | Failures | Answered | Served
Message = Prepare | Prepared | Use | Drain | Abort | Look | Reopen | Ping | Gone | Reported | QueueState | Change
DECODER = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """A message as its line."""
    return msgspec.json.encode(message) + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line without its end."""
    message: Message = DECODER.decode(line)
    return message


def reported(event: Event) -> Reported:
    """The message that carries an event."""
    return Reported(type(event).__name__, msgspec.to_builtins(event))


def event_of(message: Reported) -> Event:
    """The event that a message carries."""
    event: Event = msgspec.convert(message.fields, EVENTS[message.name])
    return event
