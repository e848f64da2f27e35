"""Which URLs of the settings may be called: over TLS, or not beyond this machine."""

from __future__ import annotations

import ipaddress
import json
from urllib.parse import urlsplit

EXPECTED = 'expected "https://...", or "http://..." for a loopback address'


def url_problem(url: str, *, query: bool = False) -> str | None:
    """What is wrong with a URL, None when nothing is. query: whether it may have one; a fragment it never may.

    A user name or password in it would end in logs, so there may be none.
    """
    refusal = f"{EXPECTED}, got {json.dumps(url)}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return refusal
    # urlsplit() passes over blanks and controls
    if any(c.isspace() or not c.isprintable() for c in url) or "@" in parts.netloc or parts.fragment:
        return refusal
    if parts.query and not query:
        return refusal
    is_safe = bool(host) if parts.scheme == "https" else parts.scheme == "http" and is_loopback(host)
    return None if is_safe else refusal


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by its address or as localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
