"""A message taken apart for an API that builds it anew from fields: who gets it, who wrote it, which fields pass.

What every such vendor needs alike. Whatever cannot be carried as it was is told in the report, a list of plain words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.content.addresses import folded, format_mailbox, parse_mailboxes
from gateway.content.words import encode_words
from gateway.exchange import ApiAnswer, ApiRequest, Exchange, NoAnswer
from gateway.message import Content, Envelope, Mailbox, Submission, TextSource
from gateway.outcome import Accepted, Cause, Outcome, Refused
from gateway.quickly import quickly_made

# Fields with an API field of their own, fields that describe the old MIME structure, and trace fields of the way so far
NOT_PASSED = frozenset({
    "from", "to", "cc", "bcc", "subject", "mime-version", "return-path", "received", "delivered-to",
    "dkim-signature", "domainkey-signature", "authentication-results", "resent-bcc", "apparently-to", "x-bcc",
})  # fmt: skip
# Of those, what somebody may miss at the other end, and why it is not carried
REPORTED = {
    "dkim-signature": "the vendor builds and signs the message anew",
    "domainkey-signature": "the vendor builds and signs the message anew",
    "resent-bcc": "it names recipients that others must not see",
    "apparently-to": "it names recipients that others must not see",
    "x-bcc": "it names recipients that others must not see",
}
# Fields that name mailboxes (RFC 5322 §3.6.2, RFC 8098 §2.1): of these only the display names may become encoded words
ADDRESS_FIELDS = frozenset({"reply-to", "sender", "disposition-notification-to", "errors-to", "return-receipt-to"})
# Fields of identifiers and URLs, in which encoded words mean nothing (RFC 2047 §5)
IDENTIFIERS = frozenset({
    "message-id", "in-reply-to", "references", "list-id", "list-unsubscribe", "list-unsubscribe-post", "list-archive",
    "list-help", "list-owner", "list-post", "list-subscribe",
})  # fmt: skip
SINGLE_FIELDS = frozenset({"date", "message-id", "sender"})  # a list of two means nothing in them (RFC 5322 §3.6)


class CannotSayError(Exception):
    """The API cannot be told this message; the text says why, fit for the client to see."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Recipients:
    """Who gets one request's message, and the forward-paths that this serves."""

    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[str, ...]
    served: tuple[str, ...]


def author(submission: Submission, report: list[str]) -> Mailbox:
    """The one mailbox for From; CannotSayError when there is none."""
    authors = submission.content.author
    if not authors:
        if not submission.envelope.reverse_path:
            raise CannotSayError("The message has no From field with an address")
        report.append("no From field: the reverse-path stands for it")
        return Mailbox("", submission.envelope.reverse_path)
    if len(authors) > 1:
        report.append("From names several authors: only the first is carried")
    return authors[0]


def bodies(content: Content) -> tuple[TextSource | None, TextSource | None]:
    """Text and HTML, each None when there is not a character in it."""
    text, html = [one if one is not None and any(one.pieces()) else None for one in (content.text, content.html)]
    return text, html


def tell_of_template(content: Content, report: list[str]) -> None:
    """A template takes the place of subject and bodies: say so where the message has any."""
    if any(bodies(content)) or content.subject.strip():
        report.append("subject and text come from the template: those of the message are not carried")


def passed_fields(
    content: Content,
    report: list[str],
    is_dialect_field: Callable[[str], bool],
    *,
    without: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, str]]:
    """The header fields that travel as they are: name and body, in order, repeats included.

    without names fields, in lower case, that this API has a place of its own for.
    """
    for field in content.fields:
        name = field.name.lower()
        if name in NOT_PASSED:
            if name in REPORTED:
                report.append(f"{field.name} is not carried: {REPORTED[name]}")
            continue
        if name in without or name.startswith(("content-", "arc-")) or is_dialect_field(name):
            continue
        if name in IDENTIFIERS and not field.body.isascii():
            report.append(f"{field.name} is not carried: it has octets that no identifier may have")
            continue
        # Already encoded words stay; raw 8-bit text has to become some, because vendors write fields as they are
        body = field.body.strip()
        yield field.name, body if body.isascii() else _encoded(name, body)


