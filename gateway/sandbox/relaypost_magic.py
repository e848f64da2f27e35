"""The RelayPost sandbox's magic: recipients and API keys that make it fail in every way that a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from gateway.sandbox.addresses import domain_of
from gateway.sandbox.answer import Answer, Delivery
from gateway.sandbox.magic import MagicTable
from gateway.sandbox.relaypost_answer import RATE_USED_UP, ContractError, api_error, from_a_proxy, invalid

MAGIC_DOMAIN = "sandbox.example"
UNVERIFIED_DOMAIN = "unverified.example"

# Longer than a hurried client waits, shorter than any client's timeout.
SLOW_SECONDS = 3.0
# Far more than any answer of the API; a client must stop reading.
HUGE_OCTETS = 20_000_000


@dataclass(frozen=True, slots=True)
class MagicRecipient:
    """`<name>@sandbox.example`, or `<name>+anything@sandbox.example`, among to, cc or bcc.

    answer makes the magic answer from the one that the request would get without magic.
    """

    name: str
    meaning: str
    answer: Callable[[Answer], Answer]


RECIPIENTS: tuple[MagicRecipient, ...] = (
    MagicRecipient(
        "suppressed",
        "400 RECIPIENTS_SUPPRESSED for the whole request, which does not say who",
        lambda usual: api_error("RECIPIENTS_SUPPRESSED"),
    ),
    MagicRecipient(
        "suppressed-named",
        "400 RECIPIENTS_SUPPRESSED for the whole request, with the addresses in its message",
        lambda usual: api_error("RECIPIENTS_SUPPRESSED"),
    ),
    MagicRecipient(
        "badrequest", "400 VALIDATION_ERROR", lambda usual: invalid(ContractError("to", "bad request asked for"))
    ),
    MagicRecipient("unauthorized", "401 AUTH_INVALID", lambda usual: api_error("AUTH_INVALID")),
    MagicRecipient("suspended", "403 TENANT_SUSPENDED", lambda usual: api_error("TENANT_SUSPENDED")),
    MagicRecipient("notfound", "404 NOT_FOUND, as for a template", lambda usual: api_error("NOT_FOUND")),
    MagicRecipient(
        "toolarge", "413 with an HTML body, as from a proxy", lambda usual: from_a_proxy(413, "Payload Too Large")
    ),
    MagicRecipient(
        "ratelimit",
        "429 RATE_LIMITED with Retry-After: 30 and X-RateLimit-Remaining: 0",
        lambda usual: api_error("RATE_LIMITED"),
    ),
    MagicRecipient("limit", "429 LIMIT_EXCEEDED with Retry-After: 30", lambda usual: api_error("LIMIT_EXCEEDED")),
    MagicRecipient("last", "201 with X-RateLimit-Remaining: 0", lambda usual: replace(usual, headers={**RATE_USED_UP})),
    MagicRecipient("error500", "500 INTERNAL_ERROR", lambda usual: api_error("INTERNAL_ERROR")),
    MagicRecipient(
        "unavailable",
        "503 with an HTML body, as from a proxy",
        lambda usual: from_a_proxy(503, "Service Unavailable"),
    ),
    MagicRecipient(
        "badgateway", "502 with an HTML body, as from a proxy", lambda usual: from_a_proxy(502, "Bad Gateway")
    ),
    MagicRecipient(
        "garbage", "201, but the body is not JSON", lambda usual: replace(usual, body=b"OK: queued, thank you")
    ),
    MagicRecipient(
        "slow", "201 after 3 s", lambda usual: replace(usual, delay_seconds=usual.delay_seconds + SLOW_SECONDS)
    ),
    MagicRecipient(
        "noanswer",
        "the request is read and never answered; the connection stays open",
        lambda usual: replace(usual, delivery=Delivery.NEVER, error="never answered"),
    ),
    MagicRecipient(
        "cut",
        "the request is read, then the connection is closed without an answer",
        lambda usual: replace(usual, delivery=Delivery.CUT, error="cut without an answer"),
    ),
    MagicRecipient(
        "cut-answer",
        "the head of a 201 and half of its body, then the connection is closed",
        lambda usual: replace(usual, delivery=Delivery.CUT_HALFWAY),
    ),
    MagicRecipient("huge-answer", "201 with a body of 20 MB", lambda usual: replace(usual, padding_octets=HUGE_OCTETS)),
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
    domain=MAGIC_DOMAIN,
    note="In to, cc or bcc. A suppressed one refuses the whole request; of the others the first one decides.",
    recipients=RECIPIENTS,
    keys=KEYS,
    senders={f"@{UNVERIFIED_DOMAIN}": "400 DOMAIN_NOT_VERIFIED; domains below it too"},
)


def key_named(key: str) -> MagicKey | None:
    """The row of the table for an API key; None for a key that the sandbox does not know."""
    return next((one for one in KEYS if key.startswith(one.prefix)), None)


def by_name(name: str, usual: Answer) -> Answer:
    """The answer of a magic recipient's name; the usual one for the empty name."""
    return _BY_NAME[name].answer(usual) if name else usual


def _magic_name(address: str) -> str:
    """The magic in a bare address; empty when there is none."""
    local_part = address.rpartition("@")[0].lower().partition("+")[0]
    return local_part if domain_of(address) == MAGIC_DOMAIN and local_part in _BY_NAME else ""


def answer_for_recipients(addresses: Iterable[str], usual: Answer) -> Answer:
    """The answer for these bare addresses: some suppressed one refuses them all, else the first magic one decides."""
    names = {address: _magic_name(address) for address in addresses}
    if "suppressed" in names.values():
        return by_name("suppressed", usual)
    suppressed = [address for address, name in names.items() if name == "suppressed-named"]
    if suppressed:
        return api_error("RECIPIENTS_SUPPRESSED", f"Suppressed recipients: {', '.join(suppressed)}")
    return by_name(next(filter(None, names.values()), ""), usual)


def is_unverified(domain: str) -> bool:
    """Whether a From domain is the one that nobody has verified, or below it."""
    bare = domain.rstrip(".")
    return bare == UNVERIFIED_DOMAIN or bare.endswith(f".{UNVERIFIED_DOMAIN}")
