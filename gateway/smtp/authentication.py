"""The AUTH command and the lines that follow it (RFC 4954 §4): runs a SASL mechanism over the conversation."""

from __future__ import annotations

from collections.abc import Callable

from gateway.outcome import Reply
from gateway.smtp import events, replies, sasl
from gateway.smtp.conversation import Conversation, State
from gateway.smtp.grammar import GrammarError


def start(conversation: Conversation, argument: str) -> None:
    """AUTH mechanism [initial-response]; GrammarError with the reply where it is not allowed or not understood."""
    _check_allowed(conversation)
    name, _, initial = argument.partition(" ")
    if not name:
        raise GrammarError(replies.SYNTAX_ERROR)
    mechanism = sasl.MECHANISMS.get(name.upper())
    if mechanism is None or name.upper() not in conversation.rules.mechanisms:
        raise GrammarError(replies.MECHANISM_UNKNOWN)
    # RFC 4954 §4: a lone "=" is an initial response of no octets
    response = _decode(b"" if initial == "=" else initial.encode()) if initial else None
    exchange = mechanism.exchange(response)
    conversation.mechanism = name.upper()
    conversation.exchange = exchange
    _step(conversation, lambda: next(exchange))


def respond(conversation: Conversation, line: bytes) -> None:
    """The line after a challenge: a response in base64, or "*" to give up."""
    if line == b"*":
        raise GrammarError(replies.AUTH_CANCELLED)
    response = _decode(line)
    exchange = conversation.exchange
    if exchange is not None:
        _step(conversation, lambda: exchange.send(response))


def _check_allowed(conversation: Conversation) -> None:
    if conversation.authenticated:
        raise GrammarError(replies.AUTHENTICATED_ALREADY)
    if not conversation.situation().may_log_in:
        raise GrammarError(replies.TLS_FIRST)
    if not conversation.extended:
        raise GrammarError(replies.HELLO_FIRST)
    if conversation.state is State.TRANSACTION:
        raise GrammarError(replies.AUTH_IN_TRANSACTION)


def _decode(line: bytes) -> bytes:
    try:
        return sasl.decode_response(line)
    except sasl.SaslError:
        raise GrammarError(replies.AUTH_MALFORMED) from None


def _step(conversation: Conversation, advance: Callable[[], bytes]) -> None:
    try:
        challenge = advance()
    except StopIteration as stop:
        conversation.stop_authenticating()
        conversation.ask(events.LoginWanted(conversation.mechanism, stop.value))
    except sasl.SaslError:
        raise GrammarError(replies.AUTH_MALFORMED) from None
    else:
        conversation.state = State.AUTHENTICATING
        conversation.write(Reply(334, sasl.encode_challenge(challenge)))
