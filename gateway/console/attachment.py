"""How an attachment of a mail is served so that it can only be saved, never run in the console's origin."""

from __future__ import annotations

import re
from urllib.parse import quote

# Types that no browser runs, even when it opens them; all others are served as plain octets.
_INERT_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain"})

_PLAIN_NAME = re.compile(r"[^A-Za-z0-9._ -]")

# What every file system takes as a name.
_NAME_CHARACTERS = 150


def safe_name(filename: str) -> str:
    """A file name without folders and control characters; never empty, never hidden."""
    base = re.split(r"[/\\]", filename)[-1]
    plain = "".join(c for c in base if c.isprintable()).strip(" .")[:_NAME_CHARACTERS]
    return plain or "attachment"


def content_disposition(filename: str) -> str:
    """`attachment` with the name twice: ASCII for old clients, UTF-8 for the others (RFC 6266 §4.3, RFC 8187)."""
    name = safe_name(filename)
    return f"attachment; filename=\"{_PLAIN_NAME.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def served_type(content_type: str) -> str:
    """The media type to serve: the attachment's own when it is inert, else octets."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type if media_type in _INERT_TYPES else "application/octet-stream"


def octets_in_words(octets: int) -> str:
    """A size for people, in the decimal units of the International System."""
    if octets < 1000:
        return f"{octets} B"
    if octets < 1_000_000:
        return f"{octets / 1000:.1f} kB"
    return f"{octets / 1_000_000:.1f} MB"
