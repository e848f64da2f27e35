"""How a message came in, as its story tells it: the session's TLS, in every mode; and its Received field."""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.error
import urllib.request

import pytest

from gateway.certificate import read_server_certificate
from gateway.tls import CIPHER_SUITES, ServerContexts, TlsPolicy
from gateway.trace import Hop, received_field
from tests.conftest import free_ports
from tests.queue.gateways import KEY, id_of, run_queue, settings_text, until, vendor
from tests.running import letter, log_in, send
from tests.smtp.certificates import Authority

MODES = ("direct", "queued", "spill")
ROUTES = "".join(f'\n[[routes]]\ntag = "{one}"\nvendors = ["postscale"]\nmode = "{one}"\n' for one in MODES)
SUITES = {
    "TLSv1_2": "TLSv1.2, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLSv1_3": "TLSv1.3, TLS_AES_128_GCM_SHA256",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway with a route for each mode, and a port without TLS."""
    (plain,) = free_ports(1)
    listener = f'\n[[listeners]]\nendpoint = "tcp:{plain}:interface=127.0.0.1"\ntls = "none"\ndialect = "postscale"\n'
    text = settings_text(vendor("postscale"), ROUTES + listener)
    with run_queue(tmp_path_factory.mktemp("trace"), text) as running:
        running.ports["none"] = plain
        yield running


def session(gateway, listener, version="TLSv1_3"):
    """A session, logged in, with that version of TLS."""
    context = ssl.create_default_context(cafile=str(gateway.ca_file))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    port = gateway.ports[listener]
    if listener == "implicit":
        client = smtplib.SMTP_SSL(gateway.host, port, timeout=30, context=context)
    else:
        client = smtplib.SMTP(gateway.host, port, timeout=30)
        if listener == "starttls":
            client.starttls(context=context)
    client.ehlo()
    assert log_in(client, "postscale", KEY)[0] == 235
    return client


def story(gateway, message_id):
    """The message in the control API; that of direct mode is logged a little later than its reply."""

    def found():
        try:
            with urllib.request.urlopen(f"{gateway.console_url}/api/v1/messages/{message_id}", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return None

    return until(found, gateway)


def tagged(mode):
    return letter("ann@cust.example").replace(b"Subject:", f"X-Postscale-Tags: {mode}\r\nSubject:".encode(), 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("listener", "version"), [("starttls", "TLSv1_2"), ("implicit", "TLSv1_3")])
def test_the_sessions_tls_is_in_the_story_of_its_messages(gateway, mode, listener, version):
    with session(gateway, listener, version) as client:
        first, second = (id_of(send(client, "ann@cust.example", octets=tagged(mode))) for _ in range(2))
    for message_id in (first, second):
        found = story(gateway, message_id)
        assert (found["mode"], found["origin"]["tls"]) == (mode, SUITES[version])
    with urllib.request.urlopen(f"{gateway.console_url}/messages/{first}", timeout=10) as answer:
        assert f"<dt>TLS</dt><dd>{SUITES[version]}</dd>" in answer.read().decode()


def test_a_session_without_tls_has_none_in_the_story(gateway):
    with session(gateway, "none") as client:
        message_id = id_of(send(client, "ann@cust.example", octets=tagged("queued")))
    assert story(gateway, message_id)["origin"]["tls"] == ""
    with urllib.request.urlopen(f"{gateway.console_url}/messages/{message_id}", timeout=10) as answer:
        assert "<dt>TLS</dt>" not in answer.read().decode()


@pytest.mark.parametrize(
    ("hop", "way"),
    [
        (
            Hop("app.shop.example", "192.0.2.7", "ESMTPSA", "TLSv1.3, TLS_AES_128_GCM_SHA256"),
            "from app.shop.example ([192.0.2.7]) by mx.test with ESMTPSA id 01k9 tls TLS_AES_128_GCM_SHA256",
        ),
        (Hop("", "2001:db8::7", "SMTP"), "from unknown ([IPv6:2001:db8::7]) by mx.test with SMTP id 01k9"),
        (Hop("", "", ""), "by mx.test id 01k9"),
    ],
)
def test_the_received_field_says_how_it_came(hop, way):
    field = received_field(hop, "mx.test", "01k9", 0.0)
    assert (field.name, field.body) == ("Received", f"{way}; Thu, 01 Jan 1970 00:00:00 +0000")


def test_every_suite_that_is_offered_has_its_registered_name(tmp_path):
    pair = Authority(tmp_path, "authority").sign_for_server("server", "gateway.test")
    contexts = ServerContexts(read_server_certificate(pair.certificate, pair.private_key), TlsPolicy())
    offered = contexts.serverConnectionForTLS(None).get_cipher_list()
    assert {one for one in offered if not one.startswith("TLS_")} == CIPHER_SUITES.keys()


@pytest.mark.parametrize("mode", MODES)
def test_the_story_of_a_message_begins_when_it_was_received(gateway, mode):
    with session(gateway, "implicit") as client:
        message_id = id_of(send(client, "ann@cust.example", octets=tagged(mode)))
    assert until(lambda: story(gateway, message_id)["attempts"], gateway)
    with urllib.request.urlopen(f"{gateway.console_url}/messages/{message_id}", timeout=10) as answer:
        page = answer.read().decode()
    assert 0 < page.index(">received<") < page.index("Attempt 1")
