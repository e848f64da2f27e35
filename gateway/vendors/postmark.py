"""Postmark: its SMTP dialect and its HTTP API.

What its documentation says is taken as said; what it leaves open is decided here and told in docs/POSTMARK.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gateway.message import Attachment, Content, HeaderField, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, Reply
from gateway.vendor import (
    ApiAnswer,
    ApiRequest,
    BatchCall,
    Dialect,
    DialectError,
    Exchange,
    Feature,
    JsonValue,
    KeyExchange,
    NoAnswer,
    Translation,
    VendorAccount,
    concerns_all,
    decode_items,
    decode_object,
    decode_words,
    folded,
    format_mailbox,
    parse_mailboxes,
    read_no_answer,
    recast,
    retry_after_seconds,
)

T = TypeVar("T")

RECIPIENTS = 50  # To, Cc and Bcc of one message together

DIALECT = Dialect(
    name="postmark",
    user_name="",
    key_twice=True,
    recipients=RECIPIENTS,
    mechanisms=("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"),
    enhanced_status_codes=True,
    # Its endpoint takes a message first, and tells of what fails later as a bounce
    default_mode="queued",
    default_notices=("bounce",),
    wording={
        # The one reply that is known of this vendor (a session of 2016); the others are the field's own
        Cause.USER_NAME_INVALID: Reply(535, "Error: authentication failed", "5.7.8"),
        Cause.AUTHENTICATION_FAILED: Reply(535, "Error: authentication failed", "5.7.8"),
        Cause.KEY_REFUSED: Reply(535, "Error: authentication failed", "5.7.8"),
        # The API's own words, because they say what to do
        Cause.INVALID: Reply(554, "{reason}", "5.6.0"),
        Cause.FORBIDDEN: Reply(550, "{reason}", "5.7.1"),
        Cause.SENDER_UNVERIFIED: Reply(550, "{reason}", "5.7.1"),
        Cause.SUPPRESSED: Reply(550, "{reason}", "5.1.1"),
        Cause.TOO_LARGE: Reply(552, "{reason}", "5.3.4"),
    },
)

TEMPLATE_PATH = "/email/withTemplate"
UNREADABLE_ITEM = "the answer to the batch does not tell of this message"
TEST_TOKEN = "POSTMARK_API_TEST"  # noqa: S105 - public: it validates a message and delivers nothing
TAG_CHARACTERS = 1000
METADATA_KEYS, METADATA_KEY_CHARACTERS, METADATA_VALUE_CHARACTERS = 10, 20, 80
METADATA_PREFIX = "x-pm-metadata-"
SINGLE_FIELDS = frozenset(
    {"x-pm-message-stream", "x-pm-tag", "x-pm-trackopens", "x-pm-tracklinks", "x-pm-keepid", "x-pm-bounce-type"}
)

BOUNCE_TYPE = re.compile(r"[A-Za-z_]{1,40}")  # in camel case or snake case; which ones there are, the vendor knows
BOOLEANS = {"true": True, "false": False}
LINKS = {"none": "None", "html": "HtmlOnly", "text": "TextOnly", "html_and_text": "HtmlAndText"}
LINKS_READ = {value.lower(): name for name, value in LINKS.items()}
OWN_FIELDS = frozenset({"reply-to", "date", "sender", "message-id"})  # besides those that no vendor is passed
NOT_CARRIED = ("Sender", "Date", "Message-ID")  # its official converters leave out the first two, it writes the third

# What an error code means where its HTTP status says no more than 422; codes of older tables are among them
CAUSES = {
    10: Cause.KEY_REFUSED, 100: Cause.UNAVAILABLE, 101: Cause.UNAVAILABLE,
    400: Cause.SENDER_UNVERIFIED, 401: Cause.SENDER_UNVERIFIED, 405: Cause.FORBIDDEN, 406: Cause.SUPPRESSED,
    412: Cause.FORBIDDEN, 413: Cause.FORBIDDEN, 422: Cause.FORBIDDEN, 429: Cause.RATE_LIMITED,
    500: Cause.UNAVAILABLE, 503: Cause.UNAVAILABLE, 1480: Cause.FORBIDDEN,
}  # fmt: skip
STATUSES = {401: Cause.KEY_REFUSED, 403: Cause.FORBIDDEN, 413: Cause.TOO_LARGE, 429: Cause.RATE_LIMITED}
UNVERIFIED = re.compile(r"sender signature|not (been )?(confirmed|verified)", re.IGNORECASE)
PARTLY_TAKEN = "message ok"
INACTIVE_ARE, INACTIVE_END = "inactive addresses:", " inactive recipients"  # around their list, without case
# Codes under 422 that are about the account and not about a message of it
OF_THE_ACCOUNT = frozenset({10, 100, 101, 405, 413, 422, 429, 500, 503, 1480})


# -- the batch call


def _path(submission: Submission) -> str:
    return TEMPLATE_PATH if submission.options.template else "/email"


def _join(requests: Sequence[ApiRequest]) -> ApiRequest:
    """A bare array for plain messages, an object with an array for those with a template."""
    first, messages = requests[0], [one.json for one in requests]
    if first.url.endswith(TEMPLATE_PATH):
        url = first.url.removesuffix(TEMPLATE_PATH) + "/email/batchWithTemplates"
        return replace(first, url=url, json={"Messages": messages})
    return replace(first, url=f"{first.url}/batch", json=messages)


def _part(answer: ApiAnswer) -> list[ApiAnswer | NoAnswer | None]:
    """An array in the order of the request; each item is what the body of a single answer would be."""
    items = decode_items(answer.body)
    return [replace(answer, body=item) if _is_result(item) else NoAnswer(True, UNREADABLE_ITEM) for item in items]


def _is_result(item: bytes) -> bool:
    """Whether an item says what became of its message: under a 200 that is for the batch, nothing else does."""
    body = decode_object(item)
    code, message_id = body.get("ErrorCode"), body.get("MessageID")
    return (isinstance(code, int) and not isinstance(code, bool)) or (isinstance(message_id, str) and bool(message_id))


def _concerns_all(answer: ApiAnswer) -> bool:
    return concerns_all(answer) or _code(answer, decode_object(answer.body)) in OF_THE_ACCOUNT


BATCH = BatchCall(
    submissions=500,
    octets=50 * 1000 * 1000,  # which megabyte is meant is not documented: the smaller one
    key=_path,
    join=_join,
    part=_part,
    concerns_all=_concerns_all,
)


class Postmark:
    """The vendor, as gateway.vendor.Vendor asks."""

    dialect = DIALECT
    batch = BATCH
    # 10 MB after base64, which in SMTP has two octets of line end after 76 of its own (RFC 2045 §6.8)
    message_octets = 10 * 1024 * 1024 * 78 // 76
    can = frozenset(
        {
            Feature.ATTACHMENTS,
            Feature.REPLY_TO,
            Feature.TAGS,
            Feature.METADATA,
            Feature.TEMPLATE,
            Feature.STREAM,
            Feature.TRACKING,
            Feature.KEEP_MESSAGE_ID,
            Feature.TEST_BOUNCE,
        }
    )
    default_url = "https://api.postmarkapp.com"

    # -- the dialect

    def is_dialect_field(self, name: str) -> bool:
        """All X-PM-* fields are taken out, known or not."""
        return name.lower().startswith("x-pm-")

    def read_dialect(self, fields: Sequence[HeaderField]) -> SendOptions:
        """Each control field once, metadata up to its limits; DialectError for what the vendor would not take."""
        metadata: dict[str, str] = {}
        single: dict[str, str] = {}
        report = []
        for field in filter(lambda one: self.is_dialect_field(one.name), fields):
            name, value = field.name.lower(), decode_words(field.body).strip()
            if name.startswith(METADATA_PREFIX) and name != METADATA_PREFIX:
                _add_metadata(metadata, field.name[len(METADATA_PREFIX) :], value)
            elif name in SINGLE_FIELDS:
                if single.setdefault(name, value) != value:
                    raise DialectError(f"{field.name} stands more than once, with different values")
            else:
                report.append(f"{field.name} has no meaning here and was taken out")
        return _options(single, metadata, tuple(report))

    # -- the API

    def check_key(self, account: VendorAccount) -> KeyExchange:
        """Ask for the server that the token belongs to; a server may have its SMTP access switched off."""
        if account.key.upper() == TEST_TOKEN:
            return True  # a constant that needs no asking; whether GET /server knows it is not documented
        answer = yield ApiRequest("GET", f"{account.url}/server", _headers(account))
        if isinstance(answer, NoAnswer):
            return None
        if answer.status == 200:
            return decode_object(answer.body).get("SmtpApiActivated") is not False
        return False if answer.status == 401 else None

    def translate(self, account: VendorAccount, submission: Submission) -> Translation:
        """One request; or one for each forward-path when none may be seen by the others."""
        report: list[str] = []
        try:
            message = _message(submission, report, self.is_dialect_field)
            groups = recast.recipients(submission, report)
            _check_count(groups)
        except recast.CannotSayError as error:
            return Translation(recast.refuse(submission.envelope, str(error)), ())
        path = _path(submission)

        def request(group: recast.Recipients) -> ApiRequest:
            return ApiRequest("POST", account.url + path, _headers(account), message | _recipients(group))

        return Translation(_send(account, submission, groups, request), tuple(report))


VENDOR = Postmark()


# -- the dialect's fields


def _add_metadata(metadata: dict[str, str], key: str, value: str) -> None:
    """A key that is there already, in any case, gets a number at its end, as the vendor does."""
    if len(key) > METADATA_KEY_CHARACTERS:
        raise DialectError(f"X-PM-Metadata-{key[:40]}: a metadata key has {METADATA_KEY_CHARACTERS} characters at most")
    if len(value) > METADATA_VALUE_CHARACTERS:
        raise DialectError(f"X-PM-Metadata-{key}: a value has {METADATA_VALUE_CHARACTERS} characters at most")
    if len(metadata) == METADATA_KEYS:
        raise DialectError(f"X-PM-Metadata-{key}: a message has {METADATA_KEYS} metadata keys at most")
    known = {one.lower() for one in metadata}
    suffixes = ("", *(f"_{number}" for number in range(2, METADATA_KEYS + 1)))
    keys = (key[: METADATA_KEY_CHARACTERS - len(suffix)] + suffix for suffix in suffixes)
    metadata[next(one for one in keys if one.lower() not in known)] = value


def _options(single: Mapping[str, str], metadata: Mapping[str, str], report: tuple[str, ...]) -> SendOptions:
    tag, bounce = single.get("x-pm-tag", ""), single.get("x-pm-bounce-type", "")
    if len(tag) > TAG_CHARACTERS:
        raise DialectError(f"X-PM-Tag: a tag has {TAG_CHARACTERS} characters at most")
    if bounce and not BOUNCE_TYPE.fullmatch(bounce):
        raise DialectError(f"X-PM-Bounce-Type: expected a type of bounce such as SoftBounce, got {bounce[:80]}")
    return SendOptions(
        tags=(tag,) if tag else (),
        metadata=metadata,
        track_opens=_one_of(single, "X-PM-TrackOpens", BOOLEANS, "true or false"),
        track_links=_one_of(single, "X-PM-TrackLinks", LINKS_READ, ", ".join(LINKS.values())) or "",
        stream=single.get("x-pm-message-stream", ""),
        keep_message_id=_one_of(single, "X-PM-KeepID", BOOLEANS, "true or false") or False,
        test_bounce=bounce,
        report=report,
    )


def _one_of(single: Mapping[str, str], name: str, meanings: Mapping[str, T], expected: str) -> T | None:
    value = single.get(name.lower(), "")
    if value and value.lower() not in meanings:
        raise DialectError(f"{name}: expected {expected}, got {value[:80]}")
    return meanings[value.lower()] if value else None


def _headers(account: VendorAccount) -> dict[str, str]:
    return {
        "X-Postmark-Server-Token": account.key,
        "Content-Type": "application/json",
        "Accept": "application/json",
    }


# -- a submission as the API's document


def _message(
    submission: Submission, report: list[str], is_dialect_field: Callable[[str], bool]
) -> dict[str, JsonValue]:
    """All of the document but the recipients."""
    content, options = submission.content, submission.options
    optional: dict[str, JsonValue] = {
        "ReplyTo": _reply_to(content, report),
        "Headers": _fields(submission, report, is_dialect_field),
        "Tag": options.tags[0] if options.tags else "",
        "Metadata": options.metadata,
        "MessageStream": options.stream,
        "TrackLinks": LINKS.get(options.track_links, ""),
        "Attachments": [_attachment(one, report) for one in content.attachments],
    }
    if len(options.tags) > 1:
        report.append(f"only the first tag is carried, and not {', '.join(options.tags[1:])}: the API takes one")
    return {
        "From": format_mailbox(recast.author(submission, report)),
        **(_template(submission, report) if options.template else _subject_and_bodies(content, report)),
        **{name: value for name, value in optional.items() if value},
        **({} if options.track_opens is None else {"TrackOpens": options.track_opens}),
    }


def _template(submission: Submission, report: list[str]) -> dict[str, JsonValue]:
    """A template takes the place of subject and bodies; a number is its id, anything else its alias."""
    options = submission.options
    recast.tell_of_template(submission.content, report)
    named: dict[str, JsonValue] = {"TemplateAlias": options.template}
    if re.fullmatch(r"[1-9][0-9]{0,17}", options.template, re.ASCII):
        named = {"TemplateId": int(options.template)}
    return named | {"TemplateModel": options.variables}


def _subject_and_bodies(content: Content, report: list[str]) -> dict[str, JsonValue]:
    text, html = recast.bodies(content)
    parts: dict[str, JsonValue] = {"Subject": content.subject.strip() or None, "TextBody": text, "HtmlBody": html}
    if text is None and html is None:
        report.append("no text: an empty line is sent, because the API asks for a body")
        parts["TextBody"] = "\n"
    return {name: part for name, part in parts.items() if part is not None}


def _reply_to(content: Content, report: list[str]) -> str:
    bodies = [body for body in content.bodies("reply-to") if body.strip()]
    mailboxes = [mailbox for body in bodies for mailbox in parse_mailboxes(body)]
    if bodies and not mailboxes:
        report.append("Reply-To has no address and is not carried")
    return ", ".join(map(format_mailbox, mailboxes))


def _fields(submission: Submission, report: list[str], is_dialect_field: Callable[[str], bool]) -> list[dict[str, str]]:
    """The fields that have no place of their own, repeats included; the Message-ID only when it is to be kept."""
    content, kept = submission.content, submission.options.keep_message_id
    fields = list(recast.passed_fields(content, report, is_dialect_field, without=OWN_FIELDS))
    message_ids = content.bodies("message-id") if kept else []
    # Which of the two the API heeds is not agreed upon; the vendor's own SwiftMailer transport sends both
    fields += [("Message-ID", message_ids[0].strip()), ("X-PM-KeepID", "true")] if message_ids else []
    bounce = submission.options.test_bounce
    fields += [("X-PM-Bounce-Type", bounce)] if bounce else []
    lost = [name for name in NOT_CARRIED if content.bodies(name) and not (name == "Message-ID" and kept)]
    if lost:
        report.append(f"{', '.join(lost)}: not carried, because the vendor writes its own or none")
    return [{"Name": name, "Value": body} for name, body in fields]


def _attachment(attachment: Attachment, report: list[str]) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = {
        "Name": attachment.filename,
        "Content": attachment.source,
        "ContentType": attachment.content_type,
    }
    if attachment.content_id and not attachment.inline:
        report.append(f"the Content-ID of {attachment.filename} is not carried: the API would show the file inline")
    return document | (
        {"ContentID": f"cid:{attachment.content_id}"} if attachment.content_id and attachment.inline else {}
    )


def _check_count(groups: Sequence[recast.Recipients]) -> None:
    for group in groups:
        if (count := len(group.to) + len(group.cc) + len(group.bcc)) > RECIPIENTS:
            raise recast.CannotSayError(f"{count} recipients: Postmark takes {RECIPIENTS} for a message")


def _recipients(group: recast.Recipients) -> dict[str, JsonValue]:
    fields = {
        "To": ", ".join(map(format_mailbox, group.to)),
        "Cc": ", ".join(map(format_mailbox, group.cc)),
        "Bcc": ", ".join(group.bcc),
    }
    return {name: value for name, value in fields.items() if value}


# -- the answers


def _send(
    account: VendorAccount,
    submission: Submission,
    groups: Sequence[recast.Recipients],
    request: Callable[[recast.Recipients], ApiRequest],
) -> Exchange:
    """Send, and keep apart whom the answers name as inactive.

    A refusal that names only some has kept the message from the others too: it is sent once more, to them alone.
    """
    inactive: dict[str, str] = {}

    def read(answer: ApiAnswer | NoAnswer) -> Outcome:
        inactive.update(_inactive(answer, account))
        return read_answer(answer, account)

    outcomes = dict((yield from recast.send_to_each(groups, request, read)))
    left = tuple(path for path, one in outcomes.items() if _is_suppressed(one) and folded(path) not in inactive)
    if left and len(left) < len(outcomes):
        rest = replace(submission, envelope=replace(submission.envelope, forward_paths=left))
        outcomes |= yield from recast.send_to_each(recast.recipients(rest, []), request, read)
    for path, outcome in outcomes.items():
        if isinstance(outcome, Accepted) and folded(path) in inactive:
            outcomes[path] = Refused(Cause.SUPPRESSED, inactive[folded(path)])
    return outcomes


def _is_suppressed(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.cause is Cause.SUPPRESSED


def _inactive(answer: ApiAnswer | NoAnswer, account: VendorAccount) -> dict[str, str]:
    """The inactive addresses that an answer names, without case, each with the answer's text."""
    if isinstance(answer, NoAnswer) or answer.status >= 500:
        return {}
    reason = _reason(answer, decode_object(answer.body), account)
    listed = reason.casefold().partition(INACTIVE_ARE)[2].partition(INACTIVE_END)[0].strip().removesuffix(".")
    return {address: reason for one in listed.split(",") if "@" in (address := one.strip())}


