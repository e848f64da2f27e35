"""What a message would become: the requests that a vendor would get, and the report of what changed. Nothing is sent.

The walk is dispatch's, with every request taken as accepted; the key is never read, so that it cannot be shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from gateway.content.addresses import parse_mailboxes
from gateway.content.json_body import JsonBody
from gateway.content.reading import UnreadableError, read_content
from gateway.content.spool import Spool
from gateway.delivery import TOO_LARGE_FOR_VENDOR
from gateway.message import Content, Envelope, Submission
from gateway.outcome import Accepted, Cause, Outcome, Reply, fold, reply_for
from gateway.routing import Route, Sender, choose_route, what_stops
from gateway.trace import missing_fields
from gateway.vendor import ApiAnswer, ApiRequest, Dialect, DialectError, Vendor, VendorAccount

MASKED = "***"
SHOWN_BASE64_CHARACTERS = 60  # tells one file from another, and keeps the document on a page
TAKEN = ApiAnswer(200, {}, b"{}")


class NoRecipientError(ValueError):
    """Neither the caller nor the message names anybody."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message would go, and how it is read.

    routes, streams and templates are the settings': what the fitting route lets a message go without, and what another
    vendor's names are here. losses: the features that it may go without besides, by name.
    """

    dialect: Vendor
    vendor: Vendor
    vendor_name: str
    url: str
    losses: Collection[str] = ()
    routes: Sequence[Route] = ()
    streams: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)

    def losses_of(self, submission: Submission) -> tuple[str, ...]:
        """What this message may go without: as given, and by the first route that fits, if it leads here."""
        route = choose_route(self.routes, Sender("", "", self.dialect.dialect.name), submission)
        return (*self.losses, *(route.losses if route and self.vendor_name in route.vendors else ()))

    def renamed(self, submission: Submission) -> Submission:
        """The submission with this vendor's names for streams and templates."""
        options = submission.options
        stream = self.streams.get(options.stream, options.stream)
        template = self.templates.get(options.template, options.template)
        return replace(submission, options=replace(options, stream=stream, template=template))


@dataclass(frozen=True, slots=True)
class Moment:
    """What a submission server adds to a message that lacks it: an id, and when and where it was taken."""

    message_id: str
    hostname: str
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """refusal is the reply that the client would get instead of a 250; there are no requests then.

    missing: the features, by name, that a route would have to let the message go without.
    """

    requests: tuple[ApiRequest, ...] = ()
    report: tuple[str, ...] = ()
    refusal: Reply | None = None
    missing: tuple[str, ...] = ()


def explain(
    spool: Spool, target: Target, moment: Moment, reverse_path: str | None, paths: Sequence[str]
) -> Explanation:
    """Say what would become of a message. What the envelope lacks is taken from the header section.

    The requests read the spool when they are shown. NoRecipientError when nobody is named anywhere.
    """
    wording = target.dialect.dialect.wording
    if spool.size_octets > target.vendor.message_octets:
        return Explanation(refusal=TOO_LARGE_FOR_VENDOR)
    try:
        content = read_content(spool)
        submission = _submission(content, target, moment, envelope_of(content, reverse_path, paths))
    except UnreadableError as error:
        return Explanation(refusal=reply_for(Cause.UNREADABLE, str(error), wording))
    except DialectError as error:
        return Explanation(refusal=reply_for(Cause.INVALID, str(error), wording))
    route = Route((target.vendor_name,), losses=target.losses_of(submission))
    forbidden = what_stops(route, target.vendor.can, submission)
    if forbidden:
        reason = f"{target.vendor_name} cannot carry {'; '.join(forbidden.values())}"
        return Explanation(refusal=reply_for(Cause.INVALID, reason, wording), missing=tuple(forbidden))
    return _translated(target.renamed(submission), target)


def envelope_of(content: Content, reverse_path: str | None, paths: Sequence[str]) -> Envelope:
    """The envelope as given; else from From, and from To, Cc and Bcc. NoRecipientError when nobody is named."""
    if reverse_path is None:
        reverse_path = content.author[0].address if content.author else ""
    named = [one for body in content.bodies("bcc") for one in parse_mailboxes(body)]
    found = paths or [one.address for one in (*content.to, *content.cc, *named)]
    if not found:
        raise NoRecipientError("the message names no recipient")
    return Envelope(reverse_path, tuple(dict.fromkeys(found)))


def _submission(content: Content, target: Target, moment: Moment, envelope: Envelope) -> Submission:
    options = target.dialect.read_dialect(content.fields)
    left = [one for one in content.fields if not target.dialect.is_dialect_field(one.name)]
    left += missing_fields(left, moment.hostname, moment.message_id, moment.wall_seconds)
    return Submission(moment.message_id, envelope, replace(content, fields=tuple(left)), options)


def _translated(submission: Submission, target: Target) -> Explanation:
    translation = target.vendor.translate(VendorAccount(target.url, MASKED), submission)
    requests: list[ApiRequest] = []
    try:
        requests.append(next(translation.exchange))
        while True:
            requests.append(translation.exchange.send(TAKEN))
    except StopIteration as stop:
        outcomes: Mapping[str, Outcome] = stop.value
    report = (*submission.content.report, *submission.options.report, *translation.report)
    outcome = fold(outcomes)
    if requests or isinstance(outcome, Accepted):
        return Explanation(tuple(requests), report)
    return Explanation((), report, reply_for(outcome.cause, outcome.reason, target.dialect.dialect.wording))


# -- in words


def lines(explanation: Explanation, dialect: Dialect, *, full: bool) -> Iterator[str]:
    """The explanation as text; full shows base64 whole."""
    for request in explanation.requests:
        yield f"{request.method} {request.url}"
        yield from (f"{name}: {value}" for name, value in request.headers.items())
        yield ""
        if request.json is not None:
            yield _pretty(request.json if full else _shortened(request.json))
            yield ""
    if explanation.refusal is not None:
        reply = explanation.refusal
        enhanced = f"{reply.enhanced} " if dialect.enhanced_status_codes and reply.enhanced else ""
        yield f"Refused: {reply.code} {enhanced}{reply.text}"
        if explanation.missing:
            yield f"It goes without them where a route allows it: losses = {json.dumps(explanation.missing)}"
    elif not explanation.report:
        yield "Report: everything is carried as it was."
    if explanation.report:
        yield "Report:"
        yield from (f"- {_one_line(line)}" for line in explanation.report)


def _pretty(document: Any) -> str:
    return msgspec.json.format(b"".join(JsonBody(document).pieces()), indent=2).decode()


def _shortened(value: Any) -> Any:
    """The document with only the beginning of each base64 content."""
    if hasattr(value, "base64_octets"):
        beginning = next(iter(value.pieces()), b"")[:SHOWN_BASE64_CHARACTERS].decode()
        rest = value.base64_octets - len(beginning)
        return f"{beginning}… ({rest} more characters of base64)" if rest else beginning
    if isinstance(value, Mapping):
        return {name: _shortened(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_shortened(one) for one in value]
    return value


def _one_line(text: str) -> str:
    """A line of the report, which may repeat what a message says, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)
