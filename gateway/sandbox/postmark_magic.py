"""The Postmark sandbox's magic: recipients and server tokens that make it fail in every way that a real API fails.

This table is the one place that defines and explains them; the console shows it at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.sandbox.answer import Answer, from_a_proxy, json_answer
from gateway.sandbox.magic import UNVERIFIED_DOMAIN, MagicKey, MagicRecipient, MagicTable, deliveries
from gateway.sandbox.postmark_error import CODES, error_answer, inactive_text

TEST_TOKEN = "POSTMARK_API_TEST"  # noqa: S105 - public: the vendor's documentation names it
NO_SMTP_PREFIX = "pm_nosmtp_"
UNKNOWN = "unknown"  # no stream and no template has this name


def _code_row(code: int) -> MagicRecipient:
    status, text = CODES[code]
    return MagicRecipient(f"code-{code}", f"{status} with ErrorCode {code}: {text}", error_answer(code))


RECIPIENTS: tuple[MagicRecipient, ...] = (
    MagicRecipient("suppressed", "is left out of a 200 that names it; 422 when all recipients are", error_answer(406)),
    MagicRecipient(
        "inactive", "422 that names it as inactive, and no other recipient gets the message", lambda usual, now: usual
    ),
    *map(_code_row, CODES),
    MagicRecipient("toolarge", "413, as for a message over 10 MB", error_answer(300, "Message too large.", 413)),
    MagicRecipient("badgateway", "502 with an HTML body, as from a proxy", from_a_proxy(502, "Bad Gateway")),
    *deliveries(200),
)


TOKENS: tuple[MagicKey, ...] = (
    MagicKey(TEST_TOKEN, "the vendor's own test token: every send is a test job"),
    MagicKey("pm_test_", "known: every send is taken"),
    MagicKey(NO_SMTP_PREFIX, "known, but its server has SMTP switched off"),
    MagicKey("pm_down_", "503 on everything", "code-100", "code-100"),
    MagicKey("pm_cut_", "the connection is closed without an answer", "cut", "cut"),
    MagicKey("pm_noanswer_", "never answered; the connection stays open", "noanswer", "noanswer"),
    MagicKey("pm_slow_", "known, but everything is answered after 3 s", "slow", "slow"),
    MagicKey("pm_limited_", "the login check succeeds, sending gets 429", "", "code-429"),
    MagicKey("pm_revoked_", "the login check succeeds, sending gets 401", "", "code-10"),
    MagicKey("pm_pending_", "the login check succeeds, sending gets 422 with ErrorCode 413", "", "code-413"),
)


TABLE = MagicTable(
    vendor="postmark",
    note="In To, Cc or Bcc. An inactive one decides; else the first that is not suppressed.",
    recipients=RECIPIENTS,
    keys=TOKENS,
    keys_in_any_case=True,
    senders={f"@{UNVERIFIED_DOMAIN}": "422 with ErrorCode 400; domains below it too"},
    others={
        f"MessageStream {UNKNOWN}": "422 with ErrorCode 1235; any other that could exist does",
        "MessageStream inbound": "422 with ErrorCode 1236",
        f"TemplateAlias {UNKNOWN}": "422 with ErrorCode 1101; any other exists",
    },
)


def answer_for_recipients(
    addresses: Iterable[str], taken: Mapping[str, object], now: float
) -> tuple[Answer, tuple[str, ...]]:
    """The answer for these bare addresses, and which of them are skipped; taken is the body of the usual answer.

    An inactive one decides; else the first magic one that is not suppressed.
    """
    everyone = tuple(addresses)
    inactive = TABLE.addresses_named("inactive", everyone)
    skipped = TABLE.addresses_named("suppressed", everyone)
    if inactive or len(skipped) == len(everyone):
        return error_answer(406, inactive_text(inactive or skipped)), inactive or skipped
    if skipped:
        text = f"Message OK, but will not deliver to these inactive addresses: {', '.join(skipped)}."
        taken = {**taken, "Message": text}
    return TABLE.answer_for_recipients(everyone, json_answer(200, taken), now)
