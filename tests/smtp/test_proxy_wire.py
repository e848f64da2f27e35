"""Listeners behind a balancer, over real sockets: what it says of the client counts, and nothing is said before it."""

from __future__ import annotations

import base64
import ipaddress
import socket
import ssl
import struct
import subprocess
import time

import pytest

from gateway.smtp.proxy_header import V2_SIGNATURE
from tests.conftest import free_ports
from tests.smtp.own_gateway import logged, own_gateway
from tests.smtp.wire import WireClient

GREETING = "220 gateway.test ESMTP"
TRUSTED = 'proxy_protocol = ["10.0.0.0/8", "127.0.0.1"]'
LISTENERS = {
    "starttls": f'tls = "starttls"\n{TRUSTED}',
    "implicit": f'tls = "implicit"\n{TRUSTED}',
    "foreign": 'tls = "starttls"\nproxy_protocol = ["10.0.0.0/8", "::/0"]',
}
LOG_IN = b"AUTH PLAIN " + base64.b64encode(b"\0postscale\0ps_test_one") + b"\r\n"  # a key that the sandbox takes
V1 = b"PROXY TCP4 192.0.2.%d 198.51.100.1 56324 587\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with own_gateway(tmp_path_factory.mktemp("proxy"), LISTENERS, "[limits]\nsessions_per_address = 2\n") as running:
        yield running


def v2(source: str, *, command: int = 0x21, additions: bytes = b"") -> bytes:
    address = ipaddress.ip_address(source)
    block = address.packed * 2 + struct.pack("!HH", 56324, 587) + additions
    family = 0x11 if address.version == 4 else 0x21
    return V2_SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def hears_nothing(client: WireClient) -> bool:
    """Whether nothing has been sent to the client within a moment that suffices for a greeting on loopback."""
    client.socket.settimeout(0.3)
    try:
        client.socket.recv(1)
    except TimeoutError:
        return True
    return False


def log_in(client: WireClient, kind: str) -> None:
    if kind == "implicit":
        client.start_tls()
    assert client.read_reply() == GREETING
    client.ask(b"EHLO client.test\r\n")
    if kind == "starttls":
        assert client.ask(b"STARTTLS\r\n") == ["220 Ready to start TLS"]
        client.start_tls()
        client.ask(b"EHLO client.test\r\n")
    assert client.ask(LOG_IN)[0].startswith("235 ")


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (V1 % 11, "192.0.2.11"),
        (b"PROXY TCP6 2001:db8::11 2001:db8::1 1 2\r\n", "2001:db8::11"),
        (b"PROXY TCP6 ::ffff:192.0.2.12 ::ffff:192.0.2.1 1 2\r\n", "192.0.2.12"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (v2("192.0.2.13", additions=b"\x04\x00\x03abc"), "192.0.2.13"),
        (v2("2001:db8::13"), "2001:db8::13"),
        (v2("::ffff:192.0.2.14"), "192.0.2.14"),
        (v2("192.0.2.15", command=0x20), "127.0.0.1"),
    ],
    ids=["v1", "v1-ipv6", "v1-mapped", "v1-unknown", "v2", "v2-ipv6", "v2-mapped", "v2-local"],
)
def test_the_log_and_the_limits_have_the_address_of_the_header(gateway, kind, header, peer):
    before = gateway.log().count(f"peer={peer} ")
    with WireClient(gateway.ports[kind]) as client:
        client.send(header)
        log_in(client, kind)
    assert logged(gateway, "logged-in", f"peer={peer} ")
    assert gateway.log().count(f"peer={peer} ") == before + 1


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
@pytest.mark.parametrize("header", [V1 % 21, v2("192.0.2.22", additions=b"\x04\x00\x40" + bytes(64))], ids=["v1", "v2"])
def test_a_header_may_come_in_single_octets(gateway, kind, header):
    with WireClient(gateway.ports[kind]) as client:
        for number in range(len(header)):
            client.send(header[number : number + 1])
        log_in(client, kind)


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_nothing_is_said_before_the_header(gateway, kind):
    with WireClient(gateway.ports[kind]) as client:
        assert hears_nothing(client)
        client.send((V1 % 31)[:-1])
        assert hears_nothing(client)
        client.socket.settimeout(10)
        client.send(b"\n")
        log_in(client, kind)


def test_commands_in_the_segment_of_the_header_are_answered(gateway):
    with WireClient(gateway.ports["starttls"]) as client:
        greeting, hello, farewell = client.ask(V1 % 32 + b"EHLO client.test\r\nQUIT\r\n", 3)
        assert greeting == GREETING
        assert hello.startswith("250-gateway.test\n")
        assert farewell.startswith("221 ")
        assert client.until_closed() == []


