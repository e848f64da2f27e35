"""The settings of the console: where it listens, how it is protected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.tls_settings import pair_problems
from gateway.urls import is_loopback

CONSOLE_PORT = 8025
INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])*)")


@dataclass(frozen=True, slots=True)
class Console:
    """The web pages, the control API, metrics and health.

    Beyond loopback it takes tls = true, and asks for a login. certificate and private_key are those of [tls] where
    they are not given. login: ask for one even where only test mail is shown, on loopback. hosts are the names by
    which browsers reach it, besides the loopback ones. /readyz says no with less than free_octets free on the disk
    of the state folder, and warns when mail has waited for longer than queue_age_seconds.
    """

    endpoint: str = f"tcp:{CONSOLE_PORT}:interface=127.0.0.1"
    tls: bool = False
    certificate: Path | None = None
    private_key: Path | None = None
    login: bool = False
    hosts: tuple[str, ...] = ()
    free_octets: int = 256 * 1024 * 1024
    queue_age_seconds: float = 3600.0

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it, as far as the endpoint tells; a socket of systemd's does not."""
        interface = INTERFACE.search(self.endpoint)
        return interface is not None and is_loopback(interface[1].replace("\\", ""))

    def problems(self) -> Iterator[tuple[str, str]]:
        """Tokens and mail do not travel in the clear."""
        yield from pair_problems(self.certificate, self.private_key)
        if self.certificate is not None and not self.tls:
            yield "certificate", "expected tls = true with it"
        # What systemd passes is looked at when it is there
        if not self.is_local and not self.tls and not self.endpoint.startswith("systemd:"):
            yield (
                "endpoint",
                "expected a loopback address, such as tcp:8025:interface=127.0.0.1, or tls = true with it",
            )
