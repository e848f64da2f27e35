"""Makes the console's web site: pages, control API, the sandboxes, and who may come in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.http import Request
from twisted.web.server import Site

from gateway.accounts.server_tokens import ServerTokenChecker
from gateway.accounts.throttle import FailedLoginCount
from gateway.console.access import Access, read_tokens
from gateway.console.bounces_api import BouncesApi
from gateway.console.control_api import ControlApi
from gateway.console.credential_pages import CredentialParts
from gateway.console.event_stream import EventStream
from gateway.console.health import Ready
from gateway.console.kept_content import KeptContent
from gateway.console.lane_states import LaneStates, no_lane_states
from gateway.console.minutes import Minutes
from gateway.console.pages import ConsoleParts, console_resource
from gateway.console.sandbox_pages import SandboxParts
from gateway.console.steering import Steering
from gateway.console.vendor_pages import VendorFacts
from gateway.events import Attempted, Event
from gateway.listener_settings import TlsMode
from gateway.parts import first_message_command, tls_contexts
from gateway.reports import Reports
from gateway.sandbox.inbox import Inbox
from gateway.sandbox.postmark import PostmarkSandbox
from gateway.sandbox.postscale import PostscaleSandbox
from gateway.sandbox.poststack import PostStackSandbox
from gateway.sandbox.relaypost import RelayPostSandbox
from gateway.sandbox.threads import beside
from gateway.settings import Listener, Settings
from gateway.store.interface import Store
from gateway.vendor import load, reserved_user_names

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
SANDBOXES: Mapping[str, Callable[[Inbox, Any], Any]] = {
    "postscale": PostscaleSandbox,
    "poststack": PostStackSandbox,
    "postmark": PostmarkSandbox,
    "relaypost": RelayPostSandbox,
}


@dataclass(frozen=True, slots=True)
class ConsoleNeeds:
    """What the console needs of the service.

    ready tells whether the gateway should get work, metrics gives the page for Prometheus; wake tells the queue that
    there may be something to attempt; server_tokens and failed_logins are for Postmark's bounce API; lanes gives what
    the queue's runner knows of them.
    """

    store: Store
    inbox: Inbox | None
    reactor: Any
    wall_seconds: Callable[[], float]
    ready: Ready
    metrics: Callable[[], Awaitable[bytes]]
    wake: Callable[[], None]
    server_tokens: ServerTokenChecker
    failed_logins: FailedLoginCount
    lanes: LaneStates = no_lane_states


def console_site(settings: Settings, needs: ConsoleNeeds) -> Site:
    """The console's web site; the sandboxes are below it when there is an inbox. OSError when tokens cannot be kept."""
    steering = Steering(needs.store, needs.wall_seconds, needs.wake)
    control = ControlApi(steering, EventStream(steering, needs.reactor), frozenset(settings.vendors))
    tokens = read_tokens(settings.state_dir)
    parts = ConsoleParts(
        steering=steering,
        minutes=Minutes(needs.store, needs.wall_seconds),
        content=KeptContent(steering, settings.state_dir / "spool", partial(beside, needs.reactor)),
        credentials=_credentials(settings, needs),
        vendors=_vendors(settings),
        control=control.resource(),
        bounces=BouncesApi(needs.store, needs.server_tokens, needs.failed_logins, needs.reactor).resource(),
        ready=needs.ready,
        metrics=needs.metrics,
        wall_seconds=needs.wall_seconds,
        allowed_hosts=LOOPBACK_HOSTS | {settings.hostname, *settings.console.hosts},
        sandbox=_sandbox(settings, needs),
        access=Access(tokens, needs.reactor.seconds, is_open=settings.console_is_open),
        is_https=settings.console.tls,
        is_local=settings.console.is_local,
        lanes=needs.lanes,
    )
    return QuietSite(console_resource(parts))  # type: ignore[no-untyped-call]  # Twisted's is untyped


def _sandbox(settings: Settings, needs: ConsoleNeeds) -> SandboxParts | None:
    if needs.inbox is None:
        return None
    stand_ins = {name: make(needs.inbox, needs.reactor) for name, make in SANDBOXES.items()}
    apis = {name: one.resource() for name, one in stand_ins.items()}
    magic = [one.magic for one in stand_ins.values()]
    return SandboxParts(needs.inbox, apis, magic, first_message_command(settings))


def _credentials(settings: Settings, needs: ConsoleNeeds) -> CredentialParts:
    return CredentialParts(
        needs.store,
        {name: load(one.api).dialect.user_names for name, one in settings.vendors.items()},
        reserved_user_names(),
        settings.state_dir,
        partial(beside, needs.reactor),
        needs.wall_seconds,
    )


def _vendors(settings: Settings) -> list[VendorFacts]:
    return [
        VendorFacts(name, one.api, one.url or load(one.api).default_url, one.key is not None)
        for name, one in settings.vendors.items()
    ]


def console_wire(settings: Settings, site: Site) -> IProtocolFactory:
    """The site as it listens: behind TLS where the settings say so."""
    contexts = tls_contexts(settings, console_listener(settings), "console")
    return TLSMemoryBIOFactory(contexts, False, site) if contexts else site


def console_listener(settings: Settings) -> Listener:
    """The console's port as a listener, as far as TLS goes."""
    console = settings.console
    tls: TlsMode = "implicit" if console.tls else "none"
    return Listener(console.endpoint, tls, certificate=console.certificate, private_key=console.private_key)


def make_inbox(settings: Settings, wall_seconds: Callable[[], float], reports: Reports) -> Inbox:
    """The sandbox's inbox, which learns what the gateway says of the messages in it."""
    inbox = Inbox(settings.state_dir / "sandbox", wall_seconds)

    def note(event: Event) -> None:
        if isinstance(event, Attempted) and event.vendor_message_id:
            inbox.note(event.vendor_message_id, event.message_id, event.report)

    reports.observe(note)
    return inbox


class QuietSite(Site):
    """A site that leaves the log to the mail; the console's visitors are the operator alone."""

    noisy = False

    def log(self, request: Request) -> None:
        """Write no access log."""
