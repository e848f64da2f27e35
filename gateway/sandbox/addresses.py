"""Address strings as an email API takes them: `addr` or `Name <addr>` (RFC 5322 §3.4, with RFC 6531 characters).

Only what a strict server would take is taken; comments, groups and folding are not.
"""

from __future__ import annotations

import re

# RFC 5321 §4.5.3.1.1 and §4.5.3.1.2.
_LOCAL_PART_OCTETS = 64
_DOMAIN_OCTETS = 255

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"'
_LABEL = r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9\-\u0080-\U0010ffff]{0,61}[A-Za-z0-9\u0080-\U0010ffff])?"
_LITERAL = r"\[[A-Za-z0-9:.\-]+\]"
_ADDRESS = re.compile(rf"(?P<local>{_ATEXT}+(?:\.{_ATEXT}+)*|{_QUOTED})@(?P<domain>{_LABEL}(?:\.{_LABEL})*|{_LITERAL})")
# Dots in an unquoted name are the obsolete phrase (RFC 5322 §4.1) that everybody writes and everybody takes.
_NAMED = re.compile(rf"(?P<name>(?:(?:{_ATEXT}|\.)+|{_QUOTED}|[ \t])*?)[ \t]*<(?P<address>[^<>]+)>")


def _is_address(text: str) -> bool:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return False
    local, domain = match["local"], match["domain"]
    return len(local.encode()) <= _LOCAL_PART_OCTETS and len(domain.encode()) <= _DOMAIN_OCTETS


def address_of(text: str) -> str:
    """The bare address in an address string; ValueError when the string is neither `addr` nor `Name <addr>`."""
    if _is_address(text):
        return text
    named = _NAMED.fullmatch(text)
    if named is None or not _is_address(named["address"]):
        raise ValueError("not an address")
    return named["address"]


def domain_of(address: str) -> str:
    """The domain of a bare address, in lower case."""
    return address.rpartition("@")[2].lower()
