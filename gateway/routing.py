"""Which vendors a message may leave through: the first route that fits, and of its vendors the first that can say it.

Pure functions over the settings' routes and what is known of a message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.content.addresses import folded
from gateway.features import HINTS, Feature, lost
from gateway.message import Submission


@dataclass(frozen=True, slots=True)
class Route:
    """Which vendors take which mail. A condition that is empty fits everything; the first route that fits is taken.

    listener is a listener's endpoint or name; account the user name of a credential; from_domain the domain of the
    From field; recipient_domain fits when all forward-paths are of that domain. vendors are entries of [vendors], tried
    in order until one can express the message. losses names the features that a message may go without. mode direct:
    the reply to the client is the vendor's own.
    """

    vendors: tuple[str, ...]
    listener: str = ""
    account: str = ""
    dialect: str = ""
    stream: str = ""
    tag: str = ""
    from_domain: str = ""
    recipient_domain: str = ""
    losses: tuple[str, ...] = ()
    mode: Literal["direct"] = "direct"

    @property
    def is_for_all(self) -> bool:
        """Whether it has no condition."""
        conditions = (self.listener, self.account, self.dialect, self.stream, self.tag)
        return not any((*conditions, self.from_domain, self.recipient_domain))

    def problems(self) -> Iterator[tuple[str, str]]:
        """At least one vendor, and losses by their names."""
        if not self.vendors:
            yield "vendors", "expected a list of at least one vendor"
        known = [feature.value for feature in Feature]
        for number, name in enumerate(self.losses):
            if name not in known:
                yield f"losses[{number}]", f'expected one of {", ".join(known)}, got "{name}"'


@dataclass(frozen=True, slots=True)
class Sender:
    """Who submits, as far as routes can tell."""

    listener: str
    account: str
    dialect: str


def choose_route(routes: Sequence[Route], sender: Sender, submission: Submission) -> Route | None:
    """The first route that fits, or None."""
    return next((route for route in routes if fits(route, sender, submission)), None)


def fits(route: Route, sender: Sender, submission: Submission) -> bool:
    """Whether all of a route's conditions hold. Domains and user names compare without case."""
    options = submission.options
    authors = submission.content.author
    domains = {_domain(path) for path in submission.envelope.forward_paths}
    return all(
        (
            route.listener in ("", sender.listener),
            folded(route.account) in ("", folded(sender.account)),
            route.dialect in ("", sender.dialect),
            route.stream in ("", options.stream),
            not route.tag or route.tag in options.tags,
            not route.from_domain or (bool(authors) and _domain(authors[0].address) == folded(route.from_domain)),
            not route.recipient_domain or domains == {folded(route.recipient_domain)},
        )
    )


def choose_vendor(
    route: Route, can: Mapping[str, Collection[Feature]], submission: Submission
) -> tuple[str, Mapping[Feature, str]]:
    """The first vendor of the route that can express the message: its name, and nothing.

    can tells what each vendor can do. When none can express it, the first is given, with what it may not lose.
    """
    first: tuple[str, Mapping[Feature, str]] | None = None
    for name in route.vendors:
        losses = lost(submission, can[name])
        forbidden = {one: words for one, words in losses.items() if one not in HINTS and one not in route.losses}
        if not forbidden:
            return name, {}
        first = first or (name, forbidden)
    if first is None:
        raise ValueError("a route without vendors")
    return first


def _domain(address: str) -> str:
    return folded(address.rpartition("@")[2])
