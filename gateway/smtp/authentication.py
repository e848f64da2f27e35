"""The AUTH command and the lines that follow it (RFC 4954 §4): runs a SASL mechanism over the conversation."""

from __future__ import annotations

from collections.abc import Callable

from gateway.outcome import Reply
from gateway.smtp import events, replies, sasl
from gateway.smtp.conversation import Conversation, State
from gateway.smtp.extensions import Situation
from gateway.smtp.grammar import GrammarError, upper_ascii
from gateway.smtp.mechanisms.exchange import Circumstances, Lookup, SaslError


def start(conversation: Conversation, argument: str) -> None:
    """AUTH mechanism [initial-response]; GrammarError with the reply where it is not allowed or not understood."""
    at = conversation.situation()
    _check_allowed(conversation, at)
    name, _, initial = argument.partition(" ")
    if not name:
        raise GrammarError(replies.SYNTAX_ERROR)
    name, offered = upper_ascii(name), at.mechanisms
    if name not in offered:
        raise GrammarError(replies.MECHANISM_UNKNOWN)
    # RFC 4954 §4: a lone "=" is an initial response of no octets
    response = _decode(b"" if initial == "=" else initial.encode()) if initial else None
    mechanism = sasl.MECHANISMS[name]
    nonce = "" if mechanism.shows_password else conversation.new_nonce()
    circumstances = Circumstances(at.rules.hostname, nonce, at.channel, offers_plus=sasl.PLUS in offered)
    exchange = mechanism.exchange(response, circumstances)
    conversation.mechanism = name
    conversation.exchange = exchange
    _step(conversation, lambda: next(exchange))


def respond(conversation: Conversation, line: bytes) -> None:
    """The line after a challenge: a response in base64, or "*" to give up."""
    if conversation.refusal is not None:
        _end_refusal(conversation, conversation.refusal)
        return
    if line == b"*":
        raise GrammarError(replies.AUTH_CANCELLED)
    response = _decode(line)
    exchange = conversation.exchange
    if exchange is not None:
        _step(conversation, lambda: exchange.send(response))


def found(conversation: Conversation, kept: object) -> None:
    """What the mechanism has looked up; GrammarError as for a response."""
    exchange = conversation.exchange
    if exchange is not None:
        _step(conversation, lambda: exchange.send(kept))


def settle(conversation: Conversation, reply: Reply) -> None:
    """The reply to a login, or to a lookup that failed: told at once, or behind the mechanism's refusal challenge."""
    conversation.stop_authenticating()
    refusal = sasl.MECHANISMS[conversation.mechanism].refusal
    if reply.code >= 500 and refusal:
        conversation.refusal = reply
        conversation.state = State.AUTHENTICATING
        conversation.write(Reply(334, sasl.encode_challenge(refusal)))
    elif reply.code >= 500:
        _end_refusal(conversation, reply)
    else:
        conversation.write(reply)
        conversation.authenticated = reply.code < 400


def _end_refusal(conversation: Conversation, reply: Reply) -> None:
    """The refusal itself, whatever the client's response to the challenge before it was (RFC 7628 §3.2.3)."""
    conversation.stop_authenticating()
    conversation.write(reply)
    conversation.count_failed_login(conversation.rules.limits.failed_logins, replies.TOO_MANY_LOGINS)


def _check_allowed(conversation: Conversation, at: Situation) -> None:
    if conversation.state is State.TRANSACTION:
        raise GrammarError(replies.AUTH_IN_TRANSACTION)
    if conversation.authenticated:
        raise GrammarError(replies.AUTHENTICATED_ALREADY)
    if not at.may_log_in:
        raise GrammarError(replies.TLS_FIRST)
    if not conversation.extended:
        raise GrammarError(replies.HELLO_FIRST)


def _decode(line: bytes) -> bytes:
    try:
        return sasl.decode_response(line)
    except SaslError:
        raise GrammarError(replies.AUTH_MALFORMED) from None


def _step(conversation: Conversation, advance: Callable[[], bytes | Lookup]) -> None:
    """Go on with the exchange: to its end, to a lookup, or to its next challenge."""
    try:
        wanted = advance()
    except StopIteration as stop:
        conversation.stop_authenticating()
        conversation.ask(events.LoginWanted(conversation.mechanism, stop.value))
        return
    except SaslError:
        raise GrammarError(replies.AUTH_MALFORMED) from None
    conversation.state = State.AUTHENTICATING
    if isinstance(wanted, Lookup):
        conversation.ask(events.LookupWanted(wanted))
    else:
        conversation.write(Reply(334, sasl.encode_challenge(wanted)))
