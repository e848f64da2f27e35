"""The Postscale sandbox's magic: recipients and API keys that make it fail in every way that a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from wsgiref.handlers import format_date_time

from gateway.sandbox.addresses import domain_of
from gateway.sandbox.answer import Answer, Delivery, json_answer, refusal
from gateway.sandbox.magic import MagicTable

MAGIC_DOMAIN = "sandbox.example"
UNVERIFIED_DOMAIN = "unverified.example"

# Longer than a hurried client waits, shorter than any client's timeout.
SLOW_SECONDS = 3.0
RETRY_AFTER_SECONDS = 30
# Far more than any answer of the API; a client must stop reading.
HUGE_OCTETS = 20_000_000

AnswerMaker = Callable[[Answer, float], Answer]
"""Makes the magic answer from the one the request would get without magic, and the wall clock in seconds."""


def _rate_limited(retry_after: str) -> Answer:
    """429 with the body fields of the contract (Errors, 429 body)."""
    answer = json_answer(
        429,
        {
            "error": "rate_limit_exceeded",
            "message": "daily sending limit exceeded",
            "limit_type": "daily",
            "limit": 50,
            "used": 50,
            "retry_after_seconds": RETRY_AFTER_SECONDS,
            "warming_phase": "phase_1",
        },
    )
    return replace(
        answer, error="rate_limit_exceeded: daily sending limit exceeded", headers={"Retry-After": retry_after}
    )


def _nested_error() -> Answer:
    document = {"error": {"code": "invalid_request", "message": "nested error asked for"}}
    return replace(json_answer(400, document), error="nested error asked for")


_BAD_GATEWAY = Answer(
    502,
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n",
    "bad gateway",
    content_type="text/html",
)


@dataclass(frozen=True, slots=True)
class MagicRecipient:
    """`<name>@sandbox.example`, or `<name>+anything@sandbox.example`, among to, cc or bcc."""

    name: str
    meaning: str
    answer: AnswerMaker


RECIPIENTS: tuple[MagicRecipient, ...] = (
    MagicRecipient(
        "suppressed",
        "is skipped; 422 when all recipients are suppressed",
        lambda usual, now: refusal(422, "all recipients are suppressed"),
    ),
    MagicRecipient("badrequest", "400 bad request", lambda usual, now: refusal(400, "bad request asked for")),
    MagicRecipient(
        "unauthorized", "401, as if the key were revoked", lambda usual, now: refusal(401, "invalid API key")
    ),
    MagicRecipient(
        "forbidden", "403, as if the plan were used up", lambda usual, now: refusal(403, "plan limit reached")
    ),
    MagicRecipient(
        "notfound", "404, as for a template that is not there", lambda usual, now: refusal(404, "template not found")
    ),
    MagicRecipient(
        "toolarge",
        "413, as for a message over 50 MiB",
        lambda usual, now: refusal(413, "message is larger than 50 MiB"),
    ),
    MagicRecipient(
        "ratelimit",
        "429 with Retry-After: 30 and the contract's body",
        lambda usual, now: _rate_limited(str(RETRY_AFTER_SECONDS)),
    ),
    MagicRecipient(
        "ratelimit-date",
        "429 with Retry-After as an HTTP date 30 s ahead",
        lambda usual, now: _rate_limited(format_date_time(now + RETRY_AFTER_SECONDS)),
    ),
    MagicRecipient("error500", "500 internal server error", lambda usual, now: refusal(500, "internal server error")),
    MagicRecipient("unavailable", "503 service unavailable", lambda usual, now: refusal(503, "service unavailable")),
    MagicRecipient("badgateway", "502 with an HTML body, as from a proxy", lambda usual, now: _BAD_GATEWAY),
    MagicRecipient("nested-error", '400 with {"error": {"code": …, "message": …}}', lambda usual, now: _nested_error()),
    MagicRecipient(
        "garbage", "202, but the body is not JSON", lambda usual, now: replace(usual, body=b"OK: queued, thank you")
    ),
    MagicRecipient(
        "slow", "202 after 3 s", lambda usual, now: replace(usual, delay_seconds=usual.delay_seconds + SLOW_SECONDS)
    ),
    MagicRecipient(
        "noanswer",
        "the request is read and never answered; the connection stays open",
        lambda usual, now: replace(usual, delivery=Delivery.NEVER, error="never answered"),
    ),
    MagicRecipient(
        "cut",
        "the request is read, then the connection is closed without an answer",
        lambda usual, now: replace(usual, delivery=Delivery.CUT, error="cut without an answer"),
    ),
    MagicRecipient(
        "cut-answer",
        "the head of a 202 and half of its body, then the connection is closed",
        lambda usual, now: replace(usual, delivery=Delivery.CUT_HALFWAY),
    ),
    MagicRecipient(
        "huge-answer", "202 with a body of 20 MB", lambda usual, now: replace(usual, padding_octets=HUGE_OCTETS)
    ),
)

_BY_NAME = {one.name: one for one in RECIPIENTS}


@dataclass(frozen=True, slots=True)
class MagicKey:
    """API keys that start with this prefix. on_read (GET) and on_send (POST) name the magic recipient whose answer
    they get; empty for the usual answer."""

    prefix: str
    meaning: str
    on_read: str = ""
    on_send: str = ""


KEYS: tuple[MagicKey, ...] = (
    MagicKey("ps_test_", "known: every send is simulated"),
    MagicKey("ps_down_", "503 on everything", "unavailable", "unavailable"),
    MagicKey("ps_cut_", "the connection is closed without an answer", "cut", "cut"),
    MagicKey("ps_noanswer_", "never answered; the connection stays open", "noanswer", "noanswer"),
    MagicKey("ps_slow_", "known, but everything is answered after 3 s", "slow", "slow"),
    MagicKey("ps_limited_", "the login check succeeds, sending gets 429", "", "ratelimit"),
    MagicKey("ps_revoked_", "the login check succeeds, sending gets 401", "", "unauthorized"),
    MagicKey("ps_forbidden_", "403 on everything", "forbidden", "forbidden"),
)

TABLE = MagicTable(
    vendor="postscale",
    domain=MAGIC_DOMAIN,
    note="In To, Cc or Bcc. The first one that is not suppressed decides.",
    recipients=RECIPIENTS,
    keys=KEYS,
    senders={f"@{UNVERIFIED_DOMAIN}": "403: the From domain is not verified; domains below it neither"},
)


def key_named(key: str) -> MagicKey | None:
    """The row of the table for an API key; None for a key that the sandbox does not know."""
    return next((one for one in KEYS if key.startswith(one.prefix)), None)


def by_name(name: str, usual: Answer, now: float) -> Answer:
    """The answer of a magic recipient's name; the usual one for the empty name."""
    return _BY_NAME[name].answer(usual, now) if name else usual


def magic_name(address: str) -> str:
    """The magic in a bare address; empty when there is none."""
    local_part = address.rpartition("@")[0].lower().partition("+")[0]
    return local_part if domain_of(address) == MAGIC_DOMAIN and local_part in _BY_NAME else ""


def answer_for_recipients(addresses: Iterable[str], usual: Answer, now: float) -> tuple[Answer, tuple[str, ...]]:
    """The answer for these bare addresses, and which of them are skipped because they are suppressed.

    The first magic one that is not suppressed decides.
    """
    everyone = tuple(addresses)
    skipped = tuple(one for one in everyone if magic_name(one) == "suppressed")
    if len(skipped) == len(everyone):
        return by_name("suppressed", usual, now), skipped
    names = (magic_name(one) for one in everyone if one not in skipped)
    return by_name(next(filter(None, names), ""), usual, now), skipped


def is_unverified(domain: str) -> bool:
    """Whether a From domain is the one that nobody has verified, or below it."""
    bare = domain.rstrip(".")
    return bare == UNVERIFIED_DOMAIN or bare.endswith(f".{UNVERIFIED_DOMAIN}")
