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
from gateway.certificate_watch import CertificateWatch, Watched
from gateway.console.access import Access, read_tokens
from gateway.console.bounces_api import BouncesApi
from gateway.console.control_api import ControlApi
from gateway.console.credential_office import CredentialOffice, CredentialParts
from gateway.console.event_stream import EventStream
from gateway.console.health import Ready
from gateway.console.kept_content import KeptContent
from gateway.console.lane_states import LaneStates, no_lane_states
from gateway.console.minutes import Minutes
from gateway.console.pages import ConsoleParts, console_resource
from gateway.console.sandbox_pages import SandboxParts
from gateway.console.steering import Steering
from gateway.console.vendor_pages import VendorFacts
from gateway.events import Attempted, Event, Reporter
from gateway.listener_settings import TlsMode
from gateway.parts import first_message_command, store_seal, watched_contexts
from gateway.reports import Reports
from gateway.sandbox.inbox import Inbox
from gateway.sandbox.postmark import PostmarkSandbox
from gateway.sandbox.postscale import PostscaleSandbox
from gateway.sandbox.poststack import PostStackSandbox
from gateway.sandbox.relaypost import RelayPostSandbox
from gateway.sandbox.threads import beside
from gateway.settings import Listener, Settings
from gateway.storage import Storage
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
    there may be something to attempt; failed_logins is for Postmark's bounce API; lanes gives what the queue's runner
    knows of them.
    """

    storage: Storage
    inbox: Inbox | None
    reactor: Any
    wall_seconds: Callable[[], float]
    ready: Ready
    metrics: Callable[[], Awaitable[bytes]]
    wake: Callable[[], None]
    failed_logins: FailedLoginCount
    report: Reporter
    lanes: LaneStates = no_lane_states


@dataclass(frozen=True, slots=True)
class ConsoleFront:
    """The console by one reading of the settings: what meets the wire, and its certificates; None without TLS."""

    wire: IProtocolFactory
    certificates: Watched | None


class Console:
    """The console through all readings of the settings: logins and what the sandboxes remember outlast them.

    OSError when the tokens cannot be kept.
    """

    def __init__(self, settings: Settings, needs: ConsoleNeeds) -> None:
        self._needs = needs
        self._certificates = CertificateWatch(needs.reactor, needs.report)
        self._access = Access(read_tokens(settings.state_dir), needs.reactor.seconds, is_open=settings.console_is_open)
        inbox = needs.inbox
        stand_ins = {name: make(inbox, needs.reactor) for name, make in SANDBOXES.items()} if inbox is not None else {}
        self._apis = {name: one.resource() for name, one in stand_ins.items()}
        self._magic = [one.magic for one in stand_ins.values()]

    def front(self, settings: Settings, server_tokens: ServerTokenChecker) -> ConsoleFront:
        """The site by these settings, as it listens: behind TLS where they say so.

        server_tokens says who an application is that asks Postmark's bounce API. SettingsError.
        """
        watched = watched_contexts(settings, console_listener(settings), "console")
        site = QuietSite(console_resource(self._parts(settings, server_tokens)))  # type: ignore[no-untyped-call]  # Twisted's is untyped
        return ConsoleFront(TLSMemoryBIOFactory(watched.contexts, False, site) if watched else site, watched)

    def take_effect(self, settings: Settings, front: ConsoleFront) -> None:
        """A gateway that sends real mail from now on asks for a login, also on connections there are. The files of the
        certificate are looked at from now on."""
        self._access.is_open = settings.console_is_open
        self._certificates.watch([front.certificates] if front.certificates is not None else [])

    def stop(self) -> None:
        """Look at no file any more."""
        self._certificates.stop()

    def _parts(self, settings: Settings, server_tokens: ServerTokenChecker) -> ConsoleParts:
        needs = self._needs
        storage = needs.storage
        steering = Steering(storage.store, needs.wall_seconds, needs.wake, storage.add_events)
        credentials = _credentials(settings, needs)
        office, events = CredentialOffice(credentials), EventStream(steering, needs.reactor)
        control = ControlApi(steering, events, office, frozenset(settings.vendors))
        return ConsoleParts(
            steering=steering,
            minutes=Minutes(storage.store, needs.wall_seconds),
            content=KeptContent(steering, settings.state_dir / "spool", partial(beside, needs.reactor)),
            credentials=credentials,
            vendors=_vendors(settings),
            control=control.resource(),
            bounces=BouncesApi(storage.store, server_tokens, needs.failed_logins, needs.reactor).resource(),
            ready=needs.ready,
            metrics=needs.metrics,
            wall_seconds=needs.wall_seconds,
            allowed_hosts=LOOPBACK_HOSTS | {settings.hostname, *settings.console.hosts},
            sandbox=self._sandbox(settings),
            access=self._access,
            is_https=settings.console.tls,
            is_local=settings.console.is_local,
            lanes=needs.lanes,
        )

    def _sandbox(self, settings: Settings) -> SandboxParts | None:
        inbox = self._needs.inbox
        if inbox is None:
            return None
        return SandboxParts(inbox, self._apis, self._magic, first_message_command(settings))


def _credentials(settings: Settings, needs: ConsoleNeeds) -> CredentialParts:
    return CredentialParts(
        needs.storage.store,
        {name: load(one.api).dialect.user_names for name, one in settings.vendors.items()},
        reserved_user_names(),
        partial(store_seal, settings),
        partial(beside, needs.reactor),
        needs.wall_seconds,
    )


def _vendors(settings: Settings) -> list[VendorFacts]:
    return [
        VendorFacts(name, one.api, one.url or load(one.api).default_url, one.key is not None)
        for name, one in settings.vendors.items()
    ]


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
