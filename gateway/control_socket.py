"""The Unix socket in the state folder by which "mailgateway reload" asks a running gateway, and gets its answer.

Who may enter the folder (mode 0700) may ask: the gateway's own user, and root. One connection, one question, one answer
as a line of JSON.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

LOG = Logger(namespace="mailgateway")
NAME = "control.sock"
QUESTION = b"reload\n"
ANSWER_SECONDS = 60  # new listeners, certificates and worker processes are ready within seconds


class Answer(msgspec.Struct, frozen=True):
    """What became of a reload: problems is empty when the new settings are in use."""

    problems: tuple[str, ...] = ()


class ControlProtocol(Protocol):
    """One question."""

    transport: Any  # a Unix transport; Twisted's ITransport knows no abortConnection

    def __init__(self, reload: Callable[[], Awaitable[list[str]]]) -> None:
        self._reload = reload
        self._octets = b""

    def dataReceived(self, data: bytes) -> None:
        """The only question there is; whoever says anything else is no part of us."""
        self._octets += data
        if self._octets == QUESTION:
            Deferred.fromCoroutine(self._answer())
        elif not QUESTION.startswith(self._octets):
            self.transport.abortConnection()

    async def _answer(self) -> None:
        problems = await self._reload()
        self.transport.write(msgspec.json.encode(Answer(tuple(problems))) + b"\n")
        self.transport.loseConnection()


class ControlSocket:
    """The open socket. OSError when the folder cannot be written to, or its path is too long for a socket in it."""

    def __init__(self, folder: Path, reactor: Any, reload: Callable[[], Awaitable[list[str]]]) -> None:
        path = folder / NAME
        path.unlink(missing_ok=True)  # one that a killed process has left behind
        factory = Factory.forProtocol(lambda: ControlProtocol(reload))
        factory.noisy = False
        self._port = reactor.listenUNIX(str(path), factory, mode=0o600)

    async def close(self) -> None:
        """Take no more questions, and remove the file."""
        await self._port.stopListening()


def open_control(folder: Path, reactor: Any, reload: Callable[[], Awaitable[list[str]]]) -> ControlSocket | None:
    """The open socket; None when there can be none: such a gateway still carries mail, and takes SIGHUP."""
    try:
        return ControlSocket(folder, reactor, reload)
    except (OSError, ValueError, CannotListenError) as error:  # ValueError: the path is too long
        LOG.warn('"mailgateway reload" will not reach this gateway: {reason}', reason=str(error))
        return None


def ask_reload(folder: Path) -> Answer:
    """Ask the gateway that runs with this state folder. OSError when none does, or it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(ANSWER_SECONDS)
        asking.connect(str(folder / NAME))
        asking.sendall(QUESTION)
        with asking.makefile("rb") as answer:
            line = answer.readline()
    if not line.endswith(b"\n"):
        raise ConnectionError("the gateway ended before it answered")
    return msgspec.json.decode(line, type=Answer)
