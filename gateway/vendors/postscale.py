"""Postscale: its SMTP dialect and its HTTP API.

What its documentation says is taken as said; what it leaves open is decided here and told in docs/POSTSCALE.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.message import Attachment, Content, HeaderField, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused, Reply, Unknown
from gateway.vendor import (
    ApiAnswer,
    ApiRequest,
    Dialect,
    Feature,
    JsonValue,
    KeyExchange,
    NoAnswer,
    Translation,
    VendorAccount,
    decode_object,
    decode_words,
    format_mailbox,
    lost,
    read_json_strings,
    read_no_answer,
    recast,
    retry_after_seconds,
    without_key,
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

DIALECT_PREFIX = "x-postscale-"
KEY_CHECKS = ("/domains?limit=1", "/emails?limit=1")  # no call is meant for it; the second where the first has gone
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NO_SUBJECT = "(no subject)"  # the API takes no message without one; this is what mail readers show for it
# Which of its words an unverified From domain has is not documented; "verify your account" is another matter
UNVERIFIED = re.compile(
    r"(domain|sender|from|dkim|spf)\b.*((not |un)verified|verif(y|ication)|not registered)"
    r"|((not |un)verified|verify).*\b(domain|sender)",
    re.IGNORECASE | re.DOTALL,
)


class Postscale:
    """The vendor, as gateway.vendor.Vendor asks."""

    dialect = DIALECT
    # 50 MB is said of SMTP; the API's own limits (50 MiB decoded, 80 MiB of JSON) are wider than what that becomes
    message_octets = 50 * 1024 * 1024
    can = frozenset(
        {
            Feature.ATTACHMENTS,
            Feature.REPLY_TO,
            Feature.TAGS,
            Feature.SEVERAL_TAGS,
            Feature.METADATA,
            Feature.TEMPLATE,
        }
    )
    default_url = "https://api.postscale.io/v1"

    # -- the dialect

    def is_dialect_field(self, name: str) -> bool:
        """All X-Postscale-* fields are taken out, known or not."""
        return name.lower().startswith(DIALECT_PREFIX)

    def read_dialect(self, fields: Sequence[HeaderField]) -> SendOptions:
        """Tags and metadata, in both forms that the documentation shows."""
        tags: dict[str, None] = {}
        metadata: dict[str, str] = {}
        report = []
        for field in fields:
            if not self.is_dialect_field(field.name):
                continue
            name = field.name.lower()
            found: list[tuple[str, str]] = []
            if name == "x-postscale-tags":
                tags |= dict.fromkeys(tag for word in decode_words(field.body).split(",") if (tag := word.strip()))
            elif name == "x-postscale-metadata":
                found = read_json_strings(field.name, decode_words(field.body))
            elif name.startswith("x-postscale-metadata-") and name != "x-postscale-metadata-":
                found = [(field.name[len("x-postscale-metadata-") :], decode_words(field.body).strip())]
            else:
                report.append(f"{field.name} has no meaning here and was taken out")
            for key, value in found:
                if key in metadata:
                    report.append(f"metadata {key} is given twice: the last holds")
                metadata[key] = value
        return SendOptions(tuple(tags), metadata, report=tuple(report))

    # -- the API

    def check_key(self, account: VendorAccount) -> KeyExchange:
        """List one domain, or one message: cheap, sends nothing, and 401 is only for a key that is not known."""
        for path in KEY_CHECKS:
            answer = yield ApiRequest("GET", account.url + path, _headers(account))
            if isinstance(answer, NoAnswer):
                return None
            if answer.status == 401:
                return False
            # 403: the key is known and may do less than this; scoped keys are announced
            if answer.status < 300 or answer.status == 403:
                return None if _is_web_page(answer) else True
            if answer.status != 404:
                return None
        return None

    def translate(self, account: VendorAccount, submission: Submission) -> Translation:
        """One request; or one for each forward-path when none may be seen by the others."""
        report = [f"{words}: not carried, the API has no place for it" for words in lost(submission, self.can).values()]
        try:
            message = _message(submission, report, self.is_dialect_field)
        except recast.CannotSayError as error:
            return Translation(recast.refuse(submission.envelope, str(error)), ())
        exchange = recast.send_to_each(
            recast.recipients(submission, report),
            lambda group: ApiRequest("POST", f"{account.url}/send", _headers(account), message | _recipients(group)),
            lambda answer: read_answer(answer, account),
        )
        return Translation(exchange, tuple(report))


VENDOR = Postscale()


def _headers(account: VendorAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key}", "Content-Type": "application/json", "Accept": "application/json"}


# -- a submission as the API's document


def _message(
    submission: Submission, report: list[str], is_dialect_field: Callable[[str], bool]
) -> dict[str, JsonValue]:
    """All of the document but the recipients."""
    content, options = submission.content, submission.options
    fields = recast.passed_fields(content, report, is_dialect_field)
    optional: dict[str, JsonValue] = {
        "headers": recast.joined(fields, report),
        "tags": options.tags,
        "metadata": options.metadata,
        "attachments": [_attachment(one) for one in content.attachments if _can_be_attached(one, report)],
    }
    return {
        "from": format_mailbox(recast.author(submission, report)),
        **(_template(submission, report) if options.template else _subject_and_bodies(content, report)),
        **{name: value for name, value in optional.items() if value},
    }


def _template(submission: Submission, report: list[str]) -> dict[str, JsonValue]:
    """A template takes the place of subject and bodies; by UUID or by slug."""
    options = submission.options
    recast.tell_of_template(submission.content, report)
    name = "template_id" if UUID.fullmatch(options.template) else "template"
    return {name: options.template, "variables": options.variables}


def _subject_and_bodies(content: Content, report: list[str]) -> dict[str, JsonValue]:
    subject = content.subject.strip()
    if not subject:
        subject = NO_SUBJECT
        report.append(f"no subject: sent as {NO_SUBJECT}")
    text, html = recast.bodies(content)
    document: dict[str, JsonValue] = {"subject": subject}
    if text is not None:
        document["text_body"] = text
    if html is not None:
        document["html_body"] = html
    if text is None and html is None:
        report.append("no text: an empty line is sent, because the API asks for a body")
        document["text_body"] = "\n"
    return document


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


def _recipients(group: recast.Recipients) -> dict[str, JsonValue]:
    fields: dict[str, Sequence[str]] = {
        "to": [format_mailbox(one) for one in group.to],
        "cc": [format_mailbox(one) for one in group.cc],
        "bcc": group.bcc,
    }
    return {name: value for name, value in fields.items() if value}


# -- the answers


def read_answer(answer: ApiAnswer | NoAnswer, account: VendorAccount) -> Outcome:
    """What an answer to POST /send means."""
    if isinstance(answer, NoAnswer):
        return read_no_answer(answer, account)
    body = decode_object(answer.body)
    if 200 <= answer.status < 300:
        return _read_success(answer, body, account)
    reason = without_key(_reason(answer.status, body), account)
    if answer.status == 429:
        return Deferred(Cause.RATE_LIMITED, reason, retry_after_seconds(answer, body.get("retry_after_seconds")))
    if answer.status >= 500 or answer.status < 400 or answer.status == 408:
        return Deferred(Cause.UNAVAILABLE, reason, retry_after_seconds(answer, body.get("retry_after_seconds")))
    cause = _refusal(answer.status, reason)
    if cause in (Cause.KEY_REFUSED, Cause.FORBIDDEN) and not account.own_key:
        return Deferred(Cause.OPERATOR_KEY_REFUSED, reason)
    return Refused(cause, reason)


def _read_success(answer: ApiAnswer, body: Mapping[str, Any], account: VendorAccount) -> Outcome:
    """202 is the API's word, even with its body cut; another 2xx may come from a proxy or a wrong url."""
    if answer.status != 202 and (body.get("error") or _is_web_page(answer)):
        return Unknown(f"HTTP {answer.status}, but not the API's")
    message_id = body.get("message_id")
    return Accepted(without_key(message_id, account) if isinstance(message_id, str) else "")


def _is_web_page(answer: ApiAnswer) -> bool:
    """Whether something else than the API has answered: the API speaks JSON only."""
    return answer.headers.get("content-type", "").lower().startswith("text/html")


def _refusal(status: int, reason: str) -> Cause:
    if status in (400, 403) and UNVERIFIED.search(reason):
        return Cause.SENDER_UNVERIFIED  # which of the two statuses it has is not documented
    by_status = {401: Cause.KEY_REFUSED, 403: Cause.FORBIDDEN, 413: Cause.TOO_LARGE, 422: Cause.SUPPRESSED}
    return by_status.get(status, Cause.INVALID)


def _reason(status: int, body: Mapping[str, Any]) -> str:
    """The reason in any of the three shapes; of code and text the text."""
    error = body.get("error")
    nested = error if isinstance(error, dict) else {}
    for text in (body.get("message"), nested.get("message"), error, nested.get("code"), body.get("code")):
        if isinstance(text, str) and text.strip():
            return text.strip()
    return f"the API answered HTTP {status}"
