"""The RelayPost sandbox's magic: recipients and API keys that make it fail in every way that a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.sandbox.answer import Answer, from_a_proxy
from gateway.sandbox.magic import UNVERIFIED_DOMAIN, MagicKey, MagicRecipient, MagicTable, deliveries
from gateway.sandbox.relaypost_answer import RATE_USED_UP, ContractError, api_error, invalid

RECIPIENTS: tuple[MagicRecipient, ...] = (
    MagicRecipient(
        "suppressed",
        "400 RECIPIENTS_SUPPRESSED for the whole request, which does not say who",
        api_error("RECIPIENTS_SUPPRESSED"),
    ),
    MagicRecipient(
        "suppressed-named",
        "400 RECIPIENTS_SUPPRESSED for the whole request, with the addresses in its message",
        api_error("RECIPIENTS_SUPPRESSED"),
    ),
    MagicRecipient("badrequest", "400 VALIDATION_ERROR", invalid(ContractError("to", "bad request asked for"))),
    MagicRecipient("unauthorized", "401 AUTH_INVALID", api_error("AUTH_INVALID")),
    MagicRecipient("suspended", "403 TENANT_SUSPENDED", api_error("TENANT_SUSPENDED")),
    MagicRecipient("notfound", "404 NOT_FOUND, as for a template", api_error("NOT_FOUND")),
    MagicRecipient("toolarge", "413 with an HTML body, as from a proxy", from_a_proxy(413, "Payload Too Large")),
    MagicRecipient(
        "ratelimit",
        "429 RATE_LIMITED with Retry-After: 30 and X-RateLimit-Remaining: 0",
        api_error("RATE_LIMITED"),
    ),
    MagicRecipient("limit", "429 LIMIT_EXCEEDED with Retry-After: 30", api_error("LIMIT_EXCEEDED")),
    MagicRecipient(
        "last", "201 with X-RateLimit-Remaining: 0", lambda usual, now: replace(usual, headers={**RATE_USED_UP})
    ),
    MagicRecipient("error500", "500 INTERNAL_ERROR", api_error("INTERNAL_ERROR")),
    MagicRecipient(
        "unavailable",
        "503 with an HTML body, as from a proxy",
        from_a_proxy(503, "Service Unavailable"),
    ),
    MagicRecipient("badgateway", "502 with an HTML body, as from a proxy", from_a_proxy(502, "Bad Gateway")),
    *deliveries(201),
)


KEYS: tuple[MagicKey, ...] = (
    MagicKey("rp_test_", "known: every send is queued, and delivered to nobody"),
    MagicKey("rp_down_", "503 on everything", "unavailable", "unavailable"),
    MagicKey("rp_cut_", "the connection is closed without an answer", "cut", "cut"),
    MagicKey("rp_noanswer_", "never answered; the connection stays open", "noanswer", "noanswer"),
    MagicKey("rp_slow_", "known, but everything is answered after 3 s", "slow", "slow"),
    MagicKey("rp_limited_", "the key check succeeds, sending gets 429 RATE_LIMITED", "", "ratelimit"),
    MagicKey("rp_used_up_", "the key check succeeds, sending gets 429 LIMIT_EXCEEDED", "", "limit"),
    MagicKey("rp_revoked_", "the key check succeeds, sending gets 401 AUTH_INVALID", "", "unauthorized"),
    MagicKey("rp_suspended_", "403 TENANT_SUSPENDED on everything", "suspended", "suspended"),
)

TABLE = MagicTable(
    vendor="relaypost",
    note="In to, cc or bcc. A suppressed one refuses the whole request; of the others the first one decides.",
    recipients=RECIPIENTS,
    keys=KEYS,
    senders={f"@{UNVERIFIED_DOMAIN}": "400 DOMAIN_NOT_VERIFIED; domains below it too"},
)


def answer_for_recipients(addresses: Iterable[str], usual: Answer, now: float) -> Answer:
    """The answer for these bare addresses: some suppressed one refuses them all, else the first magic one decides."""
    everyone = tuple(dict.fromkeys(addresses))
    if TABLE.addresses_named("suppressed", everyone):
        return api_error("RECIPIENTS_SUPPRESSED")
    suppressed = TABLE.addresses_named("suppressed-named", everyone)
    if suppressed:
        return api_error("RECIPIENTS_SUPPRESSED", f"Suppressed recipients: {', '.join(suppressed)}")
    return TABLE.answer_of_first(everyone, usual, now)
