"""What the settings say of notices: who writes DSNs, and which webhooks are told of which events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.content.addresses import parse_mailboxes
from gateway.secret import Secret
from gateway.urls import url_problem

EVENTS = (
    "received", "relayed", "deferred", "refused", "expired", "held", "released", "cancelled", "unknown", "moved",
    "retried", "rejected",
)  # fmt: skip
"""What a webhook can be told of: the names of the store's events, but for notified, as it hears of the DSN itself."""

Format = Literal["standard", "postmark"]


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """The DSNs. sender is the address in their From field, which the vendors must take; empty: postmaster at the
    hostname."""

    sender: str = ""

    def problems(self) -> Iterator[tuple[str, str]]:
        """The sender is one bare address: a vendor verifies its domain."""
        mailboxes = parse_mailboxes(self.sender) if self.sender else ()
        if self.sender and (len(mailboxes) != 1 or mailboxes[0].address != self.sender or "@" not in self.sender):
            yield "sender", 'expected an address such as "postmaster@mail.example.com"'


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A webhook: a URL that is told of events by POST requests.

    name is what logs and the store call it; empty: the URL without its path, which often holds a secret. format
    standard is that of Standard Webhooks, signed with secret, and with previous_secret too while a new one spreads;
    postmark is that vendor's bounce webhook, which has no signature but a login ("user:password", sent as RFC 7617
    Basic). events and accounts narrow what is told.

    ca_file holds the roots to trust in place of the system's. timeout_seconds bounds one request; what is not taken
    give_up_after_seconds after the event is given up (standard alone; postmark has its own number of attempts).
    """

    url: str
    name: str = ""
    format: Format = "standard"
    secret: Secret | None = None
    previous_secret: Secret | None = None
    login: Secret | None = None
    events: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    ca_file: Path | None = None
    timeout_seconds: float = 15.0
    give_up_after_seconds: float = 3 * 24 * 3600.0

    @property
    def known_as(self) -> str:
        """What logs and the store call it."""
        if self.name:
            return self.name
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{re.split('[/?]', rest)[0]}"

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Those that it has."""
        return tuple(one for one in (self.secret, self.previous_secret, self.login) if one is not None)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Events travel over TLS, or not beyond this machine; each format has its own way to be known."""
        problem = url_problem(self.url, query=True)
        if problem:
            yield "url", problem
        for number, name in enumerate(self.events):
            if name not in EVENTS:
                yield f"events[{number}]", f'expected one of {", ".join(EVENTS)}, got "{name}"'
        if self.format == "postmark":
            yield from self._postmark_problems()
        elif self.secret is None:
            yield "secret", 'missing; format = "standard" signs what it sends'
        elif self.login is not None:
            yield "login", 'only format = "postmark" has a login; format = "standard" is known by its signature'

    def _postmark_problems(self) -> Iterator[tuple[str, str]]:
        if self.secret is not None or self.previous_secret is not None:
            yield "secret", 'format = "postmark" has no signature; expected a login, or nothing'
        if self.events:
            yield "events", 'format = "postmark" tells of bounces and nothing else'
