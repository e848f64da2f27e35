"""The PostStack sandbox's magic: recipients, templates and API keys that make it fail as a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from wsgiref.handlers import format_date_time

from gateway.sandbox.addresses import domain_of
from gateway.sandbox.answer import Answer, Delivery, json_answer
from gateway.sandbox.magic import MagicTable

MAGIC_DOMAIN = "sandbox.example"
UNVERIFIED_DOMAIN = "unverified.example"

# Longer than a hurried client waits, shorter than any client's timeout.
SLOW_SECONDS = 3.0
RETRY_AFTER_SECONDS = 30
# Far more than any answer of the API; a client must stop reading.
HUGE_OCTETS = 20_000_000

CODES = {
    400: "invalid_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "invalid_request",
    408: "timeout", 409: "conflict", 413: "invalid_request", 422: "unprocessable_entity",
    429: "rate_limit_exceeded", 500: "internal_error", 503: "unavailable",
}  # fmt: skip
"""The code of each status; those of 405, 408, 413 and 503 are not in the contract."""


@dataclass(frozen=True, slots=True)
class MagicRecipient:
    """`<name>@sandbox.example`, or `<name>+anything@sandbox.example`, among to, cc or bcc.

    answer makes the magic answer from the one that the request would get without magic, and the wall clock in seconds.
    """

    name: str
    meaning: str
    answer: Callable[[Answer, float], Answer]


@dataclass(frozen=True, slots=True)
class MagicKey:
    """API keys that start with this prefix. on_read (GET) and on_send (POST) name the magic recipient whose answer
    they get; empty for the usual answer."""

    prefix: str
    meaning: str
    on_read: str = ""
    on_send: str = ""


def refusal(status: int, error: str, code: str = "") -> Answer:
    """A refusal in the newer shape, `{"error": "<text>", "code": "<code>"}`."""
    return replace(json_answer(status, {"error": error, "code": code or CODES[status]}), error=error)


def _rate_limited(retry_after: str) -> Answer:
    headers = {"Retry-After": retry_after, "X-RateLimit-Limit": "10"}
    return replace(refusal(429, "Rate limit exceeded"), headers=headers)


def _quota(name: str, code: str, error: str) -> MagicRecipient:
    return MagicRecipient(name, f"429 {code}, without Retry-After", lambda usual, now: refusal(429, error, code))


def _unavailable() -> Answer:
    return replace(refusal(503, "Service unavailable"), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _older_shape() -> Answer:
    return replace(json_answer(400, {"error": "older shape asked for"}), error="older shape asked for")


def _replayed(usual: Answer) -> Answer:
    return replace(usual, body=usual.body.rstrip(b"}") + b',"replayed":true}')


_BAD_GATEWAY = Answer(
    502, b"<html><head><title>502 Bad Gateway</title></head></html>\n", "bad gateway", content_type="text/html"
)

RECIPIENTS: tuple[MagicRecipient, ...] = (
    MagicRecipient(
        "suppressed",
        "is skipped; 422 when all recipients are suppressed",
        lambda usual, now: refusal(422, "All recipients are suppressed"),
    ),
    MagicRecipient("badrequest", "400 invalid_request", lambda usual, now: refusal(400, "bad request asked for")),
    MagicRecipient(
        "older-shape", '400 with {"error": …} and no code, as older pages show', lambda usual, now: _older_shape()
    ),
    MagicRecipient(
        "unauthorized", "401, as if the key were revoked", lambda usual, now: refusal(401, "Invalid API key")
    ),
    MagicRecipient(
        "forbidden",
        "403, as for a key without the permission",
        lambda usual, now: refusal(403, "API key does not have permission"),
    ),
    MagicRecipient("notfound", "404 not_found", lambda usual, now: refusal(404, "Domain not found")),
    MagicRecipient("conflict", "409 conflict", lambda usual, now: refusal(409, "conflict asked for")),
    MagicRecipient(
        "unprocessable", "422 unprocessable_entity", lambda usual, now: refusal(422, "validation failure asked for")
    ),
    MagicRecipient(
        "ratelimit",
        "429 rate_limit_exceeded with Retry-After: 30",
        lambda usual, now: _rate_limited(str(RETRY_AFTER_SECONDS)),
    ),
    MagicRecipient(
        "ratelimit-date",
        "429 rate_limit_exceeded with Retry-After as an HTTP date 30 s ahead",
        lambda usual, now: _rate_limited(format_date_time(now + RETRY_AFTER_SECONDS)),
    ),
    _quota("monthly", "monthly_limit_exceeded", "Monthly email limit reached"),
    _quota("daily", "daily_limit_exceeded", "Daily sending cap reached"),
    _quota("sendlimit", "send_limit_exceeded", "Send limit reached"),
    _quota("quota", "quota_exceeded", "Quota exceeded"),
    _quota("oldquota", "rate_limit_exceeded", "Monthly email limit reached"),
    MagicRecipient("timeout408", "408", lambda usual, now: refusal(408, "request timeout")),
    MagicRecipient("error500", "500 internal_error", lambda usual, now: refusal(500, "Internal server error")),
    MagicRecipient("unavailable", "503 with Retry-After: 30", lambda usual, now: _unavailable()),
    MagicRecipient("badgateway", "502 with an HTML body, as from a proxy", lambda usual, now: _BAD_GATEWAY),
    MagicRecipient("replayed", "202 with replayed: true", lambda usual, now: _replayed(usual)),
    MagicRecipient(
        "garbage", "202, but the body is not JSON", lambda usual, now: replace(usual, body=b"OK: queued, thank you")
    ),
    MagicRecipient(
        "slow", "202 after 3 s", lambda usual, now: replace(usual, delay_seconds=usual.delay_seconds + SLOW_SECONDS)
    ),
    MagicRecipient(
        "noanswer",
        "the message is taken and never answered; a repetition with the same key is answered as a replay",
        lambda usual, now: replace(usual, delivery=Delivery.NEVER, error="never answered"),
    ),
    MagicRecipient(
        "cut",
        "the message is taken and the connection closed; a repetition with the same key is answered as a replay",
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

KEYS: tuple[MagicKey, ...] = (
    MagicKey("sk_test_down_", "503 on everything", "unavailable", "unavailable"),
    MagicKey("sk_test_cut_", "the connection is closed without an answer", "cut", "cut"),
    MagicKey("sk_test_noanswer_", "never answered; the connection stays open", "noanswer", "noanswer"),
    MagicKey("sk_test_slow_", "known, but everything is answered after 3 s", "slow", "slow"),
    MagicKey("sk_test_limited_", "the login check succeeds, sending gets 429", "", "ratelimit"),
    MagicKey("sk_test_revoked_", "the login check succeeds, sending gets 401", "", "unauthorized"),
    MagicKey("sk_test_forbidden_", "403 on everything", "forbidden", "forbidden"),
    MagicKey("sk_test_unknown_", "401 on everything", "unauthorized", "unauthorized"),
    MagicKey("sk_test_", "any other: known, and each success has test_mode: true"),
    MagicKey("sk_live_sandbox_", "known, and answered as a live key: without test_mode"),
)
"""The first whose prefix fits is a key's row."""

