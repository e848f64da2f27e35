"""What a gateway may call itself, and what it does when no setting says it."""

from __future__ import annotations

import ipaddress
import platform
import re

DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")  # RFC 5321 §4.1.2
HOSTNAME_OCTETS = 255  # RFC 5321 §4.5.3.1.2
HOSTNAME_EXPECTED = f'expected a domain name or an address such as "[192.0.2.1]", of at most {HOSTNAME_OCTETS} octets'


def default_hostname() -> str:
    """This machine's name, unless it is none that may stand in a greeting."""
    name = platform.node()
    return name if is_hostname(name) else "localhost"


def is_hostname(name: str) -> bool:
    """Whether it is a domain or an address literal (RFC 5321 §4.1.2, §4.1.3)."""
    literal = re.fullmatch(r"\[(IPv6:)?([0-9A-Fa-f.:]+)\]", name)
    if literal is None:
        return len(name) <= HOSTNAME_OCTETS and DOMAIN.fullmatch(name) is not None
    try:
        return ipaddress.ip_address(literal[2]).version == (6 if literal[1] else 4)
    except ValueError:
        return False
