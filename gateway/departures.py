"""By which vendor entry a message leaves, with which key, under which names: the settings' routes, put to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.accounts.account import Account, fingerprint
from gateway.content.addresses import folded, parse_mailboxes
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
        self._own_routes = {name: Route((name,)) for name in vendors}
        octets = {name: entry.vendor.message_octets for name, entry in vendors.items()}
        routed = max((octets[name] for route in routes for name in route.vendors if name in octets), default=0)
        self._message_octets = {name: max(own, routed) for name, own in octets.items()}

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
        faults: list[Refused | Deferred] = []
        for name in route.vendors:
            one = self._departure(name, account, submission, route)
            if isinstance(one, Departure):
                departures.append(one)
            else:
                faults.append(one)
        if not departures:
            # What only the operator can put right does not make a message unfit
            waits = (fault for fault in faults if isinstance(fault, Deferred))
            raise NoDepartureError(next(waits, faults[0]), route)
        return Plan(route, tuple(departures), tuple([f"passed over: {fault.reason}" for fault in faults]))

    def _departure(
        self, name: str, account: Account, submission: Submission, route: Route
    ) -> Departure | Refused | Deferred:
        """How a message leaves by this entry, or why it cannot."""
        entry = self._vendors.get(name)
        if entry is None:
            return Deferred(Cause.UNAVAILABLE, f"there is no vendors.{name} in the settings any more")
        if forbidden := what_stops(route, entry.vendor.can, submission):
            return Refused(Cause.INVALID, f"{name} cannot carry {'; '.join(forbidden.values())}")
        if submission.content.size_octets > entry.vendor.message_octets:
            return Refused(Cause.TOO_LARGE, f"{name} takes messages up to {entry.vendor.message_octets} octets")
        own_key = account.own_key if account.vendor == entry.name else None
        if own_key is None and entry.key is None:
            return Deferred(Cause.OPERATOR_KEY_REFUSED, f"vendors.{name} has no key in the settings")
        options = entry.renamed(submission.options)
        if options is not submission.options:
            submission = replace(submission, options=options)
        key = entry.key if own_key is None else own_key
        return Departure(entry, VendorAccount(entry.url, key or "", own_key=own_key is not None), submission)

    def _route(self, account: Account, submission: Submission) -> Route:
        route = None
        if self._routes:
            sender = Sender(account.listener, account.user_name, account.dialect)
            route = choose_route(self._routes, sender, submission)
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
