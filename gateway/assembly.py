"""Everything that one reading of the settings asks for: vendors, routes, logins, and a factory for each listener.

Making one opens no port and changes nothing, so settings that cannot be used are found before any is in use. When
settings are read again the sessions of the assembly before go on with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IProtocolFactory

from gateway.accounts.server_tokens import ServerTokenChecker
from gateway.certificate_watch import Watched
from gateway.delivery import Intake, SubmissionDelivery
from gateway.departures import Departures
from gateway.dispatch import Dispatch
from gateway.events import Listening
from gateway.incoming import Reader
from gateway.lasting import Lasting, make_spool_folder
from gateway.parts import proxy_networks, vendor_entry, watched_contexts
from gateway.portals import Portals
from gateway.ports import keys
from gateway.settings import Listener, Settings
from gateway.smtp.listener import Shared, SubmissionFactory
from gateway.smtp.proxy_listener import ProxyFactory
from gateway.smtp.tls_first import TlsFirstFactory
from gateway.smtp.tls_transport import TlsFactory
from gateway.storage import Storage
from gateway.vendor import load


@dataclass(frozen=True, slots=True)
class Front:
    """A listener's factories: the one of its sessions, and the one that meets the wire first (TLS, PROXY header).

    certificates: None without TLS.
    """

    listener: Listener
    sessions: SubmissionFactory
    wire: IProtocolFactory
    certificates: Watched | None


class Assembly:
    """The parts. SettingsError when one cannot be made; OSError when the state folder cannot be written to."""

    def __init__(self, settings: Settings, lasting: Lasting) -> None:
        self.settings = settings
        self._lasting = lasting
        surroundings = lasting.surroundings
        self._vendors = {
            name: vendor_entry(name, one, surroundings.reactor, surroundings.in_thread)
            for name, one in settings.vendors.items()
        }
        self._portals = Portals(
            settings,
            self._vendors,
            lasting.credentials,
            lasting.proofs,
            lasting.last_use,
            lasting.counts.keys,
            surroundings.reactor,
            surroundings.report,
            lambda account: SubmissionDelivery(account, self._intake),
        )
        named = zip(keys(one.endpoint for one in settings.listeners), settings.listeners, strict=True)
        self.fronts = {key: self._front(one, f"listeners[{number}]") for number, (key, one) in enumerate(named)}
        departures = Departures(self._vendors, settings.routes)
        self._plan = lasting.storage.plan(settings, departures, self._reader())
        self._intake = self._make_intake(departures, self._plan.dispatch)

    @property
    def storage(self) -> Storage:
        """The store, and what works on it: the process's."""
        return self._lasting.storage

    def server_tokens(self) -> ServerTokenChecker:
        """Who an application is that asks Postmark's bounce API."""
        return self._portals.server_tokens()

    # -- what its sessions do

    def take_effect(self) -> None:
        """Mail that waits leaves by these settings from now on."""
        self.storage.use(self._plan)

    def drain(self) -> Deferred[Any]:
        """421 to new sessions and to those with nothing in hand; fires when the last session has ended."""
        return DeferredList([front.sessions.drain() for front in self.fronts.values()])

    def abort(self) -> None:
        """Cut off what is left."""
        for front in self.fronts.values():
            front.sessions.abort()

    def ended(self) -> Deferred[Any]:
        """Fires when the last session has ended by itself; for an assembly that gets no new ones."""
        return DeferredList([front.sessions.ended() for front in self.fronts.values()])

    async def close(self) -> None:
        """Close the connections to vendors."""
        for entry in self._vendors.values():
            await entry.relay.close()

    # -- making it

    def _make_intake(self, departures: Departures, dispatch: Dispatch) -> Intake:
        settings, lasting = self.settings, self._lasting
        return Intake(
            dispatch,
            make_spool_folder(settings),
            settings.limits.spool_memory_octets,
            lasting.counts.in_flight,
            departures.message_octets,
            lasting.surroundings.new_id,
        )

    def _reader(self) -> Reader:
        dialects = {one: load(one) for listener in self.settings.listeners for one in listener.spoken}
        return Reader(dialects, self.settings.hostname, self._lasting.surroundings.in_thread)

    def _front(self, listener: Listener, path: str) -> Front:
        surroundings, counts = self._lasting.surroundings, self._lasting.counts
        report, reactor = surroundings.report, surroundings.reactor
        shared = Shared(reactor, report, counts.failed_logins, counts.sessions, surroundings.new_id)
        watched = watched_contexts(self.settings, listener, path)
        contexts = watched.contexts if watched is not None else None
        implicit = listener.tls == "implicit"
        factory = SubmissionFactory(self._portals.receptions(listener), contexts, shared, implicit_tls=implicit)
        wire: IProtocolFactory = factory
        if contexts and implicit:
            wire = TlsFirstFactory(TlsFactory(contexts, factory), factory)
        if listener.proxy_protocol:
            wire = ProxyFactory(wire, proxy_networks(listener), reactor, report)
        return Front(listener, factory, wire, watched)


def listening(front: Front) -> Listening:
    """What is reported of a listener that is served."""
    return Listening(front.listener.endpoint, front.listener.tls, ", ".join(front.listener.spoken))
