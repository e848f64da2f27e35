"""The Postmark sandbox's magic: recipients and server tokens that make it fail in every way that a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gateway.sandbox.addresses import domain_of
from gateway.sandbox.answer import Answer, Delivery, json_answer
from gateway.sandbox.magic import MagicTable
from gateway.sandbox.postmark_error import CODES, error_answer, inactive_text

MAGIC_DOMAIN = "sandbox.example"
UNVERIFIED_DOMAIN = "unverified.example"
TEST_TOKEN = "POSTMARK_API_TEST"  # noqa: S105 - public: the vendor's documentation names it
UNKNOWN = "unknown"  # no stream and no template has this name

# Longer than a hurried client waits, shorter than any client's timeout.
SLOW_SECONDS = 3.0
# Far more than any answer of the API; a client must stop reading.
HUGE_OCTETS = 20_000_000

AnswerMaker = Callable[[Answer], Answer]
"""Makes the magic answer from the one the request would get without magic."""


@dataclass(frozen=True, slots=True)
class MagicRecipient:
    """`<name>@sandbox.example`, or `<name>+anything@sandbox.example`, among To, Cc or Bcc."""

    name: str
    meaning: str
    answer: AnswerMaker


_BAD_GATEWAY = Answer(
    502,
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n",
    "bad gateway",
    content_type="text/html",
)


def _code_row(code: int) -> MagicRecipient:
    status, text = CODES[code]
    return MagicRecipient(f"code-{code}", f"{status} with ErrorCode {code}: {text}", lambda usual: error_answer(code))


RECIPIENTS: tuple[MagicRecipient, ...] = (
    MagicRecipient(
        "suppressed", "is left out of a 200 that names it; 422 when all recipients are", lambda usual: error_answer(406)
    ),
    MagicRecipient(
        "inactive", "422 that names it as inactive, and no other recipient gets the message", lambda usual: usual
    ),
    *map(_code_row, CODES),
    MagicRecipient(
        "toolarge", "413, as for a message over 10 MB", lambda usual: error_answer(300, "Message too large.", 413)
    ),
    MagicRecipient("badgateway", "502 with an HTML body, as from a proxy", lambda usual: _BAD_GATEWAY),
    MagicRecipient(
        "garbage", "200, but the body is not JSON", lambda usual: replace(usual, body=b"OK: queued, thank you")
    ),
    MagicRecipient(
        "slow", "200 after 3 s", lambda usual: replace(usual, delay_seconds=usual.delay_seconds + SLOW_SECONDS)
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
        "the head of a 200 and half of its body, then the connection is closed",
        lambda usual: replace(usual, delivery=Delivery.CUT_HALFWAY),
    ),
    MagicRecipient("huge-answer", "200 with a body of 20 MB", lambda usual: replace(usual, padding_octets=HUGE_OCTETS)),
)

_BY_NAME = {one.name: one for one in RECIPIENTS}


@dataclass(frozen=True, slots=True)
class MagicToken:
    """Server tokens that start with this prefix, in any case. on_read (GET) and on_send (POST) name the magic
    recipient whose answer they get; empty for the usual answer. smtp: whether the server has SMTP switched on."""

    prefix: str
    meaning: str
    on_read: str = ""
    on_send: str = ""
    smtp: bool = True


TOKENS: tuple[MagicToken, ...] = (
    MagicToken(TEST_TOKEN, "the vendor's own test token: every send is a test job"),
    MagicToken("pm_test_", "known: every send is taken"),
    MagicToken("pm_nosmtp_", "known, but its server has SMTP switched off", smtp=False),
    MagicToken("pm_down_", "503 on everything", "code-100", "code-100"),
    MagicToken("pm_cut_", "the connection is closed without an answer", "cut", "cut"),
    MagicToken("pm_noanswer_", "never answered; the connection stays open", "noanswer", "noanswer"),
    MagicToken("pm_slow_", "known, but everything is answered after 3 s", "slow", "slow"),
    MagicToken("pm_limited_", "the login check succeeds, sending gets 429", "", "code-429"),
    MagicToken("pm_revoked_", "the login check succeeds, sending gets 401", "", "code-10"),
    MagicToken("pm_pending_", "the login check succeeds, sending gets 422 with ErrorCode 413", "", "code-413"),
)


TABLE = MagicTable(
    vendor="postmark",
    domain=MAGIC_DOMAIN,
    note="In To, Cc or Bcc. An inactive one decides; else the first that is not suppressed.",
    recipients=RECIPIENTS,
    keys=TOKENS,
    senders={f"@{UNVERIFIED_DOMAIN}": "422 with ErrorCode 400; domains below it too"},
    others={
        f"MessageStream {UNKNOWN}": "422 with ErrorCode 1235; any other that could exist does",
        "MessageStream inbound": "422 with ErrorCode 1236",
        f"TemplateAlias {UNKNOWN}": "422 with ErrorCode 1101; any other exists",
    },
)


def token_named(token: str) -> MagicToken | None:
    """The row of the table for a server token; None for one that the sandbox does not know."""
    return next((one for one in TOKENS if token.lower().startswith(one.prefix.lower())), None)


def by_name(name: str, usual: Answer) -> Answer:
    """The answer of a magic recipient's name; the usual one for the empty name."""
    return _BY_NAME[name].answer(usual) if name else usual


def magic_name(address: str) -> str:
    """The magic in a bare address; empty when there is none."""
    local_part = address.rpartition("@")[0].lower().partition("+")[0]
    return local_part if domain_of(address) == MAGIC_DOMAIN and local_part in _BY_NAME else ""


def answer_for_recipients(addresses: Iterable[str], taken: Mapping[str, object]) -> tuple[Answer, tuple[str, ...]]:
    """The answer for these bare addresses, and which of them are skipped; taken is the body of the usual answer.

    An inactive one decides; else the first magic one that is not suppressed.
    """
    everyone = tuple(addresses)
    inactive = tuple(one for one in everyone if magic_name(one) == "inactive")
    skipped = tuple(one for one in everyone if magic_name(one) == "suppressed")
    if inactive or len(skipped) == len(everyone):
        return error_answer(406, inactive_text(inactive or skipped)), inactive or skipped
    if skipped:
        text = f"Message OK, but will not deliver to these inactive addresses: {', '.join(skipped)}."
        taken = {**taken, "Message": text}
    names = (magic_name(one) for one in everyone if one not in skipped)
    return by_name(next(filter(None, names), ""), json_answer(200, taken)), skipped


def is_unverified(domain: str) -> bool:
    """Whether a From domain is the one that nobody has verified, or below it."""
    bare = domain.rstrip(".")
    return bare == UNVERIFIED_DOMAIN or bare.endswith(f".{UNVERIFIED_DOMAIN}")