def test_a_client_hello_in_the_segment_of_the_header_begins_tls(gateway):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with WireClient(gateway.ports["implicit"]) as client:
        client.send(v2("192.0.2.33") + outgoing.read())
        assert client.socket.recv(3) == b"\x16\x03\x03"  # a handshake record


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"EHLO client.test\r\n", "no PROXY header"),
        (b"\x16\x03\x01\x02\x00", "no PROXY header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "port above 65535"),
        (b"PROXY TCP4 host.example 192.0.2.2 1 2\r\n", "malformed v1 line"),
        (b"PROXY UNKNOWN " + b"x" * 200, "more than 107 octets"),
        (V2_SIGNATURE + b"\x21\x11\xff\xff" + bytes(100), "more than 1024 octets"),
        (v2("192.0.2.41", additions=b"\x04\xff\xff"), "beyond its end"),
    ],
    ids=["missing", "missing-tls", "bad-port", "bad-address", "v1-too-long", "v2-too-long", "v2-bad-addition"],
)
@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_without_a_good_header_the_connection_ends_without_a_word(gateway, kind, octets, reason):
    with WireClient(gateway.ports[kind]) as client:
        client.send(octets)
        assert client.until_closed() == []
    assert logged(gateway, "proxy-refused", "peer=127.0.0.1 ", reason)


def test_a_peer_outside_the_networks_is_refused_though_its_header_is_good(gateway):
    with WireClient(gateway.ports["foreign"]) as client:
        assert client.until_closed() == []
    with WireClient(gateway.ports["foreign"]) as client:
        try:
            client.send(V1 % 42)
        except ConnectionError:
            return  # refused before it could say so
        assert client.until_closed() == []
    assert logged(gateway, "proxy-refused", "peer=127.0.0.1 ", "none of the networks")
    assert "192.0.2.42" not in gateway.log()


def test_a_slow_header_is_waited_for_five_seconds(gateway):
    with WireClient(gateway.ports["starttls"]) as client:
        begun = time.monotonic()
        client.send((V1 % 43)[:-2])
        assert client.until_closed() == []
        assert 4 < time.monotonic() - begun < 9
    assert logged(gateway, "proxy-refused", "in time")


def test_a_health_check_that_says_nothing_leaves_no_line_in_the_log(gateway):
    size = len(gateway.log())
    with WireClient(gateway.ports["starttls"]):
        pass
    with WireClient(gateway.ports["starttls"]) as client:
        client.send(V1 % 44)
        log_in(client, "starttls")
    assert logged(gateway, "peer=192.0.2.44 ")
    assert "proxy-refused" not in gateway.log()[size:]


def test_sessions_are_counted_by_the_address_of_the_header(gateway):
    header = V1 % 51
    clients = [WireClient(gateway.ports["starttls"]) for _ in range(4)]
    try:
        assert [client.ask(header)[0][:3] for client in clients[:3]] == ["220", "220", "421"]
        assert clients[3].ask(V1 % 52)[0] == GREETING
    finally:
        for client in clients:
            client.socket.close()


HAPROXY = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
"""


@pytest.fixture(scope="module")
def haproxy(gateway, needs, tmp_path_factory):
    """HAProxy's ports by listener and version of the header."""
    present = subprocess.run(["sh", "-c", "command -v haproxy"], capture_output=True, check=False)
    needs(present.returncode == 0, "haproxy")
    cases = [(kind, send) for kind in ("starttls", "implicit") for send in ("send-proxy", "send-proxy-v2")]
    ports = dict(zip(cases, free_ports(len(cases)), strict=True))
    sections = [
        f"listen {kind}-{send}\n    bind 127.0.0.1:{port}\n    server one 127.0.0.1:{gateway.ports[kind]} {send}"
        f"{' proxy-v2-options unique-id,crc32c' if send == 'send-proxy-v2' else ''}\n    unique-id-format %ID-%ci\n"
        for (kind, send), port in ports.items()
    ]
    settings = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    settings.write_text(HAPROXY + "".join(sections))
    process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(settings)])
    try:
        wait_for_port(max(ports.values()), process)
        yield ports
    finally:
        process.terminate()
        process.wait(10)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("haproxy does not listen")


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_behind_a_real_haproxy_the_client_s_own_address_counts(gateway, haproxy, kind, send):
    own = f"127.0.0.{1 + 10 * (kind == 'implicit') + 100 * (send == 'send-proxy')}"
    own = own if own != "127.0.0.1" else "127.0.0.99"
    client = WireClient.__new__(WireClient)
    client.socket = socket.create_connection(("127.0.0.1", haproxy[kind, send]), 10, (own, 0))
    client._unread = b""
    with client:
        log_in(client, kind)
    assert logged(gateway, "logged-in", f"peer={own} ")
