"""PostStack: its SMTP dialect and its HTTP API.

What its documentation says is taken as said; what it leaves open is decided here and told in docs/POSTSTACK.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.message import Attachment, Content, HeaderField, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, Reply
from gateway.vendor import (
    ApiAnswer,
    ApiRequest,
    BatchCall,
    Dialect,
    DialectError,
    Feature,
    JsonValue,
    KeyExchange,
    NoAnswer,
    Translation,
    VendorAccount,
    decode_items,
    decode_object,
    decode_words,
    folded,
    format_mailbox,
    lost,
    parse_mailboxes,
    read_json_strings,
    read_no_answer,
    recast,
    retry_after_seconds,
    without_key,
)

DIALECT = Dialect(
    name="poststack",
    user_name="poststack",
    mechanisms=("PLAIN", "LOGIN"),
    mailboxes=True,
    enhanced_status_codes=True,
    # No reply of the vendor's SMTP endpoint is documented: these are the field's own, with the API's reason where it
    # tells the user which of several things to do
    wording={Cause.RATE_LIMITED: Reply(452, "Try again later: {reason}", "4.3.2")},
)

KEY_CHECK = "/emails?per_page=1"  # within both permission levels; a key that may only send would get 403 elsewhere
NO_SUBJECT = "(no subject)"  # the API takes no message without one; this is what mail readers show for it
TEMPLATE_ID = re.compile(r"tpl_[!-~]+")
OWN_FIELDS = frozenset({"reply-to"})  # besides those that no vendor is passed
# These differ each time that a client builds a message; under one idempotency key the API takes one payload only
BUILT_ANEW = frozenset({"date", "message-id"})

# The contract's, and one more that the vendor's library for Python knows
QUOTA_CODES = frozenset(
    {"monthly_limit_exceeded", "daily_limit_exceeded", "send_limit_exceeded", "quota_exceeded", "daily_cap_exceeded"}
)
QUOTA_WAIT_SECONDS = 3600.0  # a quota comes back in hours at the earliest, says the vendor's own client
UNVERIFIED = re.compile(r"(not |un)verified|domain.*verif|domain not found", re.IGNORECASE)
SUPPRESSED = re.compile(r"suppress", re.IGNORECASE)

BATCH_OCTETS = 36 * 1024 * 1024  # not documented: as much as a single message may have
# An item of a batch has a code and no status. Of the others, and of none, a single send shows the status
ITEM_STATUSES = {
    "invalid_request": 400, "unauthorized": 401, "forbidden": 403, "not_found": 404, "conflict": 409,
    "unprocessable_entity": 422, "internal_error": 500, **dict.fromkeys(QUOTA_CODES, 429),
}  # fmt: skip


def _join(requests: Sequence[ApiRequest]) -> ApiRequest:
    """Each entry is as in a single send, its idempotency key included."""
    first = requests[0]
    return replace(first, url=f"{first.url}/batch", json={"emails": [one.json for one in requests]})


def _part(answer: ApiAnswer) -> list[ApiAnswer | NoAnswer | None]:
    """An item of each message; that they are in the order of the request is implied by the documentation."""
    return [_item(answer, item) for item in decode_items(answer.body, "data")]


def _item(answer: ApiAnswer, item: bytes) -> ApiAnswer | NoAnswer | None:
    body = decode_object(item)
    has_id, error = isinstance(body.get("id"), str) and bool(body["id"]), body.get("error")
    if has_id and error is None:
        return replace(answer, body=item)
    if has_id or not isinstance(error, str):
        return NoAnswer(True, "the answer to the batch does not tell of this message")
    status = ITEM_STATUSES.get(str(body.get("code")))
    return replace(answer, status=status, body=item) if status else None


BATCH = BatchCall(submissions=100, octets=BATCH_OCTETS, key=lambda _: "/emails", join=_join, part=_part)


class PostStack:
    """The vendor, as gateway.vendor.Vendor asks."""

    dialect = DIALECT
    batch = BATCH
    # 25 MB of decoded attachments (taken as MiB) are 35.9 million octets of base64 in lines; the rest is for the text
    message_octets = 36 * 1024 * 1024
    can = frozenset(
        {
            Feature.ATTACHMENTS,
            Feature.REPLY_TO,
            Feature.TAGS,
            Feature.SEVERAL_TAGS,
            Feature.TEMPLATE,
            Feature.SCHEDULE,
            Feature.TRACKING,
            Feature.IDEMPOTENCY_KEY,
        }
    )
    default_url = "https://api.poststack.dev"

    # -- the dialect

    def is_dialect_field(self, name: str) -> bool:
        """All X-PostStack-* fields are taken out, known or not."""
        return name.lower().startswith("x-poststack-")

    def read_dialect(self, fields: Sequence[HeaderField]) -> SendOptions:
        """The four documented fields; DialectError for two different keys or templates, and for bad variables."""
        tags: dict[str, None] = {}
        single: dict[str, str] = {}
        report = []
        for field in fields:
            name = field.name.lower().removeprefix("x-poststack-")
            if not self.is_dialect_field(field.name):
                continue
            value = decode_words(field.body).strip()
            if name == "tags":
                tags |= dict.fromkeys(tag for word in value.split(",") if (tag := word.strip()))
            elif name not in ("idempotency-key", "template-id", "variables"):
                report.append(f"{field.name} has no meaning here and was taken out")
            elif value and single.setdefault(name, value) != value:
                raise DialectError(f"{field.name} stands more than once, with different values")
        template, variables = single.get("template-id", ""), _read_variables(single.get("variables", ""), report)
        if template and not TEMPLATE_ID.fullmatch(template):
            raise DialectError(f"X-PostStack-Template-Id is not a template's id, which begins with tpl_: {template}")
        if variables and not template:
            report.append("X-PostStack-Variables has no meaning without X-PostStack-Template-Id and was taken out")
        return SendOptions(
            tags=tuple(tags),
            template=template,
            variables=variables if template else {},
            idempotency_key=single.get("idempotency-key", ""),
            report=tuple(report),
        )

    # -- the API

    def check_key(self, account: VendorAccount) -> KeyExchange:
        """List one message: that sends nothing, and 401 is only for a key that is not known."""
        answer = yield ApiRequest("GET", account.url + KEY_CHECK, _headers(account))
        if isinstance(answer, NoAnswer):
            return None
        if answer.status == 401:
            return False
        # 403: the key is known and may do less than this
        return True if answer.status < 300 or answer.status == 403 else None

    def translate(self, account: VendorAccount, submission: Submission) -> Translation:
        """One request; or one for each forward-path when none may be seen by the others."""
        report = [f"{words}: not carried, the API has no place for it" for words in lost(submission, self.can).values()]
        try:
            message = _message(submission, report)
        except recast.CannotSayError as error:
            return Translation(recast.refuse(submission.envelope, str(error)), ())
        exchange = recast.send_to_each(
            recast.recipients(submission, report),
            lambda group: ApiRequest(
                "POST", f"{account.url}/emails", _headers(account), message | _recipients(group, submission)
            ),
            lambda answer: read_answer(answer, account, report),
        )
        return Translation(exchange, report)


VENDOR = PostStack()


def _read_variables(body: str, report: list[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for key, value in read_json_strings("X-PostStack-Variables", body):
        if key in variables:
            report.append(f"variable {key} is given twice: the last holds")
        variables[key] = value
    return variables


def _headers(account: VendorAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key}", "Content-Type": "application/json", "Accept": "application/json"}


# -- a submission as the API's document


def _message(submission: Submission, report: list[str]) -> dict[str, JsonValue]:
    """All of the document but the recipients and the idempotency key."""
    content, options = submission.content, submission.options
    optional: dict[str, JsonValue] = {
        "reply_to": _reply_to(content, report),
        "headers": recast.joined(_passed(submission, report), report),
        "tags": options.tags,
        "attachments": [_attachment(one) for one in content.attachments],
        "scheduled_at": options.scheduled_at,
        "tracking": _tracking(options, report),
    }
    return {
        "from": format_mailbox(recast.author(submission, report)),
        **(_template(submission, report) if options.template else _subject_and_bodies(content, report)),
        **{name: value for name, value in optional.items() if value},
        # By default the vendor adds a mailbox's stored signature to the text
        "signature": "none",
    }


def _passed(submission: Submission, report: list[str]) -> list[tuple[str, str]]:
    """The fields that travel as they are; with a key of the client's own, none that would spoil it."""
    fields = recast.passed_fields(submission.content, report, VENDOR.is_dialect_field, without=OWN_FIELDS)
    passed = list(fields)
    if not submission.options.idempotency_key:
        return passed
    spoiling = BUILT_ANEW - {"message-id" if submission.options.keep_message_id else ""}
    left_out = [name for name, _ in passed if name.lower() in spoiling]
    if left_out:
        report.append(f"{' and '.join(left_out)}: left out, so that the idempotency key holds when the client repeats")
    return [(name, body) for name, body in passed if name.lower() not in spoiling]


