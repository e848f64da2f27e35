"""Reads the body of a PostStack request once: judges it, and copies it for the inbox. Any thread may do it.

What the contract says of the body is poststack_request.py's, which answer it gets in the end poststack.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox.answer import Answer
from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.letter import Letter
from gateway.sandbox.poststack_magic import refusal
from gateway.sandbox.poststack_request import PostStackRefusalError, PostStackRequest, check, read_request
from gateway.sandbox.reading import Contract, Reading, read_body
from gateway.sandbox.request_body import RequestBody

# 25 MB of attachments are 33 MiB of base64; the rest is for text. The contract has no limit for a request.
MAXIMUM_REQUEST_OCTETS = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PostStackReading:
    """What a body is: as any vendor's, as a request (None when it is none), and the digest of its octets."""

    body: Reading
    request: PostStackRequest | None
    digest: bytes


def read_post_stack_body(body: RequestBody, copy: Callable[[RequestBody], Path]) -> PostStackReading:
    """Read a body and copy it; OSError when the copy cannot be written."""
    requests: list[PostStackRequest] = []

    def judge(document: JsonDocument) -> tuple[Letter | None, Answer | None]:
        try:
            requests.append(read_request(document))
            check(requests[0])
        except PostStackRefusalError as error:
            # A request that breaks a rule is still worth showing in the inbox
            return requests[0].letter if requests else None, refusal(error.status, error.error)
        return requests[0].letter, None

    contract = Contract(
        maximum_octets=MAXIMUM_REQUEST_OCTETS,
        judge=judge,
        not_json=lambda error: refusal(400, error),
        too_large=lambda: refusal(413, "request is larger than 50 MiB"),
    )
    reading = read_body(body, contract, copy)
    return PostStackReading(reading, requests[0] if requests else None, _digest(body))


def _digest(body: RequestBody) -> bytes:
    digest = hashlib.sha256()
    for piece in body.pieces():
        digest.update(piece)
    return digest.digest()
