"""Makes the console's web site: pages, control API, the sandboxes, and who may come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.http import Request
from twisted.web.server import Site

from gateway.console.access import Access, read_tokens
from gateway.console.control_api import ControlApi
from gateway.console.event_stream import EventStream
from gateway.console.pages import Console, ConsoleParts
from gateway.console.steering import Steering
from gateway.parts import first_message_command, tls_contexts
from gateway.sandbox.inbox import Inbox
from gateway.sandbox.postmark import PostmarkSandbox
from gateway.sandbox.postscale import PostscaleSandbox
from gateway.sandbox.poststack import PostStackSandbox
from gateway.sandbox.relaypost import RelayPostSandbox
from gateway.settings import Listener, Settings, TlsMode
from gateway.store.interface import Store

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
SANDBOXES: Mapping[str, Callable[[Inbox, Any], Any]] = {
    "postscale": PostscaleSandbox,
    "poststack": PostStackSandbox,
    "postmark": PostmarkSandbox,
    "relaypost": RelayPostSandbox,
}


@dataclass(frozen=True, slots=True)
class ConsoleNeeds:
    """What the console needs of the service. ready gives the reasons for not being ready; wake tells the queue that
    there may be something to attempt."""

    store: Store
    inbox: Inbox | None
    reactor: Any
    wall_seconds: Callable[[], float]
    ready: Callable[[], list[str]]
    wake: Callable[[], None]


def console_site(settings: Settings, needs: ConsoleNeeds) -> Site:
    """The console's web site; the sandboxes are below it when there is an inbox. OSError when tokens cannot be kept."""
    inbox, reactor = needs.inbox, needs.reactor
    sandboxes = {name: make(inbox, reactor) for name, make in SANDBOXES.items()} if inbox else {}
    steering = Steering(needs.store, needs.wall_seconds, needs.wake)
    control = ControlApi(steering, EventStream(steering, reactor), frozenset(settings.vendors))
    tokens = read_tokens(settings.state_dir)
    parts = ConsoleParts(
        inbox,
        {name: sandbox.resource() for name, sandbox in sandboxes.items()},
        needs.ready,
        LOOPBACK_HOSTS | {settings.hostname, *settings.console.hosts},
        first_message=first_message_command(settings),
        magic=[sandbox.magic for sandbox in sandboxes.values()],
        control=control.resource(),
        access=Access(tokens, reactor.seconds, is_open=settings.console_is_open),
        is_https=settings.console.tls,
    )
    return QuietSite(Console(parts).resource())  # type: ignore[no-untyped-call]  # Twisted's is untyped


def console_wire(settings: Settings, site: Site) -> IProtocolFactory:
    """The site as it listens: behind TLS where the settings say so."""
    console = settings.console
    tls: TlsMode = "implicit" if console.tls else "none"
    listener = Listener(console.endpoint, tls, certificate=console.certificate, private_key=console.private_key)
    contexts = tls_contexts(settings, listener, "console")
    return TLSMemoryBIOFactory(contexts, False, site) if contexts else site


class QuietSite(Site):
    """A site that leaves the log to the mail; the console's visitors are the operator alone."""

    noisy = False

    def log(self, request: Request) -> None:
        """Write no access log."""
