"""The rule that the user names of SMTP credentials follow: a vendor's own, or ours."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserNames:
    """What the user names of a vendor's own SMTP credentials are like; rule is the pattern in words.

    A name that is made up has eight letters and digits behind the prefix.
    """

    pattern: re.Pattern[str]
    rule: str
    prefix: str


USER_NAMES = UserNames(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}"),
    "3 to 64 letters, digits and . _ @ + - and begins with a letter or digit",
    "user_",
)
"""Where a vendor says nothing: addresses fit, and nothing that a shell or an option would take for its own."""
