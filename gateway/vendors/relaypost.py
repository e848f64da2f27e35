"""RelayPost: its SMTP dialect and its HTTP API.

Its documentation exists in two generations that disagree, and says next to nothing about SMTP; what is decided here
where it is silent is told in docs/RELAYPOST.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.message import Content, HeaderField, Mailbox, SendOptions, Submission
from gateway.outcome import Accepted, Cause, Deferred, Outcome, Refused
from gateway.vendor import (
    ApiAnswer,
    ApiRequest,
    Dialect,
    Exchange,
    Feature,
    JsonValue,
    KeyExchange,
    NoAnswer,
    Translation,
    UserNames,
    VendorAccount,
    decode_object,
    folded,
    lost,
    read_no_answer,
    recast,
    retry_after_seconds,
    without_key,
)

DIALECT = Dialect(
    name="relaypost",
    user_name="",  # SMTP credentials are pairs of their own; an API key is no password here
    mechanisms=("PLAIN", "LOGIN"),
    enhanced_status_codes=True,
    wording={},  # the vendor prints no reply at all, so the field's own are given
    user_names=UserNames(re.compile(r"[A-Za-z0-9_]{4,50}"), "4 to 50 letters, digits and underscores", "smtp_"),
)

KEY_CHECKS = ("/emails?limit=1", "/domains")  # no call is meant for it; the second where the first has gone
NO_SUBJECT = "(no subject)"  # the API takes no message without one; this is what mail readers show for it
# One generation of the documentation gives the base with /v1 and says that paths begin with /api/v1 as well
DOUBLED_PREFIX = re.compile(r"(/(?:api/)?v1)(?:/(?:api/)?v1)+$")
# To wait when Retry-After is missing: the window of a key's request rate, the shortest one of an organization's limit
MINUTE_SECONDS, HOUR_SECONDS = 60.0, 3600.0
SOMEBODY_SUPPRESSED = "one or more of the recipients are suppressed, and the API does not say which"


class RelayPost:
    """The vendor, as gateway.vendor.Vendor asks."""

    dialect = DIALECT
    # No limit is documented: what every listener takes by itself may try, and a 413 is told to the client
    message_octets = 50 * 1024 * 1024
    can = frozenset({Feature.TEMPLATE, Feature.SCHEDULE})
    # The newer generation's, which its examples call; the older one's is https://relaypost.dev/api/v1
    default_url = "https://api.relaypost.dev/v1"

    # -- the dialect

    def is_dialect_field(self, name: str) -> bool:
        """No field is documented; whoever writes one of this name means the vendor and not the recipient."""
        return name.lower().startswith("x-relaypost-")

    def read_dialect(self, fields: Sequence[HeaderField]) -> SendOptions:
        """Nothing can be asked for in this dialect."""
        taken_out = (field.name for field in fields if self.is_dialect_field(field.name))
        return SendOptions(report=tuple(f"{name} has no meaning here and was taken out" for name in taken_out))

    # -- the API

    def check_key(self, account: VendorAccount) -> KeyExchange:
        """List one message, or the domains: 401 is only for a key that is not known."""
        for path in KEY_CHECKS:
            answer = yield ApiRequest("GET", _url(account, path), _headers(account))
            if isinstance(answer, NoAnswer):
                return None
            if answer.status == 401:
                return False
            # 403: the organization is suspended, which each message is told
            if answer.status < 300 or answer.status == 403:
                return True
            if answer.status != 404:
                return None
        return None

    def translate(self, account: VendorAccount, submission: Submission) -> Translation:
        """One request; or one for each forward-path when none may be seen by the others."""
        report = [f"{words}: not carried, the API has no place for it" for words in lost(submission, self.can).values()]
        try:
            message = _message(submission, report)
        except recast.CannotSayError as error:
            return Translation(recast.refuse(submission.envelope, str(error)), ())
        groups = recast.recipients(submission, report)
        return Translation(_send(account, message, submission, groups, report), report)


VENDOR = RelayPost()


def _url(account: VendorAccount, path: str) -> str:
    """Where a path is, under either base; a prefix that was written twice counts once."""
    return DOUBLED_PREFIX.sub(r"\1", account.url.rstrip("/")) + path


def _headers(account: VendorAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key}", "Content-Type": "application/json", "Accept": "application/json"}


# -- a submission as the API's document


def _message(submission: Submission, report: list[str]) -> dict[str, JsonValue]:
    """All of the document but the recipients."""
    content, options = submission.content, submission.options
    # Reply-To has no field. Other fields may pass, but whether this one does is not documented: replies must not stray
    fields = recast.passed_fields(content, report, VENDOR.is_dialect_field, without=frozenset({"reply-to"}))
    optional: dict[str, JsonValue] = {"headers": recast.joined(fields, report), "scheduled_at": options.scheduled_at}
    return {
        "from": _mailbox(recast.author(submission, report)),
        **(_template(submission, report) if options.template else _subject_and_bodies(content, report)),
        **{name: value for name, value in optional.items() if value},
    }


def _mailbox(mailbox: Mailbox) -> dict[str, JsonValue]:
    name: dict[str, JsonValue] = {"name": mailbox.display_name} if mailbox.display_name else {}
    return {"email": mailbox.address, **name}


def _template(submission: Submission, report: list[str]) -> dict[str, JsonValue]:
    """A template takes the place of the bodies; of the subject only where the message has none."""
    content, options = submission.content, submission.options
    if any(recast.bodies(content)):
        report.append("the text comes from the template: the message's own is not carried")
    optional: dict[str, JsonValue] = {"subject": content.subject.strip(), "template_data": options.variables}
    return {"template_id": options.template, **{name: value for name, value in optional.items() if value}}


def _subject_and_bodies(content: Content, report: list[str]) -> dict[str, JsonValue]:
    subject = content.subject.strip()
    if not subject:
        subject = NO_SUBJECT
        report.append(f"no subject: sent as {NO_SUBJECT}")
    text, html = recast.bodies(content)
    if text is None and html is None:
        report.append("no text: an empty line is sent, because the API asks for a body")
        return {"subject": subject, "text": "\n"}
    bodies: dict[str, JsonValue] = {"text": text, "html": html}
    return {"subject": subject, **{name: body for name, body in bodies.items() if body is not None}}


def _recipients(group: recast.Recipients) -> dict[str, JsonValue]:
    fields: dict[str, list[JsonValue]] = {
        "to": [_mailbox(one) for one in group.to],
        "cc": [_mailbox(one) for one in group.cc],
        "bcc": [{"email": path} for path in group.bcc],
    }
    return {name: value for name, value in fields.items() if value}


# -- the answers


def _send(
    account: VendorAccount,
    message: Mapping[str, JsonValue],
    submission: Submission,
    groups: Sequence[recast.Recipients],
    report: list[str],
) -> Exchange:
    """Send to all groups; once more, to the others, when a request fails because of some that the answer names."""
    paths = submission.envelope.forward_paths
    several = len({folded(path) for path in paths}) > len(groups)
    named: dict[str, Outcome] = {}

    def read(answer: ApiAnswer | NoAnswer) -> Outcome:
        report.extend(line for line in _rate_limit(answer) if line not in report)
        named.update(dict.fromkeys(_suppressed(answer, paths), Refused(Cause.SUPPRESSED, "suppressed")))
        return read_answer(answer, account, several=several, templated="template_id" in message)

    def request(group: recast.Recipients) -> ApiRequest:
        return ApiRequest("POST", _url(account, "/emails/send"), _headers(account), {**message, **_recipients(group)})

    outcomes = dict((yield from recast.send_to_each(groups, request, read)))
    if not several or not named:
        return outcomes
    outcomes |= named
    rest = tuple(path for path in paths if path not in named)
    if rest:
        left = replace(submission, envelope=replace(submission.envelope, forward_paths=rest))
        outcomes |= yield from _send(account, message, left, recast.recipients(left, report), report)
    return outcomes


def _suppressed(answer: ApiAnswer | NoAnswer, paths: Sequence[str]) -> list[str]:
    """Those of the forward-paths that a refusal for suppressed recipients names; where it does is not documented."""
    error = _error(answer) if isinstance(answer, ApiAnswer) and answer.status == 400 else {}
    if error.get("code") != "RECIPIENTS_SUPPRESSED":
        return []
    texts = list(_strings([error.get("message"), error.get("details")]))
    return [path for path in paths if any(_names(text, path) for text in texts)]


def _strings(value: object) -> Iterator[str]:
    """All strings of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _names(text: str, path: str) -> bool:
    """Whether a text has this address, and not as a part of a longer one."""
    return re.search(rf"(?<![\w.!#$%&'*+/=?^`{{|}}~@-]){re.escape(path)}(?!\.?[\w@-])", text, re.IGNORECASE) is not None