def _template(submission: Submission, report: list[str]) -> dict[str, JsonValue]:
    """A template takes the place of subject and bodies."""
    options = submission.options
    recast.tell_of_template(submission.content, report)
    variables: dict[str, JsonValue] = {"variables": options.variables} if options.variables else {}
    return {"template_id": options.template, **variables}


def _subject_and_bodies(content: Content, report: list[str]) -> dict[str, JsonValue]:
    subject = content.subject.strip()
    if not subject:
        subject = NO_SUBJECT
        report.append(f"no subject: sent as {NO_SUBJECT}")
    text, html = recast.bodies(content)
    bodies: dict[str, JsonValue] = {"text": text, "html": html}
    if text is None and html is None:
        report.append("no text: an empty line is sent, because the API asks for a body")
        bodies["text"] = "\n"
    return {"subject": subject, **{name: body for name, body in bodies.items() if body is not None}}


def _reply_to(content: Content, report: list[str]) -> str:
    """The API holds one string: of several mailboxes the first, because what a list in it means is not documented."""
    written = [body for body in content.bodies("reply-to") if body.strip()]
    mailboxes = [one for body in written for one in parse_mailboxes(body)]
    if len(mailboxes) > 1:
        left_out = ", ".join(one.address for one in mailboxes[1:])
        report.append(f"Reply-To names several mailboxes, the API holds one: without {left_out}")
    elif written and not mailboxes:
        report.append("Reply-To names no mailbox and is not carried")
    return format_mailbox(mailboxes[0]) if mailboxes else ""


