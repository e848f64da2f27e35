"""The shape of a sandbox's magic table: what makes it fail, and how that is told.

The tables are in <vendor>_magic.py; the console shows those of all sandboxes at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Recipient(Protocol):
    """A magic recipient: the local part, and what happens when a message is for it."""

    @property
    def name(self) -> str:
        """`<name>@` the table's domain."""

    @property
    def meaning(self) -> str:
        """What happens, in one line."""


class Key(Protocol):
    """A magic key, by its beginning."""

    @property
    def prefix(self) -> str:
        """What the key starts with; a key that is one fixed word is its own beginning."""

    @property
    def meaning(self) -> str:
        """What happens, in one line."""


@dataclass(frozen=True, slots=True)
class MagicTable:
    """The magic of one vendor's sandbox. note tells how recipients are found and which of several decides.

    senders: From addresses, or domains with an @ in front, and what happens to mail from them. others: anything else
    that works by being written, such as a subject or a tag.
    """

    vendor: str
    domain: str
    note: str
    recipients: Sequence[Recipient]
    keys: Sequence[Key]
    senders: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
