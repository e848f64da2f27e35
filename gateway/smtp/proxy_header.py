"""The header that a balancer puts before a connection to tell the client's real address: PROXY protocol, v1 and v2.

Source: HAProxy's proxy-protocol.txt, §2.1 (text) and §2.2 (binary). No I/O: octets in, a header or ProxyError out.
Who may send a header, and how long it may take, is the affair of proxy_listener.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

V1_START = b"PROXY "
V1_OCTETS = 107
"""The longest line there is, with its CRLF (§2.1)."""

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2_FIXED_OCTETS = 16
V2_OCTETS = 1024
"""Everything that balancers add (a host name, a unique id, all about TLS) comes to some 650; 65,551 could be said."""

LOCAL, PROXY = 0x20, 0x21
"""Version 2 in the upper half of the octet, the command in the lower one."""

ADDRESS_OCTETS = {0x11: 4, 0x21: 16}
"""TCP over IPv4 and IPv6: the octets of one address."""
NO_ADDRESS = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})
"""Unspecified, UDP and UNIX sockets: taken as unspecified, as §2.2 asks of a receiver that has no use for them."""

V1_LINE = re.compile(r"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})")
V1_UNKNOWN = re.compile(r"PROXY UNKNOWN(?: [^\r\n]*)?")


class ProxyError(Exception):
    """The octets are no PROXY header; the text says why, without showing them."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A header and its length. Without source (None) the connection is the balancer's own, or of another kind."""

    source: tuple[str, int] | None
    size_octets: int


def read_header(octets: bytes) -> ProxyHeader | None:
    """The header at the start of these octets, or None while more are needed. ProxyError when it can be none."""
    if octets.startswith(V1_START):
        return _read_v1(octets)
    if octets.startswith(V2_SIGNATURE):
        return _read_v2(octets)
    if V1_START.startswith(octets) or V2_SIGNATURE.startswith(octets):
        return None
    raise ProxyError("no PROXY header")


def _read_v1(octets: bytes) -> ProxyHeader | None:
    end = octets.find(b"\r\n", 0, V1_OCTETS)
    if end < 0:
        _check_unfinished_line(octets[:V1_OCTETS])
        return None
    line = octets[:end].decode("latin-1")
    size_octets = end + 2
    if V1_UNKNOWN.fullmatch(line):
        return ProxyHeader(None, size_octets)
    match = V1_LINE.fullmatch(line)
    if match is None:
        raise ProxyError("malformed v1 line")
    family, source, destination, source_port, destination_port = match.groups()
    _v1_address(family, destination)
    _v1_port(destination_port)
    return ProxyHeader((_v1_address(family, source), _v1_port(source_port)), size_octets)


def _check_unfinished_line(octets: bytes) -> None:
    """A line is ended by CRLF; neither alone is tolerated (§2.1)."""
    if len(octets) >= V1_OCTETS:
        raise ProxyError(f"v1 line of more than {V1_OCTETS} octets")
    if b"\n" in octets or b"\r" in octets[:-1]:
        raise ProxyError("v1 line not ended by CRLF")


def _v1_address(family: str, text: str) -> str:
    """ipaddress takes no leading zeros, no zone (the pattern has no %), and one :: at most."""
    try:
        return str(ipaddress.IPv4Address(text) if family == "TCP4" else ipaddress.IPv6Address(text))
    except ValueError:
        raise ProxyError(f"v1 line with a malformed {family} address") from None


def _v1_port(text: str) -> int:
    port = int(text)
    if port > 0xFFFF:
        raise ProxyError("v1 line with a port above 65535")
    return port


def _read_v2(octets: bytes) -> ProxyHeader | None:
    command, family = octets[12:13], octets[13:14]
    if command and command[0] not in (LOCAL, PROXY):
        raise ProxyError("v2 header with an unknown version or command")
    # The family of a LOCAL connection is ignored (§2.2)
    if family and command[0] == PROXY and family[0] not in NO_ADDRESS and family[0] not in ADDRESS_OCTETS:
        raise ProxyError("v2 header with an unknown address family")
    if len(octets) < V2_FIXED_OCTETS:
        return None
    size_octets = V2_FIXED_OCTETS + int.from_bytes(octets[14:16], "big")
    if size_octets > V2_OCTETS:
        raise ProxyError(f"v2 header of more than {V2_OCTETS} octets")
    if len(octets) < size_octets:
        return None
    if command[0] == LOCAL or family[0] in NO_ADDRESS:
        return ProxyHeader(None, size_octets)
    return ProxyHeader(_v2_source(octets[V2_FIXED_OCTETS:size_octets], ADDRESS_OCTETS[family[0]]), size_octets)


def _v2_source(block: bytes, address_octets: int) -> tuple[str, int]:
    """Source and destination address, source and destination port, then additions (TLV) that are skipped."""
    ports = 2 * address_octets
    if len(block) < ports + 4:
        raise ProxyError("v2 header too short for its addresses")
    _skip_additions(block[ports + 4 :])
    source = ipaddress.ip_address(block[:address_octets])
    return str(source), int.from_bytes(block[ports : ports + 2], "big")


def _skip_additions(octets: bytes) -> None:
    """Each is a type of one octet, a length of two, and a value (§2.2.1); they have to end where the header ends."""
    position = 0
    while position < len(octets):
        value = position + 3
        position = value + int.from_bytes(octets[position + 1 : value], "big")
        if position > len(octets):
            raise ProxyError("v2 header with an addition beyond its end")
