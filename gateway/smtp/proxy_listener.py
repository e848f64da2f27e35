"""Connections that come through a balancer: the PROXY header is read first, then the real protocol takes over.

Whatever speaks on the connection, TLS included, is built by the wrapped factory, and only when the header is there:
nothing is sent before it, and the factory gets the address of the client, not of the balancer. See proxy_header.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from gateway.events import ProxyRefused, Reporter
from gateway.smtp.listener import peer_address
from gateway.smtp.proxy_header import ProxyError, ProxyHeader, read_header

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HEADER_SECONDS = 5
"""A balancer sends the header in the first segment; the protocol asks for 3 s at least, one lost segment and more."""


class ProxyFactory(Factory):
    """Takes connections from these networks only, and asks each for a PROXY header. wrapped builds what comes after."""

    noisy = False

    def __init__(
        self, wrapped: IProtocolFactory, networks: Sequence[Network], clock: IReactorTime, report: Reporter
    ) -> None:
        self.wrapped = wrapped
        self.clock = clock
        self._networks = tuple(networks)
        self._report = report

    def doStart(self) -> None:
        """Start the wrapped factory too."""
        self.wrapped.doStart()
        super().doStart()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def doStop(self) -> None:
        """Stop the wrapped factory too."""
        self.wrapped.doStop()
        super().doStop()  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def buildProtocol(self, addr: IAddress | None) -> ProxyProtocol | None:
        """A reader of the header; None, which closes the connection at once, for a peer outside the networks."""
        peer = peer_address(getattr(addr, "host", "") or "local")
        if not self._is_trusted(peer):
            self.refuse(peer, "the peer is in none of the networks of proxy_protocol")
            return None
        return ProxyProtocol(self, peer, addr)

    def refuse(self, peer: str, reason: str) -> None:
        """Tell that a connection was not taken."""
        self._report(ProxyRefused(peer, reason))

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False  # a UNIX socket has no address
        return any(address in network for network in self._networks)


class ProxyProtocol(Protocol):
    """Reads the header of one connection, then hands the transport over and is done."""

    transport: Any  # a TCP transport; Twisted's ITransport knows no abortConnection

    def __init__(self, factory: ProxyFactory, peer: str, address: IAddress | None) -> None:
        self._factory = factory
        self._peer = peer
        self._address = address
        self._octets = b""
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Wait for the header, and say nothing."""
        self._deadline = self._factory.clock.callLater(HEADER_SECONDS, self._refuse, "no whole PROXY header in time")

    def dataReceived(self, data: bytes) -> None:
        """The header may come in any number of segments, and what follows it in the same one."""
        self._octets += data
        try:
            header = read_header(self._octets)
        except ProxyError as error:
            self._refuse(str(error))
        else:
            if header is not None:
                self._hand_over(header)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Gone before its header was whole. One that sent nothing is a balancer's health check, no news."""
        if self._deadline is not None and self._octets:
            self._factory.refuse(self._peer, "closed before the PROXY header was whole")
        self._stop_waiting()

    def _hand_over(self, header: ProxyHeader) -> None:
        """The transport goes to the real protocol, as in Twisted's own startTLS: no layer stays between."""
        self._stop_waiting()
        address = self._address if header.source is None else _address(*header.source)
        rest, self._octets = self._octets[header.size_octets :], b""
        protocol = self._factory.wrapped.buildProtocol(cast(IAddress, address))
        if protocol is None:
            self.transport.abortConnection()
            return
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)
        if rest:
            protocol.dataReceived(rest)

    def _refuse(self, reason: str) -> None:
        """No reply: it would go to a balancer, or to someone who has no business here."""
        self._stop_waiting()
        self._factory.refuse(self._peer, reason)
        self.transport.abortConnection()

    def _stop_waiting(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None


def _address(host: str, port: int) -> IAddress:
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)
