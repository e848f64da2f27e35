"""The PROXY header, by examples of HAProxy's proxy-protocol.txt and by property: no octets do anything unexpected."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.proxy_header import V2_OCTETS, V2_SIGNATURE, ProxyError, ProxyHeader, read_header

REST = b"EHLO client.test\r\n"


def v2(command: int, family: int, block: bytes, length: int | None = None) -> bytes:
    return V2_SIGNATURE + struct.pack("!BBH", command, family, len(block) if length is None else length) + block


def addresses(source: str, destination: str, source_port: int = 56324, destination_port: int = 587) -> bytes:
    packed = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return packed + struct.pack("!HH", source_port, destination_port)


def addition(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


TCP4 = addresses("192.0.2.7", "198.51.100.1")
TCP6 = addresses("2001:db8::7", "2001:db8::1", 65535)
ADDITIONS = addition(0x04, b"") + addition(0x02, b"smtp.shop.example") + addition(0x20, b"\x01" * 60)

GOOD = {
    "v1 over IPv4": (b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", ("192.168.0.1", 56324)),
    "v1 with the extremes": (b"PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n", ("255.255.255.255", 0)),
    "v1 over IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 25\r\n", ("2001:db8::7", 56324)),
    "v1 over IPv6 in full": (
        b"PROXY TCP6 " + b":".join([b"FFFF"] * 8) + b" " + b":".join([b"ffff"] * 8) + b" 65535 65535\r\n",
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
    ),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown, the longest": (b"PROXY UNKNOWN".ljust(105, b" ") + b"\r\n", None),
    "v1 unknown with whatever": (b"PROXY UNKNOWN \xff\0 whatever\r\n", None),
    "v2 over IPv4": (v2(0x21, 0x11, TCP4), ("192.0.2.7", 56324)),
    "v2 over IPv6": (v2(0x21, 0x21, TCP6), ("2001:db8::7", 65535)),
    "v2 with additions": (v2(0x21, 0x11, TCP4 + ADDITIONS), ("192.0.2.7", 56324)),
    "v2 as long as it may be": (
        v2(0x21, 0x11, TCP4 + addition(0x04, bytes(V2_OCTETS - 16 - 12 - 3))),
        ("192.0.2.7", 56324),
    ),
    "v2 local": (v2(0x20, 0x00, b""), None),
    "v2 local with an address": (v2(0x20, 0x11, TCP4), None),
    "v2 local of a family that is ignored": (v2(0x20, 0x77, b"abc"), None),
    "v2 unspecified": (v2(0x21, 0x00, b"whatever"), None),
    "v2 UDP over IPv4": (v2(0x21, 0x12, TCP4), None),
    "v2 UDP over IPv6": (v2(0x21, 0x22, TCP6), None),
    "v2 UNIX stream": (v2(0x21, 0x31, bytes(216)), None),
    "v2 UNIX datagram": (v2(0x21, 0x32, bytes(216)), None),
}

BAD = {
    "nothing of the kind": b"EHLO client.test\r\n",
    "a TLS client": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "lower case": b"proxy TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
    "a second blank": b"PROXY  TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
    "a tab": b"PROXY TCP4\t192.0.2.7 192.0.2.8 1 2\r\n",
    "a blank at the end": b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2 \r\n",
    "a field too many": b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3\r\n",
    "a field too few": b"PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n",
    "an unknown protocol": b"PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n",
    "unknown misspelt": b"PROXY UNKNOWNS\r\n",
    "a host name": b"PROXY TCP4 evil\xe9 192.0.2.8 1 2\r\n",
    "a leading zero": b"PROXY TCP4 192.0.2.07 192.0.2.8 1 2\r\n",
    "an octet of 256": b"PROXY TCP4 192.0.2.256 192.0.2.8 1 2\r\n",
    "three octets": b"PROXY TCP4 192.0.2 192.0.2.8 1 2\r\n",
    "a bad destination": b"PROXY TCP4 192.0.2.7 192.0.2.888 1 2\r\n",
    "IPv6 as TCP4": b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
    "IPv4 as TCP6": b"PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n",
    "two double colons": b"PROXY TCP6 2001::db8::7 2001:db8::1 1 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n",
    "brackets": b"PROXY TCP6 [2001:db8::7] 2001:db8::1 1 2\r\n",
    "a port above 65535": b"PROXY TCP4 192.0.2.7 192.0.2.8 65536 2\r\n",
    "a destination port above 65535": b"PROXY TCP4 192.0.2.7 192.0.2.8 1 65536\r\n",
    "a port with a leading zero": b"PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n",
    "a port with a sign": b"PROXY TCP4 192.0.2.7 192.0.2.8 +1 2\r\n",
    "a port in other digits": "PROXY TCP4 192.0.2.7 192.0.2.8 \u0661 2\r\n".encode(),
    "a line ended by LF": b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n",
    "a line ended by CR": b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\rEHLO",
    "an unknown with a bare LF": b"PROXY UNKNOWN a\nb\r\n",
    "an unknown with a bare CR": b"PROXY UNKNOWN a\r\r\n",
    "a line of 108 octets": b"PROXY UNKNOWN".ljust(106, b" ") + b"\r\n",
    "an endless line": b"PROXY UNKNOWN".ljust(107, b"x"),
    "v2 of version 1": v2(0x11, 0x11, TCP4),
    "v2 of version 3": v2(0x31, 0x11, TCP4),
    "v2 of an unknown command": v2(0x22, 0x11, TCP4),
    "v2 of an unknown family": v2(0x21, 0x41, TCP4),
    "v2 of an unknown transport": v2(0x21, 0x13, TCP4),
    "v2 too short for IPv4": v2(0x21, 0x11, TCP4[:-1]),
    "v2 too short for IPv6": v2(0x21, 0x21, TCP4),
    "v2 longer than the cap": v2(0x21, 0x11, b"", V2_OCTETS - 15),
    "v2 as long as can be said": v2(0x20, 0x00, b"", 0xFFFF),
    "v2 with an addition cut short": v2(0x21, 0x11, TCP4 + addition(0x02, b"shop")[:-1]),
    "v2 with half an addition's head": v2(0x21, 0x11, TCP4 + b"\x02\x00"),
    "v2 with an addition beyond its end": v2(0x21, 0x11, TCP4 + ADDITIONS + b"\x02\xff\xff"),
}


@pytest.mark.parametrize(("octets", "source"), GOOD.values(), ids=GOOD)
def test_a_good_header_tells_the_source_and_where_it_ends(octets, source):
    assert read_header(octets + REST) == ProxyHeader(source, len(octets))


@pytest.mark.parametrize(("octets", "source"), GOOD.values(), ids=GOOD)
def test_every_part_of_a_good_header_asks_for_more(octets, source):
    assert [read_header(octets[:size]) for size in range(len(octets))] == [None] * len(octets)


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
def test_a_bad_header_is_refused(octets):
    with pytest.raises(ProxyError):
        read_header(octets)


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
def test_a_bad_header_is_refused_octet_by_octet_too_and_never_taken(octets):
    for size in range(len(octets)):
        try:
            assert read_header(octets[:size]) is None
        except ProxyError:
            return
    with pytest.raises(ProxyError):
        read_header(octets)


@pytest.mark.parametrize("start", [b"E", b"\x16", b" ", b"PROXX", b"\r\n\r\n\r"])
def test_what_cannot_become_a_header_is_refused_at_its_first_wrong_octet(start):
    assert read_header(start[:-1]) is None
    with pytest.raises(ProxyError):
        read_header(start)


def test_a_refusal_does_not_show_what_was_sent():
    with pytest.raises(ProxyError) as raised:
        read_header(b"PROXY TCP4 password 192.0.2.8 1 2\r\n")
    assert "password" not in str(raised.value)


pieces = st.sampled_from(
    [b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"\r\n", b"::", b"192.0.2.7 ", b"2001:db8::7 ", b"65535 ", b"0", b" "]
)
near_v1 = st.lists(pieces | st.binary(max_size=3), max_size=12).map(lambda parts: b"PROXY " + b"".join(parts))
near_v2 = st.tuples(st.binary(max_size=4), st.binary(max_size=60)).map(lambda two: V2_SIGNATURE + b"".join(two))
likely_v2 = st.builds(
    v2, st.sampled_from([0x20, 0x21]), st.sampled_from([0, 0x11, 0x21, 0x31]), st.binary(max_size=80), st.none()
)


@given(st.binary(max_size=200) | near_v1 | near_v2 | likely_v2)
def test_whatever_comes_is_a_header_a_wish_for_more_or_a_proxy_error(octets):
    try:
        header = read_header(octets)
    except ProxyError:
        return
    if header is not None:
        assert 0 < header.size_octets <= len(octets)
        assert header.source is None or ipaddress.ip_address(header.source[0])
        assert read_header(octets[: header.size_octets]) == header


@given(near_v1 | near_v2 | likely_v2, st.integers(min_value=0, max_value=200))
def test_a_verdict_does_not_depend_on_what_comes_later(octets, size):
    try:
        early = read_header(octets[:size])
    except ProxyError:
        with pytest.raises(ProxyError):
            read_header(octets)
        return
    if early is not None:
        assert read_header(octets) == early


@given(st.ip_addresses(), st.ip_addresses(v=4), st.ip_addresses(v=6), st.integers(0, 65535), st.integers(0, 65535))
def test_every_address_and_port_comes_through_in_both_versions(source, four, six, source_port, destination_port):
    destination = four if source.version == 4 else six
    line = f"PROXY TCP{source.version} {source} {destination} {source_port} {destination_port}\r\n".encode()
    binary = v2(0x21, 0x11 if source.version == 4 else 0x21, addresses(str(source), str(destination), source_port, 587))
    for octets in (line, binary):
        assert read_header(octets) == ProxyHeader((str(source), source_port), len(octets))
