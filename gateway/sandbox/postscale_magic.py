"""The Postscale sandbox's magic: recipients and API keys that make it fail in every way that a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from dataclasses import replace
from wsgiref.handlers import format_date_time

from gateway.sandbox.answer import Answer, from_a_proxy, json_answer, refusal
from gateway.sandbox.magic import UNVERIFIED_DOMAIN, MagicKey, MagicRecipient, MagicTable, deliveries

RETRY_AFTER_SECONDS = 30


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


RECIPIENTS: tuple[MagicRecipient, ...] = (
    MagicRecipient(
        "suppressed",
        "is skipped; 422 when all recipients are suppressed",
        refusal(422, "all recipients are suppressed"),
    ),
    MagicRecipient("badrequest", "400 bad request", refusal(400, "bad request asked for")),
    MagicRecipient("unauthorized", "401, as if the key were revoked", refusal(401, "invalid API key")),
    MagicRecipient("forbidden", "403, as if the plan were used up", refusal(403, "plan limit reached")),
    MagicRecipient("notfound", "404, as for a template that is not there", refusal(404, "template not found")),
    MagicRecipient(
        "toolarge",
        "413, as for a message over 50 MiB",
        refusal(413, "message is larger than 50 MiB"),
    ),
    MagicRecipient(
        "ratelimit",
        "429 with Retry-After: 30 and the contract's body",
        _rate_limited(str(RETRY_AFTER_SECONDS)),
    ),
    MagicRecipient(
        "ratelimit-date",
        "429 with Retry-After as an HTTP date 30 s ahead",
        lambda usual, now: _rate_limited(format_date_time(now + RETRY_AFTER_SECONDS)),
    ),
    MagicRecipient("error500", "500 internal server error", refusal(500, "internal server error")),
    MagicRecipient("unavailable", "503 service unavailable", refusal(503, "service unavailable")),
    MagicRecipient("badgateway", "502 with an HTML body, as from a proxy", from_a_proxy(502, "Bad Gateway")),
    MagicRecipient("nested-error", '400 with {"error": {"code": …, "message": …}}', _nested_error()),
    *deliveries(202),
)


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
    note="In To, Cc or Bcc. The first one that is not suppressed decides.",
    recipients=RECIPIENTS,
    keys=KEYS,
    senders={f"@{UNVERIFIED_DOMAIN}": "403: the From domain is not verified; domains below it neither"},
)
