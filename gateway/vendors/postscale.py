"""Postscale: its SMTP dialect and its HTTP API.

What its documentation says is taken as said; what it leaves open is decided here and told in docs/POSTSCALE.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from gateway.message import Attachment, Content, Envelope, HeaderField, Mailbox, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, Reply, Unknown
from gateway.vendor import (
    ApiAnswer,
    ApiRequest,
    Dialect,
    DialectError,
    Exchange,
    JsonValue,
    KeyExchange,
    NoAnswer,
    Translation,
    VendorAccount,
    decode_words,
    encode_words,
    format_mailbox,
    parse_mailboxes,
)

DIALECT = Dialect(
    name="postscale",
    user_name="postscale",
    mechanisms=("PLAIN", "LOGIN"),
    # The vendor's own texts carry no enhanced status codes
    enhanced_status_codes=False,
    wording={
        Cause.USER_NAME_INVALID: Reply(535, 'Invalid username, use "postscale"'),
        Cause.AUTHENTICATION_FAILED: Reply(535, "Authentication failed"),
        Cause.AUTHENTICATION_UNAVAILABLE: Reply(451, "Authentication service unavailable"),
        Cause.AUTHENTICATION_REQUIRED: Reply(502, "Authentication required"),
        Cause.UNREADABLE: Reply(554, "Failed to parse message"),
        Cause.SUPPRESSED: Reply(550, "All recipients suppressed"),
        Cause.RATE_LIMITED: Reply(452, "Rate limit exceeded, try again later"),
        Cause.UNAVAILABLE: Reply(451, "API unavailable"),
        Cause.NEVER_ANSWERED: Reply(451, "API unavailable"),
        Cause.OPERATOR_KEY_REFUSED: Reply(451, "API unavailable"),
        # From here on the vendor's documentation is silent
        Cause.KEY_REFUSED: Reply(535, "Authentication failed"),
        Cause.INVALID: Reply(554, "{reason}"),
        Cause.FORBIDDEN: Reply(550, "{reason}"),
        Cause.SENDER_UNVERIFIED: Reply(550, "{reason}"),
        Cause.TOO_LARGE: Reply(552, "{reason}"),
    },
)

# Fields with an API field of their own, fields that describe the old MIME structure, and trace fields of the way so far
NOT_PASSED = frozenset({
    "from", "to", "cc", "bcc", "subject", "mime-version", "return-path", "received", "delivered-to",
    "dkim-signature", "domainkey-signature", "authentication-results",
})  # fmt: skip
REPORTED = frozenset({"dkim-signature", "domainkey-signature"})  # of those, what somebody may miss at the other end
# Fields that name mailboxes (RFC 5322 §3.6.2, RFC 8098 §2.1): of these only the display names may become encoded words
ADDRESS_FIELDS = frozenset({"reply-to", "sender", "disposition-notification-to", "errors-to", "return-receipt-to"})
SINGLE_FIELDS = frozenset({"date", "message-id", "sender"})  # a list of two means nothing in them (RFC 5322 §3.6)
NO_SUBJECT = "(no subject)"  # the API takes no message without one; this is what mail readers show for it
LONGEST_WAIT_SECONDS = 7 * 24 * 3600.0  # no daily or monthly limit asks for more; an absurd number must not overflow
UNVERIFIED = re.compile(r"(not |un)verified|verif(y|ication)|not registered", re.IGNORECASE)


class Postscale:
    """The vendor, as gateway.vendor.Vendor asks."""

    dialect = DIALECT
    default_url = "https://api.postscale.io/v1"

    # -- the dialect

    def is_dialect_field(self, name: str) -> bool:
        """All X-Postscale-* fields are taken out, known or not."""
        return name.lower().startswith("x-postscale-")

    def read_dialect(self, fields: Sequence[HeaderField]) -> SendOptions:
        """Tags and metadata, in both forms that the documentation shows."""
        tags: dict[str, None] = {}
        metadata: dict[str, str] = {}
        report = []
        for field in fields:
            name = field.name.lower()
            if name == "x-postscale-tags":
                tags |= dict.fromkeys(tag for word in decode_words(field.body).split(",") if (tag := word.strip()))
            elif name == "x-postscale-metadata":
                metadata |= _read_metadata(decode_words(field.body))
            elif name.startswith("x-postscale-metadata-"):
                metadata[field.name[len("x-postscale-metadata-") :]] = decode_words(field.body).strip()
            elif self.is_dialect_field(name):
                report.append(f"{field.name} has no meaning here and was taken out")
        return SendOptions(tuple(tags), metadata, tuple(report))

    # -- the API

    def check_key(self, account: VendorAccount) -> KeyExchange:
        """List one domain: cheap, sends nothing, and 401 is only for a key that is not known."""
        answer = yield ApiRequest("GET", f"{account.url}/domains?limit=1", _headers(account))
        if isinstance(answer, NoAnswer):
            return None
        if answer.status == 401:
            return False
        # 403: the key is known and may do less than this; scoped keys are announced
        return True if answer.status < 300 or answer.status == 403 else None

    def translate(self, account: VendorAccount, submission: Submission) -> Translation:
        """One request; or one for each forward-path when none may be seen by the others."""
        report: list[str] = []
        try:
            message = _message(submission, report, self.is_dialect_field)
        except _CannotSayError as error:
            return Translation(_refuse(submission.envelope, str(error)), ())
        groups = _groups(submission, report)
        return Translation(_send(account, message, groups), tuple(report))


VENDOR = Postscale()


class _CannotSayError(Exception):
    """The API cannot be told this message; the text says why."""


def _read_metadata(body: str) -> dict[str, str]:
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise DialectError(f"X-Postscale-Metadata is not a JSON object of strings: {error}") from None


def _headers(account: VendorAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key}", "Content-Type": "application/json", "Accept": "application/json"}


# -- a submission as the API's document


def _message(
    submission: Submission, report: list[str], is_dialect_field: Callable[[str], bool]
) -> dict[str, JsonValue]:
    """All of the document but the recipients."""
    content, options = submission.content, submission.options
    message: dict[str, JsonValue] = {
        "from": _author(submission, report),
        "subject": content.subject.strip() or _no_subject(report),
        **_bodies(content, report),
    }
    headers = _passed_fields(content, report, is_dialect_field)
    attachments = [_attachment(one) for one in content.attachments if _can_be_attached(one, report)]
    optional: dict[str, JsonValue] = {
        "headers": headers,
        "tags": options.tags,
        "metadata": options.metadata,
        "attachments": attachments,
    }
    return message | {name: value for name, value in optional.items() if value}


def _author(submission: Submission, report: list[str]) -> str:
    authors = submission.content.author
    if not authors:
        if not submission.envelope.reverse_path:
            raise _CannotSayError("The message has no From field with an address")
        report.append("no From field: the reverse-path stands for it")
        return submission.envelope.reverse_path
    if len(authors) > 1:
        report.append("From names several authors: only the first is carried")
    return format_mailbox(authors[0])


def _no_subject(report: list[str]) -> str:
    report.append(f"no subject: sent as {NO_SUBJECT}")
    return NO_SUBJECT


def _bodies(content: Content, report: list[str]) -> dict[str, JsonValue]:
    named = (("text_body", content.text), ("html_body", content.html))
    bodies: dict[str, JsonValue] = {
        name: source for name, source in named if source is not None and any(source.pieces())
    }
    if not bodies:
        report.append("no text: an empty line is sent, because the API asks for a body")
        return {"text_body": "\n"}
    return bodies


def _passed_fields(content: Content, report: list[str], is_dialect_field: Callable[[str], bool]) -> dict[str, str]:
    """The header fields that travel in the API's headers; an object holds each name once, so repeats are joined."""
    passed: dict[str, str] = {}
    names: dict[str, str] = {}
    for field in content.fields:
        name = field.name.lower()
        if name in NOT_PASSED or name.startswith(("content-", "arc-")) or is_dialect_field(name):
            if name in REPORTED:
                report.append(f"{field.name} is not carried: the vendor builds and signs the message anew")
            continue
        # Already encoded words stay; raw 8-bit text has to become some, because the vendor writes fields as they are
        body = field.body.strip() if field.body.isascii() else _encoded(name, field.body.strip())
        if name in names and name in SINGLE_FIELDS:
            report.append(f"{field.name} stands more than once: the first is carried")
        elif name in names:
            passed[names[name]] += f", {body}"
            report.append(f"{field.name} stands more than once: its values were joined")
        else:
            names[name] = field.name
            passed[field.name] = body
    return passed


