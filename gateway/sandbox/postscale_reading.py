"""How Postscale judges the body of a send request; reading.py reads it.

What the contract says of the body is postscale_request.py's, which answer it gets in the end postscale.py's.
"""

from __future__ import annotations

from gateway.sandbox import postscale_request
from gateway.sandbox.answer import Answer, refusal
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.letter import Letter
from gateway.sandbox.postscale_request import RequestRefusedError
from gateway.sandbox.reading import Contract

# The vendor's own client sends no longer request; 50 MiB of attachments are 67 MiB of base64.
MAXIMUM_REQUEST_OCTETS = 80 * 1024 * 1024


def _judge(document: JsonDocument) -> tuple[Letter | None, Answer | None]:
    """The letter, and what is wrong with it. A letter that breaks a rule is still worth showing in the inbox."""
    letter = None
    try:
        letter = postscale_request.read(document)
        postscale_request.check(letter)
    except RequestRefusedError as error:
        return letter, refusal(error.status, error.error)
    return letter, None


CONTRACT = Contract(
    maximum_octets=MAXIMUM_REQUEST_OCTETS,
    judge=_judge,
    not_json=lambda error: refusal(400, error),
    too_large=lambda: refusal(413, "request is larger than 80 MiB"),
)
