"""What a session asks or tells the world outside. All but MailData, MailDataDropped and Hangup wait for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.quickly import quickly_made
from gateway.smtp.mechanisms.exchange import Login, Lookup


@dataclass(frozen=True, slots=True)
class TlsWanted:
    """STARTTLS: the 220 is in the output; answer with Session.tls_started() once the handshake may begin."""


@dataclass(frozen=True, slots=True)
class LookupWanted:
    """A mechanism needs what the credential store keeps; answer with Session.found(), or with a negative reply."""

    lookup: Lookup


@quickly_made
@dataclass(frozen=True, slots=True)
class LoginWanted:
    """A mechanism has run to its end; a positive reply lets the client in."""

    mechanism: str
    login: Login


@quickly_made
@dataclass(frozen=True, slots=True)
class ReversePath:
    """MAIL: a new mail transaction, if the reply is positive. address is empty for the null reverse-path."""

    address: str
    parameters: Mapping[str, str | None]


@quickly_made
@dataclass(frozen=True, slots=True)
class ForwardPath:
    """RCPT: one more recipient, if the reply is positive."""

    address: str
    parameters: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class MailDataWanted:
    """DATA: mail data follows, if the reply is 354."""


@quickly_made
@dataclass(frozen=True, slots=True)
class MailData:
    """The next octets of the mail data, clean and without dot-stuffing."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class MailDataDropped:
    """The mail data broke a rule: what came of it is worth nothing. The session gives the reply itself, at the end."""


@dataclass(frozen=True, slots=True)
class MailDataEnd:
    """The end of the mail data: the reply decides who is responsible for the message (RFC 5321 §6.1)."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The last reply is in the output; close the connection behind it."""


Event = (
    TlsWanted
    | LookupWanted
    | LoginWanted
    | ReversePath
    | ForwardPath
    | MailDataWanted
    | MailData
    | MailDataDropped
    | MailDataEnd
    | Hangup
)
