"""The wiring: settings -> service tree. The only file that knows every part, and what twistd calls."""

from __future__ import annotations

import contextlib
import gc
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from gateway.accounts.credentials import StoredCredentials
from gateway.accounts.proofs import StoredProofs
from gateway.accounts.remembered import RememberedAnswers
from gateway.accounts.seal import Seal
from gateway.accounts.throttle import FailedLoginCount
from gateway.console_parts import ConsoleNeeds, console_site, console_wire
from gateway.delivery import Intake, OctetsInFlight, SubmissionDelivery
from gateway.departures import Departures
from gateway.dispatch import Clocks, Dispatch
from gateway.event_log import EventLog
from gateway.events import Attempted, Event, Listening
from gateway.ids import new_id
from gateway.parts import (
    first_message_command,
    proxy_networks,
    server_endpoint,
    session_rules,
    tcp_port,
    tls_contexts,
    vendor_entry,
)
from gateway.portals import Portals
from gateway.sandbox.inbox import Inbox
from gateway.settings import Listener, Settings, SettingsError, embedded, read_settings
from gateway.smtp.listener import SessionCount, Shared, SubmissionFactory
from gateway.smtp.proxy_listener import ProxyFactory
from gateway.store.interface import StoreError
from gateway.store.sqlite import SqliteStore
from gateway.vendor import load

LOG = Logger(namespace="mailgateway")
DESCRIPTORS_PER_SESSION = 3  # the client's socket, the vendor's, a spool file
OTHER_DESCRIPTORS = 150  # the ports, the store, kept vendor connections, what Python has open
THREADS = 4  # reading large messages and checking hashes: twice the processors of a small machine