TEMPLATES = {
    "tpl_missing": refusal(404, "Template not found"),
    "tpl_draft": refusal(422, "Template not published"),
}
"""Templates that cannot be sent; the status of the second is not in the contract."""

TABLE = MagicTable(
    vendor="poststack",
    domain=MAGIC_DOMAIN,
    note="In to, cc or bcc. The first one that is not suppressed decides.",
    recipients=RECIPIENTS,
    keys=KEYS,
    senders={f"@{UNVERIFIED_DOMAIN}": "422 Domain not verified; domains below it neither"},
    others={
        "template tpl_missing": "404 Template not found",
        "template tpl_draft": "422 Template not published",
        "an idempotency key used before": "the same message: 202 with replayed: true; another one: 422",
    },
)


def key_named(key: str) -> MagicKey | None:
    """The row of the table for an API key; None for a key that the sandbox does not know."""
    return next((one for one in KEYS if key.startswith(one.prefix)), None)


def by_name(name: str, usual: Answer, now: float) -> Answer:
    """The answer of a magic recipient's name; the usual one for the empty name."""
    return _BY_NAME[name].answer(usual, now) if name else usual


def _magic_name(address: str) -> str:
    local_part = address.rpartition("@")[0].lower().partition("+")[0]
    return local_part if domain_of(address) == MAGIC_DOMAIN and local_part in _BY_NAME else ""


def answer_for_recipients(addresses: Iterable[str], usual: Answer, now: float) -> tuple[Answer, tuple[str, ...]]:
    """The answer for these bare addresses, and which of them are skipped because they are suppressed.

    The first magic one that is not suppressed decides.
    """
    everyone = tuple(addresses)
    skipped = tuple(one for one in everyone if _magic_name(one) == "suppressed")
    if len(skipped) == len(everyone):
        return by_name("suppressed", usual, now), skipped
    names = (_magic_name(one) for one in everyone if one not in skipped)
    return by_name(next(filter(None, names), ""), usual, now), skipped


def is_unverified(domain: str) -> bool:
    """Whether a From domain is the one that nobody has verified, or below it."""
    bare = domain.rstrip(".")
    return bare == UNVERIFIED_DOMAIN or bare.endswith(f".{UNVERIFIED_DOMAIN}")