def read_answer(answer: ApiAnswer | NoAnswer, account: VendorAccount) -> Outcome:
    """What an answer to a send request means; whom of several it leaves out is told apart."""
    if isinstance(answer, NoAnswer):
        return read_no_answer(answer, account)
    body = decode_object(answer.body)
    reason = _reason(answer, body, account)
    message_id = body.get("MessageID")
    taken = 200 <= answer.status < 300 and (bool(message_id) or not _code(answer, body))
    if taken or (answer.status < 500 and reason.lower().startswith(PARTLY_TAKEN)):
        return Accepted(_masked(message_id, account) if isinstance(message_id, str) else "")
    cause = _cause(answer.status, _code(answer, body), reason)
    if cause in (Cause.RATE_LIMITED, Cause.UNAVAILABLE):
        return Deferred(cause, reason, retry_after_seconds(answer))
    if cause in (Cause.KEY_REFUSED, Cause.FORBIDDEN) and not account.own_key:
        return Deferred(Cause.OPERATOR_KEY_REFUSED, reason)
    return Refused(cause, reason)


def _cause(status: int, code: int, reason: str) -> Cause:
    """By the status where it says something, by the code where the status is 422 as for almost everything."""
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500 or 300 <= status < 400 or status == 408:
        return Cause.UNAVAILABLE
    if code not in CAUSES and UNVERIFIED.search(reason):
        return Cause.SENDER_UNVERIFIED  # its code is no longer in the table
    return CAUSES.get(code, Cause.INVALID)


def _code(answer: ApiAnswer, body: Mapping[str, Any]) -> int:
    """The error code, of the body or of the header field that repeats it; 0 when there is none."""
    code = body.get("ErrorCode")
    if isinstance(code, int) and not isinstance(code, bool):
        return code
    told = answer.headers.get("x-pm-apierrorcode", "").strip()
    return int(told) if re.fullmatch("[0-9]{1,6}", told) else 0


def _reason(answer: ApiAnswer, body: Mapping[str, Any], account: VendorAccount) -> str:
    """The vendor's text; of several errors (code 11) each one's, in whatever shape they are listed."""
    errors = body.get("Errors")
    listed = errors if isinstance(errors, list) else list(errors.values()) if isinstance(errors, dict) else []
    told = [text for one in listed if (text := _text(one))] or [_text(body)]
    return _masked(" ".join(told) or f"the API answered HTTP {answer.status}", account)


def _text(error: object) -> str:
    text = error.get("Message") if isinstance(error, Mapping) else error
    return text.strip() if isinstance(text, str) else ""


def _masked(text: str, account: VendorAccount) -> str:
    """A text of the vendor's without the key, which has no case for this vendor."""
    return re.sub(re.escape(account.key), "***", text, flags=re.IGNORECASE) if account.key else text