class GatewayService(Service):
    """A whole gateway. startService listens on all ports or raises SystemExit; stopService drains."""

    def __init__(self, settings: Settings, reactor: Any, wall_seconds: Callable[[], float]) -> None:
        self._settings = settings
        self._reactor = reactor
        self._wall_seconds = wall_seconds
        self._threads = ThreadPool(0, THREADS, "mailgateway")
        self._events = EventLog()
        self._ports: list[IListeningPort] = []
        self._factories: list[SubmissionFactory] = []
        self._inbox: Inbox | None = None

    # -- what Twisted calls

    def startService(self) -> None:
        """Make the parts and listen."""
        self._reactor.callWhenRunning(signal.signal, signal.SIGTERM, self._terminate)
        self._reactor.callWhenRunning(signal.signal, signal.SIGHUP, self._keep_settings)
        _raise_descriptor_limit(DESCRIPTORS_PER_SESSION * self._settings.limits.sessions + OTHER_DESCRIPTORS)
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        try:
            self._start()
        except (SettingsError, StoreError, OSError) as error:
            raise SystemExit(f"mailgateway: {error}") from None

    def stopService(self) -> Deferred[None]:
        """421 to whoever has nothing in hand; what is in hand is finished, within the deadline."""
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        return Deferred.fromCoroutine(self._stop())

    # -- starting

    def _start(self) -> None:
        settings = self._settings
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool_folder = settings.state_dir / "spool"
        spool_folder.mkdir(mode=0o700, exist_ok=True)
        self._store = store = SqliteStore(settings.store_path, self._reactor)
        store.open()
        self._threads.start()
        if settings.sandbox.enabled:
            self._inbox = Inbox(settings.state_dir / "sandbox", self._wall_seconds)
        self._vendors = {
            name: vendor_entry(name, one, self._reactor, self._in_thread) for name, one in settings.vendors.items()
        }
        self._keys = RememberedAnswers(self._reactor.seconds)
        self._portals = Portals(
            settings,
            self._vendors,
            StoredCredentials(store, RememberedAnswers(self._reactor.seconds), self._in_thread),
            StoredProofs(store, Seal(settings.state_dir)),
            self._keys,
            self._reactor,
            self._report,
            lambda account: SubmissionDelivery(account, self._intake),
        )
        departures = Departures(self._vendors, settings.routes)
        self._intake = Intake(
            self._dispatch(departures),
            spool_folder,
            settings.limits.spool_memory_octets,
            OctetsInFlight(settings.limits.octets_in_flight),
            departures.message_octets,
            self._new_id,
        )
        self._listen()
        # What is there now stays: the collector need not look at it, nor run at every few hundred sessions' objects
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)

    def _dispatch(self, departures: Departures) -> Dispatch:
        dialects = {listener.dialect: load(listener.dialect) for listener in self._settings.listeners}
        return Dispatch(
            departures,
            dialects,
            self._report,
            Clocks(self._reactor.seconds, self._wall_seconds),
            self._settings.hostname,
            self._in_thread,
            self._keys.forget,
        )

    def _listen(self) -> None:
        limits = self._settings.limits
        failed_logins = FailedLoginCount(
            limits.failed_logins_per_address,
            limits.failed_login_window_seconds,
            limits.failed_login_delay_seconds,
            self._reactor.seconds,
        )
        shared = Shared(self._reactor, self._report, failed_logins, SessionCount(limits), self._new_id)
        console = self._settings.console.endpoint
        needs = ConsoleNeeds(self._store, self._inbox, self._reactor, self._wall_seconds, self._not_ready, lambda: None)
        site = console_wire(self._settings, console_site(self._settings, needs))
        self._open_port(server_endpoint(self._reactor, console, "console.endpoint"), site, console)
        for number, listener in enumerate(self._settings.listeners):
            self._open_listener(listener, f"listeners[{number}]", shared)
        if self._inbox is not None:
            url = f"http://127.0.0.1:{tcp_port(console)}/"
            command = first_message_command(self._settings)
            LOG.info(
                "ready\n\n  Send a first message:\n    {command}\n  and see what became of it:\n    {url}\n",
                command=command,
                url=url,
            )

    def _open_listener(self, listener: Listener, path: str, shared: Shared) -> None:
        contexts = tls_contexts(self._settings, listener, path)
        rules = session_rules(self._settings, listener)
        implicit = listener.tls == "implicit"
        factory = SubmissionFactory(rules, self._portals.portal(listener), contexts, shared, implicit_tls=implicit)
        endpoint = server_endpoint(self._reactor, listener.endpoint, f"{path}.endpoint")
        wire: IProtocolFactory = TLSMemoryBIOFactory(contexts, False, factory) if contexts and implicit else factory
        if listener.proxy_protocol:
            wire = ProxyFactory(wire, proxy_networks(listener), self._reactor, self._report)
        self._open_port(endpoint, wire, listener.endpoint)
        self._factories.append(factory)
        self._report(Listening(listener.endpoint, listener.tls, listener.dialect))

    def _open_port(self, endpoint: Any, factory: Any, text: str) -> None:
        """Listen at once: a port that cannot be had must stop the start, not be missing later."""
        failures: list[Failure] = []
        endpoint.listen(factory).addCallbacks(self._ports.append, failures.append)
        for failure in failures:
            raise OSError(f"cannot listen on {text}: {failure.getErrorMessage()}")

    # -- running

    def _report(self, event: Event) -> None:
        self._events(event)
        if self._inbox is not None and isinstance(event, Attempted) and event.vendor_message_id:
            self._inbox.note(event.vendor_message_id, event.message_id, event.report)

    def _in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._threads, call)

    def _new_id(self) -> str:
        return new_id(self._wall_seconds)

    def _not_ready(self) -> list[str]:
        missing = 1 + len(self._settings.listeners) - len(self._ports)
        if not self.running:
            return ["shutting down"]
        return [f"{missing} of the ports are not open"] if missing else []

    # -- stopping

    def _terminate(self, *_: object) -> None:
        """SIGTERM ends in exit status 0, which twistd's own way does not; a second one does not wait."""
        self._reactor.callFromThread(self._reactor.stop if self.running else self._abort)

    def _keep_settings(self, *_: object) -> None:
        """SIGHUP asks other services to read their settings again; by itself it would end the process."""
        told = "SIGHUP: the settings are read at the start only; restart to use others"
        self._reactor.callFromThread(LOG.info, told)

    async def _stop(self) -> None:
        drained = DeferredList([factory.drain() for factory in self._factories])
        deadline = self._reactor.callLater(self._settings.limits.drain_seconds, self._abort)
        await drained
        if deadline.active():
            deadline.cancel()
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        for entry in self._vendors.values():
            await entry.relay.close()
        await self._in_thread(self._store.close)
        self._threads.stop()

    def _abort(self) -> None:
        for factory in self._factories:
            factory.abort()


def _raise_descriptor_limit(needed: int) -> None:
    """Systems give 1,024 at first, for programs that use select(), and let a process raise that as far as it may.

    The reactor here is epoll's; 1,024 would be used up by 340 sessions.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems have a lower limit of their own
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        told = "only {allowed} open files are allowed, and limits.sessions may need {needed}"
        LOG.warn(told, allowed=allowed, needed=needed)


class Options(UsageOptions):
    """What comes after "twistd mailgateway"."""

    optParameters = [
        ["config", "c", None, "The settings file; without one, everything runs on loopback with the sandbox."],
    ]
    settings: Settings

    def postOptions(self) -> None:
        """Read the settings now, so that twistd shows what is wrong with them and stops."""
        path = self["config"]
        try:
            self.settings = read_settings(Path(path)) if path else embedded()
        except SettingsError as error:
            raise UsageError(f"the settings cannot be used:\n{error}") from None


def makeService(options: Options) -> Service:
    """The service that twistd runs."""
    import time  # noqa: PLC0415 - the wall clock and the reactor come in here, and nowhere else

    from twisted.internet import reactor  # noqa: PLC0415 - twistd has chosen it by now

    return GatewayService(options.settings, reactor, time.time)
