"""Reads the body of a send request once: judges it, and copies it for the inbox. Any thread may do it.

What the contract says of the body is postscale_request.py's, which answer it gets in the end postscale.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox import postscale_request
from gateway.sandbox.answer import Answer, refusal
from gateway.sandbox.json_document import JsonDocument, NotJsonError
from gateway.sandbox.json_strings import LongString
from gateway.sandbox.letter import Letter
from gateway.sandbox.postscale_request import RequestRefusedError
from gateway.sandbox.request_body import RequestBody

# The vendor's own client sends no longer request; 50 MiB of attachments are 67 MiB of base64.
MAXIMUM_REQUEST_OCTETS = 80 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body is. letter: None when it is none; refusal: None when the contract allows it; copy: None when it is
    too large to keep. well_formed and long_strings are the arrival's."""

    letter: Letter | None
    refusal: Answer | None
    copy: Path | None
    well_formed: bool = False
    long_strings: tuple[LongString, ...] = ()


def read_body(body: RequestBody, copy: Callable[[RequestBody], Path]) -> Reading:
    """Read a body and copy it; OSError when the copy cannot be written."""
    if body.length_octets > MAXIMUM_REQUEST_OCTETS:
        return Reading(None, refusal(413, "request is larger than 80 MiB"), None)
    try:
        document = JsonDocument.checked(body)
    except NotJsonError as error:
        return Reading(None, refusal(400, str(error)), copy(body))
    letter, wrong = _read_letter(document)
    return Reading(letter, wrong, copy(body), True, document.long_strings)


def _read_letter(document: JsonDocument) -> tuple[Letter | None, Answer | None]:
    """The letter, and what is wrong with it. A letter that breaks a rule is still worth showing in the inbox."""
    letter = None
    try:
        letter = postscale_request.read(document)
        postscale_request.check(letter)
    except RequestRefusedError as error:
        return letter, refusal(error.status, error.error)
    return letter, None
