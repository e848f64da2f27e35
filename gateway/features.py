"""What a submission may ask of a vendor, and whether that vendor can do it. Pure, and the same for all vendors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum

from gateway.message import Submission


class Feature(StrEnum):
    """Something that a vendor's API can or cannot be told; the value is its name in the settings."""

    ATTACHMENTS = "attachments"
    REPLY_TO = "reply_to"
    TAGS = "tags"
    SEVERAL_TAGS = "several_tags"
    METADATA = "metadata"
    TEMPLATE = "template"
    SCHEDULE = "schedule"
    STREAM = "stream"
    TRACKING = "tracking"
    KEEP_MESSAGE_ID = "keep_message_id"
    IDEMPOTENCY_KEY = "idempotency_key"
    TEST_BOUNCE = "test_bounce"


HINTS = frozenset(
    {Feature.STREAM, Feature.TRACKING, Feature.KEEP_MESSAGE_ID, Feature.IDEMPOTENCY_KEY, Feature.TEST_BOUNCE}
)
"""What the recipients do not miss: a vendor that cannot do it still sends the message, and the report says so."""


def honours_idempotency(can: Collection[Feature]) -> bool:
    """Whether a vendor who can do these knows a message that it has already by its idempotency key.

    Then an unknown outcome may be repeated without harm: every attempt has the submission's one key.
    """
    return Feature.IDEMPOTENCY_KEY in can


def lost(submission: Submission, can: Collection[Feature]) -> Mapping[Feature, str]:
    """Of what the submission asks for, that which a vendor who can do these cannot do."""
    missing = {feature: words for feature, words in _asked_for(submission) if feature not in can}
    if Feature.TAGS in missing:
        missing.pop(Feature.SEVERAL_TAGS, None)  # who cannot be told any tag need not be asked about several
    return missing


def _asked_for(submission: Submission) -> Iterator[tuple[Feature, str]]:
    """The features that a submission needs, each with the words for a report or a refusal."""
    content, options = submission.content, submission.options
    if content.attachments:
        yield Feature.ATTACHMENTS, f"attachments ({', '.join(one.filename for one in content.attachments)})"
    if any(map(str.strip, content.bodies("reply-to"))):
        yield Feature.REPLY_TO, "Reply-To"
    if options.tags:
        yield Feature.TAGS, f"tags ({', '.join(options.tags)})"
    if len(options.tags) > 1:
        yield Feature.SEVERAL_TAGS, f"more than one tag ({', '.join(options.tags)})"
    if options.metadata:
        yield Feature.METADATA, f"metadata ({', '.join(options.metadata)})"
    if options.template:
        yield Feature.TEMPLATE, f"the template {options.template}"
    if options.scheduled_at:
        yield Feature.SCHEDULE, f"sending at {options.scheduled_at}"
    if options.stream:
        yield Feature.STREAM, f"the message stream {options.stream}"
    if options.track_opens is not None or options.track_links:
        yield Feature.TRACKING, "tracking asked for or against"
    if options.keep_message_id:
        yield Feature.KEEP_MESSAGE_ID, "keeping the Message-ID"
    if options.idempotency_key:
        yield Feature.IDEMPOTENCY_KEY, "an idempotency key"
    if options.test_bounce:
        yield Feature.TEST_BOUNCE, f"a bounce of the kind {options.test_bounce}, made up for a test"
