"""A TCP proxy between gateways and PostgreSQL that cuts connections at a commit: before the server has it, or after."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Literal

COMMITTED = b"C\0\0\0\x0bCOMMIT\0"  # CommandComplete: the answer to a commit that took place
ASKED = b"COMMIT\0"  # in a Query message, or in the Parse of the statement that psycopg keeps
PIECE_OCTETS = 65536

Cut = Literal["", "before", "after"]


class Proxy:
    """Listens on a port of its own. cut: what is done at the next commit of a message; cuts counts how often it was."""

    def __init__(self, server: str) -> None:
        """server is the path of the server's socket."""
        self.cut: Cut = ""
        self.cuts = 0
        self.is_away = False
        """From now on nobody gets through; and from the cut on, when stays_away is set: all connections are cut."""
        self.stays_away = False
        self._open: list[socket.socket] = []
        self._server = server
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    @contextlib.contextmanager
    def cutting(self, cut: Cut, *, stays_away: bool = False) -> Iterator[None]:
        """Within the block the next commit that brings a message is cut."""
        self.cut, self.stays_away = cut, stays_away
        yield
        self.cut, self.stays_away = "", False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_away:
                    client.close()
                else:
                    self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._server)
        except OSError:
            client.close()
            return
        self._open += [client, server]
        brings = threading.Event()  # whether the transaction under way brings a message
        for source, target, look in ((client, server, self._asked), (server, client, self._answered)):
            threading.Thread(target=_pass_on, args=(source, target, look, brings), daemon=True).start()

    def _asked(self, octets: bytes, brings: threading.Event) -> bool:
        if b"INSERT INTO content" in octets or MAIL in octets:
            brings.set()
        return brings.is_set() and ASKED in octets and self._cuts("before")

    def _answered(self, octets: bytes, brings: threading.Event) -> bool:
        if COMMITTED not in octets:
            return False
        was_bringing = brings.is_set()
        brings.clear()
        return was_bringing and self._cuts("after")

    def _cuts(self, cut: Cut) -> bool:
        with self._lock:
            if self.cut != cut:
                return False
            self.cuts += 1
            self.cut = ""
            if self.stays_away:
                self.is_away = True
                for one in self._open:
                    _end(one)
            return True


MAIL = b"A line of a letter that somebody waits for."  # of what the tests submit


def _pass_on(
    source: socket.socket,
    target: socket.socket,
    cuts: Callable[[bytes, threading.Event], bool],
    brings: threading.Event,
) -> None:
    """One direction, until it ends or is cut: then both ends are closed."""
    with contextlib.suppress(OSError):
        while octets := source.recv(PIECE_OCTETS):
            if cuts(octets, brings):
                break
            target.sendall(octets)
    for one in (source, target):
        _end(one)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