def joined(fields: Iterable[tuple[str, str]], report: list[str]) -> dict[str, str]:
    """The same as an object, which holds each name once: repeats are joined, or left out where a list means nothing."""
    names: dict[str, str] = {}
    passed: dict[str, str] = {}
    repeats: dict[str, list[str]] = {}
    for name, body in fields:
        first = names.setdefault(name.lower(), name)
        if first in passed:
            repeats.setdefault(first, []).append(body)
        else:
            passed[first] = body
    for name in passed if repeats else ():
        if name not in repeats:
            continue
        if name.lower() in SINGLE_FIELDS:
            report.append(f"{name} stands more than once: the first is carried")
        else:
            passed[name] = ", ".join((passed[name], *repeats[name]))
            report.append(f"{name} stands more than once: its values were joined")
    return passed


def _encoded(name: str, body: str) -> str:
    mailboxes = parse_mailboxes(body) if name in ADDRESS_FIELDS else []
    if not mailboxes:
        return encode_words(body)
    named = (Mailbox(encode_words(one.display_name), one.address) for one in mailboxes)
    return ", ".join(format_mailbox(one) for one in named)


def recipients(submission: Submission, report: list[str]) -> list[Recipients]:
    """The envelope decides who gets it; To and Cc decide who of them is seen (RFC 5322 §3.6.3).

    One request, or one for each forward-path when none may be seen by the others: APIs ask for somebody in to.
    """
    served = submission.envelope.forward_paths
    spellings: dict[str, list[str]] = {}
    for path in served:
        spellings.setdefault(folded(path), []).append(path)
    left = {one: paths[0] for one, paths in spellings.items()}
    if len(left) < len(served):
        several = [sorted(set(same)) for same in spellings.values()]
        report += [f"one copy for {' and '.join(same)}" for same in several if len(same) > 1]
    to = _named(submission.content.to, left)
    cc = _named(submission.content.cc, left)
    bcc = tuple(left.values())
    if not to and cc:
        report.append("nobody in To: Cc travels as To, because the API asks for one")
        to, cc = cc, ()
    if to:
        return [Recipients(to, cc, bcc, served)]
    if len(bcc) > 1:
        report.append("nobody in To or Cc: a request for each recipient, so that none sees another")
    return [Recipients((Mailbox("", path),), (), (), tuple(spellings[folded(path)])) for path in bcc]


def _named(mailboxes: Sequence[Mailbox], left: dict[str, str]) -> tuple[Mailbox, ...]:
    """The mailboxes that are in the envelope, with their names; each is taken out of left."""
    pairs = [(one.display_name, left.pop(folded(one.address), None)) for one in mailboxes]
    return tuple([Mailbox(name, path) for name, path in pairs if path is not None])


def refuse(envelope: Envelope, reason: str) -> Exchange:
    """An exchange without any request."""
    return dict.fromkeys(envelope.forward_paths, Refused(Cause.INVALID, reason))
    yield  # what makes this a generator


def send_to_each(
    groups: Sequence[Recipients],
    request: Callable[[Recipients], ApiRequest],
    read: Callable[[ApiAnswer | NoAnswer], Outcome],
) -> Exchange:
    """Send to one group after the other.

    What defers one would defer the others. What refuses the first would refuse the others, unless it is a suppressed
    address; once one was taken, a refusal concerns a recipient, and the others are still tried.
    """
    outcomes: dict[str, Outcome] = {}
    stop: Outcome | None = None
    some_taken = False
    for group in groups:
        outcome = stop
        if outcome is None:
            outcome = read((yield request(group)))
            if isinstance(outcome, Accepted):
                some_taken = True
            elif not (isinstance(outcome, Refused) and (some_taken or outcome.cause is Cause.SUPPRESSED)):
                stop = outcome
        outcomes |= dict.fromkeys(group.served, outcome)
    return outcomes
