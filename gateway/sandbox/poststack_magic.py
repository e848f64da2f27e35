"""The PostStack sandbox's magic: recipients, templates and API keys that make it fail as a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from dataclasses import replace
from wsgiref.handlers import format_date_time

from gateway.sandbox.answer import Answer, json_answer
from gateway.sandbox.magic import UNVERIFIED_DOMAIN, MagicKey, MagicRecipient, MagicTable, deliveries

RETRY_AFTER_SECONDS = 30

CODES = {
    400: "invalid_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "invalid_request",
    408: "timeout", 409: "conflict", 413: "invalid_request", 422: "unprocessable_entity",
    429: "rate_limit_exceeded", 500: "internal_error", 503: "unavailable",
}  # fmt: skip
"""The code of each status; those of 405, 408, 413 and 503 are not in the contract."""


def refusal(status: int, error: str, code: str = "") -> Answer:
    """A refusal in the newer shape, `{"error": "<text>", "code": "<code>"}`."""
    return replace(json_answer(status, {"error": error, "code": code or CODES[status]}), error=error)


def _rate_limited(retry_after: str) -> Answer:
    headers = {"Retry-After": retry_after, "X-RateLimit-Limit": "10"}
    return replace(refusal(429, "Rate limit exceeded"), headers=headers)


def _quota(name: str, code: str, error: str) -> MagicRecipient:
    return MagicRecipient(name, f"429 {code}, without Retry-After", refusal(429, error, code))


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
        refusal(422, "All recipients are suppressed"),
    ),
    MagicRecipient("badrequest", "400 invalid_request", refusal(400, "bad request asked for")),
    MagicRecipient("older-shape", '400 with {"error": …} and no code, as older pages show', _older_shape()),
    MagicRecipient("unauthorized", "401, as if the key were revoked", refusal(401, "Invalid API key")),
    MagicRecipient(
        "forbidden",
        "403, as for a key without the permission",
        refusal(403, "API key does not have permission"),
    ),
    MagicRecipient("notfound", "404 not_found", refusal(404, "Domain not found")),
    MagicRecipient("conflict", "409 conflict", refusal(409, "conflict asked for")),
    MagicRecipient("unprocessable", "422 unprocessable_entity", refusal(422, "validation failure asked for")),
    MagicRecipient(
        "ratelimit",
        "429 rate_limit_exceeded with Retry-After: 30",
        _rate_limited(str(RETRY_AFTER_SECONDS)),
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
    MagicRecipient("timeout408", "408", refusal(408, "request timeout")),
    MagicRecipient("error500", "500 internal_error", refusal(500, "Internal server error")),
    MagicRecipient("unavailable", "503 with Retry-After: 30", _unavailable()),
    MagicRecipient("badgateway", "502 with an HTML body, as from a proxy", _BAD_GATEWAY),
    MagicRecipient("replayed", "202 with replayed: true", lambda usual, now: _replayed(usual)),
    *deliveries(
        202,
        never="the message is taken and never answered; a repetition with the same key is answered as a replay",
        cut="the message is taken and the connection closed; a repetition with the same key is answered as a replay",
    ),
)

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

TEMPLATES = {
    "tpl_missing": refusal(404, "Template not found"),
    "tpl_draft": refusal(422, "Template not published"),
}
"""Templates that cannot be sent; the status of the second is not in the contract."""

TABLE = MagicTable(
    vendor="poststack",
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
