"""By which vendor entry a message leaves, with which key, under which names: the settings' routes, put to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.accounts.account import Account
from gateway.content.addresses import folded, parse_mailboxes
from gateway.message import Content, SendOptions, Submission
from gateway.outcome import Cause, Deferred, Refused
from gateway.relay import Relay
from gateway.routing import Route, Sender, choose_route, choose_vendor
from gateway.vendor import Vendor, VendorAccount


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


@dataclass(frozen=True, slots=True)
class Departure:
    """How a message leaves: the entry, the account to call it with, the submission in that vendor's names."""

    entry: VendorEntry
    vendor_account: VendorAccount
    submission: Submission


class NoDepartureError(Exception):
    """The message cannot leave; outcome says why."""

    def __init__(self, outcome: Refused | Deferred) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Departures:
    """Chooses for each message; without any route that fits, a message leaves by its account's own vendor."""

    def __init__(self, vendors: Mapping[str, VendorEntry], routes: Sequence[Route]) -> None:
        self._vendors = vendors
        self._routes = routes
        self._can = {name: entry.vendor.can for name, entry in vendors.items()}

    def message_octets(self, account: Account) -> int:
        """The largest message that any vendor takes by which this account's mail may leave."""
        names = {account.vendor, *(name for route in self._routes for name in route.vendors)}
        return max(self._vendors[name].vendor.message_octets for name in names)

    def choose(self, account: Account, submission: Submission) -> Departure:
        """How this account's message leaves. NoDepartureError when no vendor of its route can carry it."""
        if account.own_address and not _is_only_from(account.own_address, submission.content):
            raise NoDepartureError(Refused(Cause.NOT_OWN_ADDRESS, account.own_address))
        if account.own_stream and submission.options.stream not in ("", account.own_stream):
            told = f"this login sends to the message stream '{account.own_stream}' only, and not to"
            raise NoDepartureError(Refused(Cause.FORBIDDEN, f"{told} '{submission.options.stream[:80]}'"))
        if account.stream and not submission.options.stream:
            submission = replace(submission, options=replace(submission.options, stream=account.stream))
        route = self._route(account, submission)
        name, forbidden = choose_vendor(route, self._can, submission)
        if forbidden:
            reason = f"{name} cannot carry {'; '.join(forbidden.values())}"
            raise NoDepartureError(Refused(Cause.INVALID, reason))
        entry = self._vendors[name]
        if submission.content.size_octets > entry.vendor.message_octets:
            reason = f"{name} takes messages up to {entry.vendor.message_octets} octets"
            raise NoDepartureError(Refused(Cause.TOO_LARGE, reason))
        options = entry.renamed(submission.options)
        if options is not submission.options:
            submission = replace(submission, options=options)
        return Departure(entry, _vendor_account(account, entry), submission)

    def _route(self, account: Account, submission: Submission) -> Route:
        sender = Sender(account.listener, account.user_name, account.dialect)
        route = choose_route(self._routes, sender, submission)
        # A route for all is for those who bring a key; a credential was made for its vendor
        if route is None or (account.user_name and route.is_for_all):
            return Route((account.vendor,), losses=route.losses if route else ())
        return route


def _is_only_from(own_address: str, content: Content) -> bool:
    """Whether From and Sender, which readers may show beside it (RFC 5322 §3.6.2), name nobody else."""
    senders = [one for body in content.bodies("sender") for one in parse_mailboxes(body)]
    return all(folded(one.address) == folded(own_address) for one in (*content.author, *senders))


def _vendor_account(account: Account, entry: VendorEntry) -> VendorAccount:
    if account.own_key is not None and account.vendor == entry.name:
        return VendorAccount(entry.url, account.own_key, own_key=True)
    if entry.key is None:
        reason = f"vendors.{entry.name} has no key in the settings"
        raise NoDepartureError(Deferred(Cause.OPERATOR_KEY_REFUSED, reason))
    return VendorAccount(entry.url, entry.key, own_key=False)
