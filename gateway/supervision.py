"""What systemd is told of the gateway, and how often it wants to hear of it: sd_notify(3), sd_watchdog_enabled(3).

A datagram of NAME=value lines to a Unix socket is the whole protocol. The packages for it bring a C library or have had
no release for years, so these are lines of our own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

MICROSECONDS = 1_000_000


class Supervisor:
    """Tells systemd how the gateway is. Without NOTIFY_SOCKET in the environment nobody wants to know, and all is well.

    monotonic_seconds is CLOCK_MONOTONIC, whose time systemd compares with its own.
    """

    def __init__(self, reactor: Any, environment: Mapping[str, str], monotonic_seconds: Callable[[], float]) -> None:
        self._reactor = reactor
        self._monotonic_seconds = monotonic_seconds
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _watchdog_seconds(environment, os.getpid())
        self._next: Any = None

    def ready(self, status: str) -> None:
        """All ports are open. From now on the reactor says that it is alive, twice as often as systemd asks for."""
        self._tell("READY=1", f"STATUS={status}")
        if self._watchdog_seconds and self._next is None:
            self._still_alive()

    def reloading(self) -> None:
        """The settings are being read again; ready() ends that."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(self._monotonic_seconds() * MICROSECONDS)}")

    def stopping(self) -> None:
        """The stop has begun. A stop that takes longer than systemd allows is ended by it, so the watchdog goes on."""
        self._tell("STOPPING=1", "STATUS=stopping: messages in hand are finished")

    def stopped(self) -> None:
        """The reactor is about to end."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _still_alive(self) -> None:
        """From the reactor itself, so that one that is stuck is noticed."""
        self._tell("WATCHDOG=1")
        self._next = self._reactor.callLater(self._watchdog_seconds / 2, self._still_alive)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # An "@" stands for the NUL of an abstract address. Nobody there, or a full buffer, must not stop the mail
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify,
            contextlib.suppress(OSError),
        ):
            notify.sendto("\n".join(lines).encode(), address)


def _watchdog_seconds(environment: Mapping[str, str], pid: int) -> float:
    """How long systemd waits for a sign of life; 0 when it does not watch this process."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return 0.0
    try:
        return max(0, int(environment.get("WATCHDOG_USEC", "0"))) / MICROSECONDS
    except ValueError:
        return 0.0
