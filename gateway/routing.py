"""Which vendors a message may leave through: the first route that fits, and of its vendors those that can say it.

Pure functions over the settings' routes and what is known of a message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.content.addresses import folded
from gateway.features import HINTS, Feature, lost
from gateway.message import Submission
from gateway.quickly import quickly_made

NOTICES = ("dsn", "bounce")
"""What a route may tell of mail that fails after acceptance; webhooks hear of all events by themselves."""


@dataclass(frozen=True, slots=True)
class Route:
    """Which vendors take which mail. A condition that is empty fits everything; the first route that fits is taken.

    listener is a listener's endpoint or name; account the user name of a credential; from_domain the domain of the
    From field; recipient_domain fits when all forward-paths are of that domain. vendors are entries of [vendors], in
    the order in which they are tried; empty: the account's own vendor. losses names the features that a message may go
    without.

    mode direct: the reply to the client is the vendor's own; queued: the message is stored first; spill: direct for a
    while, then stored; empty: the dialect's own way. notices tell the sender of what fails after acceptance; None: the
    dialect's own. on_unknown: what becomes of a stored message that a vendor may have, at a vendor without idempotency
    keys. warn_after_seconds: after so long in the queue the sender is told once; 0: never.
    """

    vendors: tuple[str, ...] = ()
    listener: str = ""
    account: str = ""
    dialect: str = ""
    stream: str = ""
    tag: str = ""
    from_domain: str = ""
    recipient_domain: str = ""
    losses: tuple[str, ...] = ()
    mode: Literal["", "direct", "queued", "spill"] = ""
    notices: tuple[str, ...] | None = None
    on_unknown: Literal["retry", "hold"] = "retry"
    warn_after_seconds: float = 0.0

    @property
    def is_for_all(self) -> bool:
        """Whether it has no condition."""
        conditions = (self.listener, self.account, self.dialect, self.stream, self.tag)
        return not any((*conditions, self.from_domain, self.recipient_domain))

    def problems(self) -> Iterator[tuple[str, str]]:
        """Losses and notices by their names."""
        for number, name in enumerate(self.notices or ()):
            if name not in NOTICES:
                yield f"notices[{number}]", f'expected one of {", ".join(NOTICES)}, got "{name}"'
        known = [feature.value for feature in Feature]
        for number, name in enumerate(self.losses):
            if name not in known:
                yield f"losses[{number}]", f'expected one of {", ".join(known)}, got "{name}"'


@quickly_made
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


def what_stops(route: Route, can: Collection[Feature], submission: Submission) -> Mapping[Feature, str]:
    """What a vendor who can do these cannot express, and the message may not lose on this route; empty: it can go."""
    losses = lost(submission, can)
    return {one: words for one, words in losses.items() if one not in HINTS and one not in route.losses}


def _domain(address: str) -> str:
    return folded(address.rpartition("@")[2])
