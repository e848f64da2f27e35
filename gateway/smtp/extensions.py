"""The service extensions that EHLO names, one entry each, and the parameters they add to MAIL and RCPT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.outcome import Cause, Reply
from gateway.smtp import replies
from gateway.smtp.grammar import GrammarError, PathArgument
from gateway.smtp.limits import Limits


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What holds for every session of one listener.

    offers_tls: STARTTLS is there. needs_tls: without TLS there is neither AUTH nor MAIL. mechanisms are the SASL
    mechanisms to offer. enhanced: ENHANCEDSTATUSCODES. wording is the dialect's own replies around logins.
    """

    hostname: str
    offers_tls: bool
    needs_tls: bool
    mechanisms: tuple[str, ...]
    enhanced: bool
    wording: Mapping[Cause, Reply]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a session stands, as far as the extensions depend on it."""

    rules: SessionRules
    secure: bool
    authenticated: bool

    @property
    def may_log_in(self) -> bool:
        """AUTH is offered only where no password crosses the wire in clear, unless the listener allows it."""
        return (self.secure or not self.rules.needs_tls) and not self.authenticated


# Each entry gives its EHLO line, or None where the situation does not offer it.
EXTENSIONS: tuple[Callable[[Situation], str | None], ...] = (
    lambda at: "PIPELINING",  # RFC 2920
    lambda at: f"SIZE {at.rules.limits.message_octets}",  # RFC 1870
    lambda at: "8BITMIME",  # RFC 6152
    lambda at: "SMTPUTF8",  # RFC 6531
    lambda at: "ENHANCEDSTATUSCODES" if at.rules.enhanced else None,  # RFC 2034
    lambda at: "STARTTLS" if at.rules.offers_tls and not at.secure else None,  # RFC 3207
    lambda at: "AUTH " + " ".join(at.rules.mechanisms) if at.may_log_in else None,  # RFC 4954
)


def hello_text(situation: Situation) -> str:
    """The text of the reply to EHLO: our name, then a keyword line for each extension offered (RFC 5321 §4.1.1.1)."""
    lines = (entry(situation) for entry in EXTENSIONS)
    return "\n".join([situation.rules.hostname, *(line for line in lines if line)])


def check_mail_parameters(argument: PathArgument, limits: Limits) -> None:
    """Check the parameters of MAIL by the extensions that define them; GrammarError with the reply otherwise."""
    for keyword, value in argument.parameters.items():
        check = MAIL_PARAMETERS.get(keyword)
        if check is None:
            raise GrammarError(replies.PARAMETER_UNKNOWN)
        check(value, limits)
    _check_utf8(argument.address, allowed="SMTPUTF8" in argument.parameters)


def check_rcpt_parameters(argument: PathArgument, *, smtputf8: bool) -> None:
    """Check the parameters of RCPT: none is defined by what we offer."""
    if argument.parameters:
        raise GrammarError(replies.PARAMETER_UNKNOWN)
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
    # RFC 6152 §2
    if value is None or value.upper() not in ("7BIT", "8BITMIME"):
        raise GrammarError(replies.SYNTAX_ERROR)


def _smtputf8(value: str | None, limits: Limits) -> None:
    # RFC 6531 §3.4 item 4: the keyword takes no value
    if value is not None:
        raise GrammarError(replies.SYNTAX_ERROR)


def _auth(value: str | None, limits: Limits) -> None:
    # RFC 4954 §5: taken from every client, and treated as <> since no account may speak for another
    if value is None:
        raise GrammarError(replies.SYNTAX_ERROR)


MAIL_PARAMETERS: Mapping[str, Callable[[str | None, Limits], None]] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _smtputf8,
    "AUTH": _auth,
}
