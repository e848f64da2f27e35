"""Everything that one reading of the settings asks for: vendors, routes, logins, and a factory for each listener.

Making one opens no port and changes nothing, so settings that cannot be used are found before any is in use. When
settings are read again the sessions of the assembly before go on with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from gateway.certificate_watch import Watched
from gateway.delivery import Intake, SubmissionDelivery
from gateway.departures import Departures
from gateway.dispatch import Clocks, Dispatch
from gateway.events import Listening
from gateway.lasting import Lasting
from gateway.parts import proxy_networks, session_rules, vendor_entry, watched_contexts
from gateway.portals import Portals
from gateway.ports import keys
from gateway.settings import Listener, Settings
from gateway.smtp.listener import Shared, SubmissionFactory
from gateway.smtp.proxy_listener import ProxyFactory
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
        self._intake = self._make_intake()
        self._portals = Portals(
            settings,
            self._vendors,
            lasting.credentials,
            lasting.proofs,
            lasting.counts.keys,
            surroundings.reactor,
            surroundings.report,
            lambda account: SubmissionDelivery(account, self._intake),
        )
        named = zip(keys(one.endpoint for one in settings.listeners), settings.listeners, strict=True)
        self.fronts = {key: self._front(one, f"listeners[{number}]") for number, (key, one) in enumerate(named)}

    # -- what its sessions do

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

    def _make_intake(self) -> Intake:
        settings, lasting = self.settings, self._lasting
        spool_folder = settings.state_dir / "spool"
        spool_folder.mkdir(mode=0o700, exist_ok=True)
        departures = Departures(self._vendors, settings.routes)
        return Intake(
            self._dispatch(departures),
            spool_folder,
            settings.limits.spool_memory_octets,
            lasting.counts.in_flight,
            departures.message_octets,
            lasting.surroundings.new_id,
        )

    def _dispatch(self, departures: Departures) -> Dispatch:
        surroundings = self._lasting.surroundings
        return Dispatch(
            departures,
            {listener.dialect: load(listener.dialect) for listener in self.settings.listeners},
            surroundings.report,
            Clocks(surroundings.reactor.seconds, surroundings.wall_seconds),
            self.settings.hostname,
            surroundings.in_thread,
            self._lasting.counts.keys.forget,
            self._lasting.taken,
        )

    def _front(self, listener: Listener, path: str) -> Front:
        surroundings, counts = self._lasting.surroundings, self._lasting.counts
        report, reactor = surroundings.report, surroundings.reactor
        shared = Shared(reactor, report, counts.failed_logins, counts.sessions, surroundings.new_id)
        watched = watched_contexts(self.settings, listener, path)
        contexts = watched.contexts if watched is not None else None
        rules = session_rules(self.settings, listener)
        implicit = listener.tls == "implicit"
        factory = SubmissionFactory(rules, self._portals.portal(listener), contexts, shared, implicit_tls=implicit)
        wire: IProtocolFactory = TLSMemoryBIOFactory(contexts, False, factory) if contexts and implicit else factory
        if listener.proxy_protocol:
            wire = ProxyFactory(wire, proxy_networks(listener), reactor, report)
        return Front(listener, factory, wire, watched)


def listening(front: Front) -> Listening:
    """What is reported of a listener that is served."""
    return Listening(front.listener.endpoint, front.listener.tls, front.listener.dialect)