def _tracking(options: SendOptions, report: list[str]) -> dict[str, JsonValue]:
    """Clicks are told apart only by on and off: the vendor rewrites the links of the HTML and no others."""
    tracking: dict[str, JsonValue] = {}
    if options.track_opens is not None:
        tracking["opens"] = options.track_opens
    if options.track_links:
        tracking["clicks"] = options.track_links in ("html", "html_and_text")
    if options.track_links in ("text", "html_and_text"):
        report.append("tracking of the links in the text is asked for: the vendor rewrites those of the HTML only")
    return tracking


def _attachment(attachment: Attachment) -> dict[str, JsonValue]:
    """A Content-ID only where the body shows the part: with one, a file would not be seen as a file."""
    content_id = attachment.content_id if attachment.inline else ""
    return {
        "filename": attachment.filename,
        "content": attachment.source,
        "content_type": attachment.content_type,
        **({"content_id": content_id} if content_id else {}),
    }


def _recipients(group: recast.Recipients, submission: Submission) -> dict[str, JsonValue]:
    """Who gets one request's message, and the key that is this request's on every attempt.

    The API takes one payload for a key, so a request for a recipient whom the message does not name has a key of its
    own; it does not depend on who else is served by the same attempt.
    """
    fields: dict[str, Sequence[str]] = {
        "to": [format_mailbox(one) for one in group.to],
        "cc": [format_mailbox(one) for one in group.cc],
        "bcc": group.bcc,
    }
    key = submission.idempotency_key
    shown = {folded(one.address) for one in (*submission.content.to, *submission.content.cc)}
    if shown.isdisjoint(folded(path) for path in group.served):
        key = f"{key}/{folded(group.to[0].address)}"
    return {**{name: value for name, value in fields.items() if value}, "idempotency_key": key}


# -- the answers


def read_answer(answer: ApiAnswer | NoAnswer, account: VendorAccount, report: list[str]) -> Outcome:
    """What an answer to POST /emails means; a success that sent nothing says so in the report."""
    if isinstance(answer, NoAnswer):
        return read_no_answer(answer, account)
    body = decode_object(answer.body)
    if 200 <= answer.status < 300:
        return _accepted(body, account, report)
    reason = without_key(_reason(answer.status, body), account)
    wait_seconds = retry_after_seconds(answer)
    if answer.status == 429:
        return _limited(body, reason, wait_seconds)
    # 409 is no answer to a message: at most, that the same key is being served at this moment
    if answer.status >= 500 or answer.status < 400 or answer.status in (408, 409):
        return Deferred(Cause.UNAVAILABLE, reason, wait_seconds)
    cause = _refusal(answer.status, body, reason)
    if cause in (Cause.KEY_REFUSED, Cause.FORBIDDEN) and not account.own_key:
        return Deferred(Cause.OPERATOR_KEY_REFUSED, reason)
    return Refused(cause, reason)


def _accepted(body: dict[str, Any], account: VendorAccount, report: list[str]) -> Accepted:
    given = body.get("id")
    message_id = without_key(given, account) if isinstance(given, str) else ""
    if body.get("replayed") is True:
        report.append(f"replayed: the vendor had this idempotency key before, as {message_id}; nothing was sent again")
    if body.get("test_mode") is True:
        report.append("test mode: the key is a test key, and the vendor delivers nothing")
    return Accepted(message_id)


def _limited(body: dict[str, Any], reason: str, wait_seconds: float | None) -> Deferred:
    """The request rate, which Retry-After tells; or a quota, for which it does not: then no short wait helps."""
    if body.get("code") in QUOTA_CODES or wait_seconds is None:
        wait_seconds = max(wait_seconds or 0.0, QUOTA_WAIT_SECONDS)
    return Deferred(Cause.RATE_LIMITED, reason, wait_seconds)


def _refusal(status: int, body: dict[str, Any], reason: str) -> Cause:
    """By code, which is stable, else by status; some causes have nothing but their text."""
    by_code = {"unauthorized": Cause.KEY_REFUSED, "forbidden": Cause.FORBIDDEN}
    by_status = {401: Cause.KEY_REFUSED, 403: Cause.FORBIDDEN, 413: Cause.TOO_LARGE}
    cause = by_code.get(str(body.get("code"))) or by_status.get(status, Cause.INVALID)
    if cause in (Cause.KEY_REFUSED, Cause.TOO_LARGE):
        return cause
    if UNVERIFIED.search(reason):
        return Cause.SENDER_UNVERIFIED
    return Cause.SUPPRESSED if SUPPRESSED.search(reason) else cause


def _reason(status: int, body: dict[str, Any]) -> str:
    for text in (body.get("error"), body.get("code")):
        if isinstance(text, str) and text.strip():
            return text.strip()
    return f"the API answered HTTP {status}"