def _rate_limit(answer: ApiAnswer | NoAnswer) -> list[str]:
    """What to report of the rate headers: that nothing is left."""
    if isinstance(answer, NoAnswer) or answer.headers.get("x-ratelimit-remaining", "").strip() != "0":
        return []
    limit = answer.headers.get("x-ratelimit-limit", "").strip()
    return [f"the rate limit{f' of {limit} requests' if limit.isdecimal() else ''} is used up"]


def read_answer(
    answer: ApiAnswer | NoAnswer, account: VendorAccount, *, several: bool = False, templated: bool = False
) -> Outcome:
    """What an answer to POST /emails/send means. several: it is about more than one forward-path."""
    if isinstance(answer, NoAnswer):
        return read_no_answer(answer, account)
    if 200 <= answer.status < 300:
        data = decode_object(answer.body).get("data")
        message_id = data.get("message_id") if isinstance(data, dict) else None
        return Accepted(without_key(message_id, account) if isinstance(message_id, str) else "")
    error = _error(answer)
    code, reason = error.get("code"), without_key(_reason(answer.status, error), account)
    if answer.status == 429:
        wait_seconds = HOUR_SECONDS if code == "LIMIT_EXCEEDED" else MINUTE_SECONDS
        return Deferred(Cause.RATE_LIMITED, reason, retry_after_seconds(answer, wait_seconds))
    # 404 without a template, and 405, can only mean that the base URL is wrong: the operator's to put right
    misdirected = (answer.status == 404 and not templated) or answer.status == 405
    if answer.status >= 500 or answer.status < 400 or answer.status == 408 or misdirected:
        return Deferred(Cause.UNAVAILABLE, reason, retry_after_seconds(answer))
    if code == "RECIPIENTS_SUPPRESSED" and several:
        return Refused(Cause.FORBIDDEN, SOMEBODY_SUPPRESSED)
    return _refusal(answer.status, code, reason, account)


