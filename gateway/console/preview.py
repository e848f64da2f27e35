"""A mail's own HTML on its way into the shut-in frame: what would reach out from there is taken out of use.

The policy (security.PREVIEW_POLICY) forbids to fetch anything; but Chromium opens a connection to the server of a
frame before it asks the policy, and that alone tells a sender who has looked at the mail, and when.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_REACHING_OUT = re.compile(rb"<(?=i?frame|link|meta)", re.IGNORECASE)
"""An element begins with exactly this (HTML standard, 13.2.5.6). In the text or an attribute it does no harm either."""

_HELD_OCTETS = len(b"<iframe") - 1  # at the end of a piece: the beginning of such an element may be among them


def without_reaching_out(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same HTML with frames, links of the head, and meta elements under names that mean nothing."""
    held = b""
    for piece in pieces:
        block = held + piece
        bracket = block.rfind(b"<", max(0, len(block) - _HELD_OCTETS))
        end = bracket if bracket >= 0 else len(block)
        held = block[end:]
        yield _REACHING_OUT.sub(b"<x-", block[:end])
    yield _REACHING_OUT.sub(b"<x-", held)