def _encoded(name: str, body: str) -> str:
    mailboxes = parse_mailboxes(body) if name in ADDRESS_FIELDS else []
    if not mailboxes:
        return encode_words(body)
    named = (Mailbox(encode_words(one.display_name), one.address) for one in mailboxes)
    return ", ".join(format_mailbox(one) for one in named)


def _can_be_attached(attachment: Attachment, report: list[str]) -> bool:
    if attachment.size_octets == 0:
        report.append(f"attachment {attachment.filename} is empty: the API takes none without content")
        return False
    if attachment.content_id and attachment.inline:
        report.append(f"inline part {attachment.filename} travels as an attachment: the API knows no Content-ID")
    return True


def _attachment(attachment: Attachment) -> dict[str, JsonValue]:
    return {
        "filename": attachment.filename,
        "content": attachment.source,
        "content_type": attachment.content_type,
    }


# -- who gets it

Group = tuple[dict[str, JsonValue], tuple[str, ...]]
"""The recipient fields of one request, and the forward-paths that it serves."""


def _groups(submission: Submission, report: list[str]) -> list[Group]:
    """The envelope decides who gets it; To and Cc decide who of them is seen (RFC 5322 §3.6.3)."""
    served = submission.envelope.forward_paths
    spellings: dict[str, list[str]] = {}
    for path in served:
        spellings.setdefault(path.casefold(), []).append(path)
    left = {folded: paths[0] for folded, paths in spellings.items()}
    to = list(_named(submission.content.to, left))
    cc = list(_named(submission.content.cc, left))
    bcc = list(left.values())
    if not to and cc:
        report.append("nobody in To: Cc travels as To, because the API asks for one")
        to, cc = cc, []
    if not to:
        if len(bcc) > 1:
            report.append("nobody in To or Cc: a request for each recipient, so that none sees another")
        return [({"to": [path]}, tuple(spellings[path.casefold()])) for path in bcc]
    fields: dict[str, JsonValue] = {"to": to, "cc": cc, "bcc": bcc}
    return [({name: value for name, value in fields.items() if value}, served)]


