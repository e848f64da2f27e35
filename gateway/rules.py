"""What holds for the sessions of a listener, by its settings and by the dialects that are spoken there."""

from __future__ import annotations

from dataclasses import replace

from gateway.outcome import Cause
from gateway.settings import Listener, Settings
from gateway.smtp.extensions import SessionRules
from gateway.vendor import load

OF_LOGINS = (Cause.AUTHENTICATION_FAILED, Cause.AUTHENTICATION_UNAVAILABLE)


def session_rules(settings: Settings, listener: Listener, dialect: str) -> SessionRules:
    """The rules of sessions in one dialect."""
    vendor = load(dialect)
    spoken = vendor.dialect
    message_octets = min(settings.limits.message_octets, vendor.message_octets)
    recipients = min(settings.limits.recipients, spoken.recipients)
    return SessionRules(
        hostname=settings.hostname,
        offers_tls=listener.tls in ("starttls", "optional"),
        needs_tls=listener.tls in ("starttls", "implicit"),
        mechanisms=tuple(dict.fromkeys(listener.mechanisms or spoken.mechanisms)),
        enhanced=spoken.enhanced_status_codes,
        wording=spoken.wording,
        limits=replace(settings.limits, message_octets=message_octets, recipients=recipients),
        clear_passwords=listener.clear_passwords,
    )


def shared_rules(settings: Settings, listener: Listener, dialects: tuple[str, ...]) -> SessionRules:
    """The rules of sessions that speak one of several dialects, until it is known which.

    What is announced must fit them all: every mechanism, the largest message (a client does not even try a larger one),
    the fewest recipients. Refused logins are told in the words of the first; an unknown user name as any other, because
    its own words would name the first dialect's. All else is neutral.
    """
    each = [session_rules(settings, listener, one) for one in dialects]
    first = each[0]
    words = {cause: first.wording[cause] for cause in OF_LOGINS if cause in first.wording}
    if Cause.AUTHENTICATION_FAILED in words:
        words[Cause.USER_NAME_INVALID] = words[Cause.AUTHENTICATION_FAILED]
    limits = replace(
        first.limits,
        message_octets=max(one.limits.message_octets for one in each),
        recipients=min(one.limits.recipients for one in each),
    )
    mechanisms = tuple(dict.fromkeys(name for one in each for name in one.mechanisms))
    return replace(first, mechanisms=mechanisms, wording=words, limits=limits)
