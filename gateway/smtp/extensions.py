"""The service extensions that EHLO names, one entry each, and the parameters they add to MAIL and RCPT."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from gateway.outcome import Cause, Reply
from gateway.quickly import quickly_made
from gateway.smtp import replies
from gateway.smtp.grammar import GrammarError, PathArgument, upper_ascii
from gateway.smtp.limits import Limits
from gateway.smtp.mechanisms.exchange import SecureChannel
from gateway.smtp.sasl import KEPT_OFFERS, offered


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What holds for every session of one listener.

    offers_tls: STARTTLS is there. needs_tls: without TLS there is neither AUTH nor MAIL. mechanisms are the SASL
    mechanisms to offer. enhanced: ENHANCEDSTATUSCODES. wording is the dialect's own replies around logins.
    clear_passwords: mechanisms that show the password may be used without TLS, where TLS is not needed.
    """

    hostname: str
    offers_tls: bool
    needs_tls: bool
    mechanisms: tuple[str, ...]
    enhanced: bool
    wording: Mapping[Cause, Reply]
    limits: Limits
    clear_passwords: bool = True


@quickly_made
@dataclass(frozen=True, slots=True)
class Situation:
    """Where a session stands, as far as the extensions depend on it."""

    rules: SessionRules
    secure: bool
    authenticated: bool
    channel: SecureChannel = field(default_factory=SecureChannel)

    @property
    def may_log_in(self) -> bool:
        """AUTH is offered only where no password crosses the wire in clear, unless the listener allows it."""
        return (self.secure or not self.rules.needs_tls) and not self.authenticated

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms that can be used here."""
        return offered(
            self.rules.mechanisms,
            passwords=self.secure or self.rules.clear_passwords,
            bindings=bool(self.channel.bindings),
            certificate=self.channel.certificate_name is not None,
        )


class Offer(NamedTuple):
    """What the reply to EHLO depends on: settings, and a few states of a session."""

    hostname: str
    message_octets: int
    messages_per_session: int
    recipients: int
    enhanced: bool
    starttls: bool
    mechanisms: tuple[str, ...]


# Each entry gives its EHLO line, or None where it is not on offer.
EXTENSIONS: tuple[Callable[[Offer], str | None], ...] = (
    lambda offer: "PIPELINING",  # RFC 2920
    lambda offer: f"SIZE {offer.message_octets}",  # RFC 1870
    lambda offer: "8BITMIME",  # RFC 6152
    lambda offer: "SMTPUTF8",  # RFC 6531
    lambda offer: "CHUNKING",  # RFC 3030 §2
    lambda offer: "BINARYMIME",  # RFC 3030 §3
    lambda offer: "DSN",  # RFC 3461
    lambda offer: f"LIMITS MAILMAX={offer.messages_per_session} RCPTMAX={offer.recipients}",  # RFC 9422
    lambda offer: "ENHANCEDSTATUSCODES" if offer.enhanced else None,  # RFC 2034
    lambda offer: "STARTTLS" if offer.starttls else None,  # RFC 3207
    lambda offer: "AUTH " + " ".join(offer.mechanisms) if offer.mechanisms else None,  # RFC 4954
)


def hello_text(at: Situation) -> str:
    """The text of the reply to EHLO: our name, then a keyword line for each extension offered (RFC 5321 §4.1.1.1)."""
    rules, limits = at.rules, at.rules.limits
    return _hello_text(
        Offer(
            rules.hostname,
            limits.message_octets,
            limits.messages_per_session,
            limits.recipients,
            rules.enhanced,
            rules.offers_tls and not at.secure,
            at.mechanisms if at.may_log_in else (),
        )
    )


@lru_cache(KEPT_OFFERS)
def _hello_text(offer: Offer) -> str:
    lines = (entry(offer) for entry in EXTENSIONS)
    return "\n".join([offer.hostname, *(line for line in lines if line)])


def check_mail_parameters(argument: PathArgument, limits: Limits) -> None:
    """Check the parameters of MAIL by the extensions that define them; GrammarError with the reply otherwise."""
    for keyword, value in argument.parameters.items():
        check = MAIL_PARAMETERS.get(keyword)
        if check is None:
            raise GrammarError(replies.PARAMETER_UNKNOWN)
        check(value, limits)
    _check_utf8(argument.address, allowed="SMTPUTF8" in argument.parameters)


def check_rcpt_parameters(argument: PathArgument, *, smtputf8: bool) -> None:
    """Check the parameters of RCPT by the extension that defines them; GrammarError with the reply otherwise."""
    for keyword, value in argument.parameters.items():
        check = RCPT_PARAMETERS.get(keyword)
        if check is None:
            raise GrammarError(replies.PARAMETER_UNKNOWN)
        check(value)
    _check_utf8(argument.address, allowed=smtputf8)


def _check_utf8(address: str, *, allowed: bool) -> None:
    if not allowed and not address.isascii():
        raise GrammarError(replies.NEEDS_SMTPUTF8)


def _size(value: str | None, limits: Limits) -> None:
    # RFC 1870 §3: size-value = 1*20DIGIT
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 20:
        raise GrammarError(replies.SYNTAX_ERROR)
    if int(value) > limits.message_octets:
        raise GrammarError(replies.DECLARED_TOO_LARGE)


def _body(value: str | None, limits: Limits) -> None:
    # RFC 6152 §2, RFC 3030 §3
    if value is None or upper_ascii(value) not in ("7BIT", "8BITMIME", "BINARYMIME"):
        raise GrammarError(replies.SYNTAX_ERROR)


def _smtputf8(value: str | None, limits: Limits) -> None:
    # RFC 6531 §3.4 item 4: the keyword takes no value
    if value is not None:
        raise GrammarError(replies.SYNTAX_ERROR)


def _auth(value: str | None, limits: Limits) -> None:
    # RFC 4954 §5: taken from every client, and treated as <> since no account may speak for another
    if value is None:
        raise GrammarError(replies.SYNTAX_ERROR)


def _ret(value: str | None, limits: Limits) -> None:
    # RFC 3461 §4.3
    if value is None or upper_ascii(value) not in ("FULL", "HDRS"):
        raise GrammarError(replies.SYNTAX_ERROR)


def _envid(value: str | None, limits: Limits) -> None:
    # RFC 3461 §4.4: at most 100 characters of xtext
    if value is None or len(value) > 100 or not XTEXT.fullmatch(value):
        raise GrammarError(replies.SYNTAX_ERROR)


def _requiretls(value: str | None, limits: Limits) -> None:
    # RFC 8689 §2: not offered, and silently ignored it would be a promise broken
    raise GrammarError(replies.REQUIRETLS_REFUSED)


def _notify(value: str | None) -> None:
    # RFC 3461 §4.1: "NEVER", or a list without repeats
    wanted = upper_ascii(value or "").split(",")
    if wanted != ["NEVER"] and (set(wanted) - {"SUCCESS", "FAILURE", "DELAY"} or len(set(wanted)) != len(wanted)):
        raise GrammarError(replies.SYNTAX_ERROR)


def _orcpt(value: str | None) -> None:
    # RFC 3461 §4.2: addr-type ";" xtext, at most 500 characters; utf-8 addresses: RFC 6533 §3
    kind, semicolon, address = (value or "").partition(";")
    if not (kind and semicolon and address) or len(value or "") > 500 or not ORCPT_ADDRESS.fullmatch(address):
        raise GrammarError(replies.SYNTAX_ERROR)


# RFC 3461 §4: xtext = *(xchar / hexchar); RFC 6533 §3 adds UTF-8 and \x{...} to it in ORCPT
XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
ORCPT_ADDRESS = re.compile(r"(?:[!-*,-<>-~\u00a0-\U0010ffff]|\+[0-9A-F]{2})+")

RCPT_PARAMETERS: Mapping[str, Callable[[str | None], None]] = {"NOTIFY": _notify, "ORCPT": _orcpt}
MAIL_PARAMETERS: Mapping[str, Callable[[str | None, Limits], None]] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _smtputf8,
    "AUTH": _auth,
    "RET": _ret,
    "ENVID": _envid,
    "REQUIRETLS": _requiretls,
}