def _named(mailboxes: Sequence[Mailbox], left: dict[str, str]) -> Iterator[str]:
    """The mailboxes that are in the envelope, with their names; each is taken out of left."""
    for mailbox in mailboxes:
        path = left.pop(mailbox.address.casefold(), None)
        if path is not None:
            yield format_mailbox(Mailbox(mailbox.display_name, path))


# -- the exchange


def _refuse(envelope: Envelope, reason: str) -> Exchange:
    return dict.fromkeys(envelope.forward_paths, Refused(Cause.INVALID, reason))
    yield  # an exchange without any request is a generator all the same


def _send(account: VendorAccount, message: Mapping[str, JsonValue], groups: Sequence[Group]) -> Exchange:
    """Send to one group after the other.

    What defers one would defer the others. What refuses the first would refuse the others, unless it is a suppressed
    address; once one was taken, a refusal concerns a recipient, and the others are still tried.
    """
    outcomes: dict[str, Outcome] = {}
    stop: Outcome | None = None
    some_taken = False
    for fields, paths in groups:
        outcome = stop
        if outcome is None:
            answer = yield ApiRequest("POST", f"{account.url}/send", _headers(account), {**message, **fields})
            outcome = read_answer(answer, account)
            some_taken = some_taken or isinstance(outcome, Accepted)
            stop = None if _goes_on(outcome, some_taken=some_taken) else outcome
        outcomes |= dict.fromkeys(paths, outcome)
    return outcomes


def _goes_on(outcome: Outcome, *, some_taken: bool) -> bool:
    if isinstance(outcome, Refused):
        return some_taken or outcome.cause is Cause.SUPPRESSED
    return isinstance(outcome, Accepted)


def read_answer(answer: ApiAnswer | NoAnswer, account: VendorAccount) -> Outcome:
    """What an answer to POST /send means."""
    if isinstance(answer, NoAnswer):
        reason = _without_key(answer.reason, account)
        return Unknown(reason) if answer.wholly_written else Deferred(Cause.UNAVAILABLE, reason)
    body = _decode(answer.body)
    if 200 <= answer.status < 300:
        message_id = body.get("message_id")
        return Accepted(_without_key(message_id, account) if isinstance(message_id, str) else "")
    reason = _without_key(_reason(answer.status, body), account)
    if answer.status == 429:
        return Deferred(Cause.RATE_LIMITED, reason, _retry_after_seconds(answer, body))
    if answer.status >= 500 or answer.status < 400 or answer.status == 408:
        return Deferred(Cause.UNAVAILABLE, reason, _retry_after_seconds(answer, body))
    cause = _refusal(answer.status, reason)
    if cause in (Cause.KEY_REFUSED, Cause.FORBIDDEN) and not account.own_key:
        return Deferred(Cause.OPERATOR_KEY_REFUSED, reason)
    return Refused(cause, reason)


def _without_key(text: str, account: VendorAccount) -> str:
    """A text of the vendor's, which may repeat the key it was called with."""
    return text.replace(account.key, "***") if account.key else text


def _refusal(status: int, reason: str) -> Cause:
    if status in (400, 403) and UNVERIFIED.search(reason):
        return Cause.SENDER_UNVERIFIED  # which of the two statuses it has is not documented
    by_status = {401: Cause.KEY_REFUSED, 403: Cause.FORBIDDEN, 413: Cause.TOO_LARGE, 422: Cause.SUPPRESSED}
    return by_status.get(status, Cause.INVALID)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _reason(status: int, body: Mapping[str, Any]) -> str:
    """The reason in any of the three shapes; of code and text the text."""
    error = body.get("error")
    nested = error if isinstance(error, dict) else {}
    for text in (body.get("message"), nested.get("message"), error, nested.get("code"), body.get("code")):
        if isinstance(text, str) and text.strip():
            return text.strip()
    return f"the API answered HTTP {status}"


def _retry_after_seconds(answer: ApiAnswer, body: Mapping[str, Any]) -> float | None:
    """Retry-After, as seconds or as a date against the answer's own Date (RFC 9110 §10.2.3), else the body's field."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT_SECONDS)
    try:
        until, now = (parsedate_to_datetime(text) for text in (value, answer.headers.get("date", "")))
        return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_SECONDS)
    except (TypeError, ValueError, OverflowError):
        seconds = body.get("retry_after_seconds")
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0
        return float(min(seconds, LONGEST_WAIT_SECONDS)) if is_number else None
