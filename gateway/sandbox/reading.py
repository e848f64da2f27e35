"""Reads the body of a send request once: judges it, and copies it for the inbox. Any thread may do it.

What a contract says of the body is its vendor's request file's, which answer it gets in the end its sandbox file's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox.answer import Answer
from gateway.sandbox.json_document import JsonDocument, NotJsonError
from gateway.sandbox.json_strings import LongString
from gateway.sandbox.letter import Letter
from gateway.sandbox.request_body import RequestBody


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body is. letter: None when it is none; refusal: None when the contract allows it; copy: None when it is
    too large to keep. well_formed and long_strings are the arrival's."""

    letter: Letter | None
    refusal: Answer | None
    copy: Path | None
    well_formed: bool = False
    long_strings: tuple[LongString, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """How a vendor judges a body.

    judge: the letter in a document, and what is wrong with it; a letter that breaks a rule is still worth showing in
    the inbox. not_json and too_large: the refusals of what is no JSON, and of more than maximum_octets.
    """

    maximum_octets: int
    judge: Callable[[JsonDocument], tuple[Letter | None, Answer | None]]
    not_json: Callable[[str], Answer]
    too_large: Callable[[], Answer]


def read_body(body: RequestBody, contract: Contract, copy: Callable[[RequestBody], Path]) -> Reading:
    """Read a body and copy it; OSError when the copy cannot be written."""
    if body.length_octets > contract.maximum_octets:
        return Reading(None, contract.too_large(), None)
    try:
        document = JsonDocument.checked(body)
    except NotJsonError as error:
        return Reading(None, contract.not_json(str(error)), copy(body))
    letter, refusal = contract.judge(document)
    return Reading(letter, refusal, copy(body), True, document.long_strings)
