"""The open ports of a gateway: opened as a whole, handed from one factory to the next, closed one by one.

A port that is open and not served yet takes no connection: those that come wait in its queue.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IAddress, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gateway.smtp.tcp_transport import send_promptly


class Switch(Factory):
    """What a port hands its connections to, which may change while the port is open."""

    noisy = False

    def __init__(self) -> None:
        self.current: IProtocolFactory | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection goes to the factory of the moment."""
        return self.current.buildProtocol(cast(IAddress, addr)) if self.current is not None else None

    def change(self, factory: IProtocolFactory) -> None:
        """New connections go to this factory; those it had before go on."""
        factory.doStart()
        if self.current is not None:
            self.current.doStop()
        self.current = factory

    def stopFactory(self) -> None:
        """The port is closed."""
        if self.current is not None:
            self.current.doStop()


class Endpoint(Protocol):
    """Whatever names its endpoint, as a listener of the settings does."""

    @property
    def endpoint(self) -> str:
        """The endpoint string."""


class Ports:
    """Ports by key: the endpoint string; see keys()."""

    def __init__(self) -> None:
        self._ports: dict[str, Any] = {}
        self._switches: dict[str, Switch] = {}

    def __contains__(self, key: str) -> bool:
        """Whether that port is open."""
        return key in self._ports

    def __len__(self) -> int:
        """How many are open."""
        return len(self._ports)

    def keys(self) -> list[str]:
        """Those that are open."""
        return list(self._ports)

    def port(self, key: str) -> Any:
        """The open port, an IListeningPort."""
        return self._ports[key]

    def descriptors(self, listeners: Iterable[Endpoint]) -> dict[str, int]:
        """The descriptors of these listeners' ports, which are open, for other processes."""
        return {key: self.port(key).fileno() for key in keys(one.endpoint for one in listeners)}

    def open(self, endpoints: Mapping[str, IStreamServerEndpoint]) -> None:
        """Open these, all or none; they have to be served yet. OSError says which cannot be had."""
        opened: list[str] = []
        try:
            for key, endpoint in endpoints.items():
                self.add(key, endpoint)
                opened.append(key)
        except OSError:
            self.close(opened)
            raise

    def add(self, key: str, endpoint: IStreamServerEndpoint) -> None:
        """Open one at once: a port that cannot be had must stop the start, not be missing later."""
        switch, failures, ports = Switch(), list[Failure](), list[Any]()
        endpoint.listen(switch).addCallbacks(ports.append, failures.append)
        for failure in failures:
            raise OSError(f"cannot listen on {key}: {failure.getErrorMessage()}")
        (port,) = ports
        port.stopReading()
        send_promptly(port)
        self._ports[key], self._switches[key] = port, switch

    def adopt(self, key: str, reactor: Any, descriptor: int) -> None:
        """Have a port that another process has opened; the descriptor is copied."""
        switch = Switch()
        with socket.socket(fileno=os.dup(descriptor)) as opened:
            family = opened.family
        os.set_blocking(descriptor, False)
        port = reactor.adoptStreamPort(descriptor, family, switch)
        port.stopReading()
        send_promptly(port)
        self._ports[key], self._switches[key] = port, switch

    def serve(self, key: str, factory: IProtocolFactory) -> None:
        """Connections to this port are for that factory from now on."""
        self._switches[key].change(factory)
        self._ports[key].startReading()

    def close(self, keys: Iterable[str]) -> Deferred[Any]:
        """Take no more connections; fires when the ports are closed."""
        gone = [self._ports.pop(key) for key in list(keys) if key in self._ports]
        return DeferredList([maybeDeferred(port.stopListening) for port in gone])

    def close_all(self) -> Deferred[Any]:
        """Close what is open."""
        return self.close(list(self._ports))


def keys(endpoints: Iterable[str]) -> list[str]:
    """A key for each endpoint string: the string itself, with a number when it is there twice, as tcp:0 may be."""
    seen: Counter[str] = Counter()
    found = []
    for endpoint in endpoints:
        seen[endpoint] += 1
        found.append(endpoint if seen[endpoint] == 1 else f"{endpoint}#{seen[endpoint]}")
    return found
