"""By which vendor entry a message leaves, with which key, under which names: the settings' routes, put to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.accounts.account import Account, fingerprint
from gateway.content.addresses import folded, parse_mailboxes
from gateway.features import Feature
from gateway.message import Content, SendOptions, Submission
from gateway.outcome import Cause, Deferred, Refused
from gateway.quickly import quickly_made
from gateway.relay import Relay
from gateway.routing import Route, Sender, choose_route, what_stops
from gateway.vendor import Vendor, VendorAccount, batch_submissions


@dataclass(frozen=True, slots=True)
class VendorEntry:
    """One entry of the [vendors] table, ready for use. key is the operator's, None when there is none.

    streams and templates say what another vendor's are called here.
    """

    name: str
    vendor: Vendor
    url: str
    key: str | None = field(repr=False)
    relay: Relay
    streams: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, options: SendOptions) -> SendOptions:
        """The options with this vendor's names for streams and templates."""
        if options.stream not in self.streams and options.template not in self.templates:
            return options
        stream = self.streams.get(options.stream, options.stream)
        return replace(options, stream=stream, template=self.templates.get(options.template, options.template))


@quickly_made
@dataclass(frozen=True, slots=True)
class Departure:
    """How a message leaves: the entry, the account to call it with, the submission in that vendor's names."""

    entry: VendorEntry
    vendor_account: VendorAccount
    submission: Submission

    @property
    def lane(self) -> str:
        """What this departure shares its limits with: the entry, and the key by its fingerprint."""
        return f"{self.entry.name}/{fingerprint(self.vendor_account.key)}"


@quickly_made
@dataclass(frozen=True, slots=True)
class Plan:
    """The departures of a message in the order in which they are tried, at least one, by its route.

    report names the vendors of the route that were passed over, and why.
    """

    route: Route
    departures: tuple[Departure, ...]
    report: tuple[str, ...] = ()


class NoDepartureError(Exception):
    """The message cannot leave; outcome says why."""

    def __init__(self, outcome: Refused | Deferred, route: Route) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.route = route


class Departures:
    """Chooses for each message; without any route that fits, a message leaves by its account's own vendor."""

    def __init__(self, vendors: Mapping[str, VendorEntry], routes: Sequence[Route]) -> None:
        self._vendors = vendors
        self._routes = routes
        self._can = {name: entry.vendor.can for name, entry in vendors.items()}
        self._own_routes = {name: Route((name,)) for name in vendors}
        routed = max((vendors[name].vendor.message_octets for route in routes for name in route.vendors), default=0)
        self._message_octets = {name: max(routed, entry.vendor.message_octets) for name, entry in vendors.items()}

    def message_octets(self, account: Account) -> int:
        """The largest message that any vendor takes by which this account's mail may leave."""
        return self._message_octets[account.vendor]

    @property
    def shared(self) -> frozenset[str]:
        """The vendor entries that take several messages in one request."""
        return frozenset(name for name, entry in self._vendors.items() if batch_submissions(entry.vendor) > 1)

    def has_others(self, lane: str) -> bool:
        """Whether mail of a lane may have another vendor to leave by."""
        name = lane.partition("/")[0]
        return any(len(route.vendors) > 1 and name in route.vendors for route in self._routes)

    def plan(self, account: Account, submission: Submission, moved_to: Sequence[str] = ()) -> Plan:
        """How this account's message leaves; by the vendors that somebody moved it to in place of its route's.

        NoDepartureError when no vendor can carry it, or none has a key.
        """
        asked = submission.options.stream
        if account.stream and not asked:
            submission = replace(submission, options=replace(submission.options, stream=account.stream))
        route = self._route(account, submission)
        if account.own_stream and asked not in ("", account.own_stream):
            told = f"this login sends to the message stream '{account.own_stream}' only, and not to '{asked[:80]}'"
            raise NoDepartureError(Refused(Cause.FORBIDDEN, told), route)
        if moved_to:
            route = replace(route, vendors=tuple(moved_to))
        if account.own_address and not _is_only_from(account.own_address, submission.content):
            raise NoDepartureError(Refused(Cause.NOT_OWN_ADDRESS, account.own_address), route)
        return self._plan(account, submission, route)

    def _plan(self, account: Account, submission: Submission, route: Route) -> Plan:
        departures: list[Departure] = []
        faults: list[tuple[str, Refused | Deferred]] = []
        known = tuple(name for name in route.vendors if name in self._vendors)
        there = route if known == route.vendors else replace(route, vendors=known)
        forbidden = what_stops(there, self._can, submission)
        for name in route.vendors:
            fault = self._fault(name, account, submission, forbidden.get(name, {}))
            if fault is None:
                departures.append(self._departure(self._vendors[name], account, submission))
            else:
                faults.append((name, fault))
        if not departures:
            # What only the operator can put right does not make a message unfit
            waits = (fault for _, fault in faults if isinstance(fault, Deferred))
            raise NoDepartureError(next(waits, faults[0][1]), route)
        return Plan(route, tuple(departures), tuple(f"passed over: {fault.reason}" for _, fault in faults))

    def _fault(
        self, name: str, account: Account, submission: Submission, forbidden: Mapping[Feature, str]
    ) -> Refused | Deferred | None:
        """Why a message cannot leave by this entry, or None."""
        entry = self._vendors.get(name)
        if entry is None:
            return Deferred(Cause.UNAVAILABLE, f"there is no vendors.{name} in the settings any more")
        if forbidden:
            return Refused(Cause.INVALID, f"{name} cannot carry {'; '.join(forbidden.values())}")
        if submission.content.size_octets > entry.vendor.message_octets:
            return Refused(Cause.TOO_LARGE, f"{name} takes messages up to {entry.vendor.message_octets} octets")
        if entry.key is None and not _brings_key(account, entry):
            return Deferred(Cause.OPERATOR_KEY_REFUSED, f"vendors.{name} has no key in the settings")
        return None

    def _departure(self, entry: VendorEntry, account: Account, submission: Submission) -> Departure:
        key = account.own_key if _brings_key(account, entry) else entry.key
        own_key = _brings_key(account, entry)
        options = entry.renamed(submission.options)
        if options is not submission.options:
            submission = replace(submission, options=options)
        return Departure(entry, VendorAccount(entry.url, key or "", own_key=own_key), submission)

    def _route(self, account: Account, submission: Submission) -> Route:
        sender = Sender(account.listener, account.user_name, account.dialect)
        route = choose_route(self._routes, sender, submission) if self._routes else None
        if route is None:
            return self._own_routes.get(account.vendor) or Route((account.vendor,))
        # A route for all is for those who bring a key; a credential was made for its vendor
        if not route.vendors or (account.user_name and route.is_for_all):
            return replace(route, vendors=(account.vendor,))
        return route


def _is_only_from(own_address: str, content: Content) -> bool:
    """Whether From and Sender, which readers may show beside it (RFC 5322 §3.6.2), name nobody else."""
    senders = [one for body in content.bodies("sender") for one in parse_mailboxes(body)]
    return all(folded(one.address) == folded(own_address) for one in (*content.author, *senders))


def _brings_key(account: Account, entry: VendorEntry) -> bool:
    """Whether the client's own key is one for this entry."""
    return account.own_key is not None and account.vendor == entry.name
