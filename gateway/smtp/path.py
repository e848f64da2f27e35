"""A reverse-path or forward-path on its way to the avatar."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.mail.smtp import Address


class Path(Address):
    """A path that the grammar has accepted, in the form Twisted's interfaces know, without parsing it again.

    parameters are those of its MAIL or RCPT command, keywords in upper case.
    """

    def __init__(self, address: str, parameters: Mapping[str, str | None]) -> None:
        self.parameters = parameters
        local, at, domain = address.rpartition("@")
        self.local = (local if at else domain).encode()
        self.domain = domain.encode() if at else b""

    def __str__(self) -> str:
        """The address as the client wrote it."""
        return (self.local + b"@" + self.domain if self.domain else self.local).decode()
