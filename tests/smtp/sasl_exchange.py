"""Drives an exchange as a session does: sends responses, answers lookups, and gives what it ends in."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.scram import ScramVerifier, make_verifier
from gateway.smtp.mechanisms.exchange import Circumstances, Login, Lookup, Needs
from gateway.smtp.sasl import MECHANISMS

SALT = bytes(range(16))


def kept(lookup: Lookup, secret: str) -> ScramVerifier | str:
    return make_verifier(secret, SALT) if lookup.kept is Needs.SCRAM_VERIFIER else secret


def run(
    name: str,
    initial: bytes | None,
    responses: Iterable[bytes],
    *,
    secret: str | ScramVerifier = "secret",
    at: Circumstances | None = None,
) -> tuple[Login | None, list[bytes]]:
    """The login, None when the responses do not reach that far, and the challenges. SaslError as it comes."""
    exchange = MECHANISMS[name].exchange(initial, at or Circumstances("gateway.test", "nonce"))
    waiting, challenges = iter(responses), []
    try:
        wanted = next(exchange)
        while True:
            if isinstance(wanted, Lookup):
                answer = kept(wanted, secret) if isinstance(secret, str) else secret
                wanted = exchange.send(answer)
                continue
            assert isinstance(wanted, bytes)
            challenges.append(wanted)
            response = next(waiting, None)
            if response is None:
                return None, challenges
            wanted = exchange.send(response)
    except StopIteration as stop:
        return stop.value, challenges