def _refusal(status: int, code: object, reason: str, account: VendorAccount) -> Outcome:
    """What a 4xx means that is not to be tried again, unless the fault is the operator's key."""
    by_code = {"DOMAIN_NOT_VERIFIED": Cause.SENDER_UNVERIFIED, "RECIPIENTS_SUPPRESSED": Cause.SUPPRESSED}
    by_status = {401: Cause.KEY_REFUSED, 403: Cause.FORBIDDEN, 413: Cause.TOO_LARGE}
    cause = by_status.get(status) or by_code.get(str(code), Cause.INVALID)
    if status in (401, 403) and not account.own_key:
        return Deferred(Cause.OPERATOR_KEY_REFUSED, reason)
    return Refused(cause, reason)


def _error(answer: ApiAnswer) -> dict[str, Any]:
    error = decode_object(answer.body).get("error")
    return error if isinstance(error, dict) else {}


def _reason(status: int, error: Mapping[str, Any]) -> str:
    """The message, with the details that name fields; else the code."""
    details = error.get("details")
    told = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    named = "; ".join(f"{one.get('field')}: {one.get('message')}" for one in told)
    for text in (error.get("message"), error.get("code")):
        if isinstance(text, str) and text.strip():
            return f"{text.strip()} ({named})" if named else text.strip()
    return f"the API answered HTTP {status}"
