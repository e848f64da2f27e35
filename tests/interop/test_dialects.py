"""Real clients log in and send in each dialect, over its TLS and by each mechanism that it offers."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.dialects import LISTENERS, add_credentials, run_all_dialects, session
from tests.interop.dialect_clients import CLIENTS, MESSAGE, RUN_SECONDS, TAGS, Login, send_with_smtplib
from tests.running import credentials

# As long as the vendors' own, because the log knows a key that stands in the wrong field by its length
TOKEN = "pm_test_5b0a4f37-0f3a-4f0e-9a01-8f2d1c6f7e11"
OTHER_TOKEN = "pm_test_c3e1d2b4-77aa-4a55-b3c0-1d0e9f8a7b6c"
RELAYPOST_KEY = "rp_test_9f2c4d6e8a0b1c3d5e7f"
MECHANISMS = {
    "postscale": ("PLAIN", "LOGIN"),
    "poststack": ("PLAIN", "LOGIN"),
    "postmark": ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"),
    "postmark-broadcast": ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"),
    "relaypost": ("PLAIN", "LOGIN"),
    "relaypost-tls": ("PLAIN", "LOGIN"),
}
WRONG = {
    "postscale": "535 Authentication failed",
    "poststack": "535 5.7.8 Authentication failed",
    "postmark": "535 5.7.8 Error: authentication failed",
    "relaypost": "535 5.7.8 Authentication failed",
}
GOOD = {
    "postscale-key": Login("postscale", "starttls", "postscale", "ps_test_shop"),
    "poststack-key": Login("poststack", "implicit", "poststack", "sk_test_shop"),
    "poststack-mailbox": Login("poststack", "implicit", "ann@shop.example", "secret"),
    "postmark-token": Login("postmark", "starttls", TOKEN, TOKEN),
    "postmark-token-without-tls": Login("postmark", "none", TOKEN, TOKEN),
    "postmark-public-test-token": Login("postmark", "starttls", "POSTMARK_API_TEST", "POSTMARK_API_TEST"),
    "relaypost-starttls": Login("relaypost", "starttls", "shop", ""),
    "relaypost-implicit": Login("relaypost-tls", "implicit", "shop", ""),
}
BAD = {
    "postscale-key": Login("postscale", "starttls", "postscale", "not_a_key"),
    "poststack-key": Login("poststack", "implicit", "poststack", "sk_test_unknown_1"),
    "poststack-mailbox": Login("poststack", "implicit", "ann@shop.example", "Secret"),
    "poststack-no-such-mailbox": Login("poststack", "implicit", "eve@shop.example", "secret"),
    "postmark-token": Login("postmark", "starttls", "not_a_token", "not_a_token"),
    "postmark-token-without-tls": Login("postmark", "none", "not_a_token", "not_a_token"),
    "postmark-smtp-switched-off": Login("postmark", "starttls", "pm_nosmtp_1", "pm_nosmtp_1"),
    "postmark-token-as-user-only": Login("postmark", "starttls", TOKEN, "secret"),
    "postmark-token-as-password-only": Login("postmark", "starttls", "postmark", TOKEN),
    "postmark-two-tokens": Login("postmark", "starttls", TOKEN, OTHER_TOKEN),
    "relaypost-secret": Login("relaypost", "starttls", "shop", "wrong"),
    "relaypost-key-as-password": Login("relaypost", "starttls", "relaypost", RELAYPOST_KEY),
    "relaypost-key-twice": Login("relaypost-tls", "implicit", RELAYPOST_KEY, RELAYPOST_KEY),
}


def every(logins: dict[str, Login]) -> pytest.MarkDecorator:
    """Each of these logins, by each mechanism of its listener, with each client that has it."""
    found = [
        pytest.param(client, login, mechanism, id=f"{name}-{mechanism}-{program}")
        for name, login in logins.items()
        for mechanism in MECHANISMS[login.listener]
        for program, client in CLIENTS.items()
        if mechanism in client.mechanisms
    ]
    return pytest.mark.parametrize(("client", "login", "mechanism"), found)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with run_all_dialects(tmp_path_factory.mktemp("dialects")) as running:
        yield running


@pytest.fixture(scope="module")
def secret(gateway):
    """The secret of RelayPost's credential "shop"."""
    return add_credentials(gateway, {"shop": "relaypost"})["shop"]


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_listener_offers_the_mechanisms_of_its_dialect(listener, gateway):
    with session(gateway, listener) as client:
        assert tuple(client.esmtp_features["auth"].split()) == MECHANISMS[listener]


def test_starttls_is_asked_for_offered_or_needless_as_the_dialect_has_it(gateway):
    for listener, answer in {"postscale": 530, "relaypost": 530, "postmark": 334}.items():
        with session(gateway, listener, tls=False) as client:
            assert client.has_extn("starttls")
            assert client.docmd("AUTH", "LOGIN")[0] == answer
            assert client.docmd("*")[0] in (500, 501)  # a cancelled login, or no command
    for listener in ("poststack", "relaypost-tls"):
        with session(gateway, listener) as client:
            assert not client.has_extn("starttls")


@pytest.mark.parametrize("listener", ["poststack", "relaypost-tls"])
def test_a_client_without_tls_is_cut_off_without_a_greeting_where_tls_comes_first(listener, gateway):
    with socket.create_connection((gateway.host, gateway.ports[listener]), RUN_SECONDS) as client:
        client.sendall(b"EHLO shop.example\r\n")
        received = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"220" not in received


@every(GOOD)
def test_a_client_logs_in_and_sends_in_its_vendors_dialect(client, login, mechanism, gateway, secret, needs):
    needs(client.is_installed(), client.send.__name__.removeprefix("send_with_"))
    gateway.clear()
    login = login._replace(password=login.password or secret)
    before = gateway.log().count(f"mechanism={mechanism}\n")
    sent, told = client.send(gateway, login, mechanism)
    assert sent, told
    assert gateway.log().count(f"mechanism={mechanism}\n") == before + 1
    (one,) = gateway.messages()
    received = json.dumps(one["request"]["json"])
    assert one["vendor"] == login.dialect
    assert ("invoice" in received) == (login.dialect != "relaypost")
    assert TAGS[login.dialect].partition(":")[0] not in received


@every(BAD)
def test_a_login_that_is_not_good_is_refused(client, login, mechanism, gateway, secret, needs):
    needs(client.is_installed(), client.send.__name__.removeprefix("send_with_"))
    gateway.clear()
    sent, told = client.send(gateway, login, mechanism)
    assert not sent
    assert WRONG[login.dialect] in told
    assert gateway.messages() == []


# -- Postmark's streams


@pytest.mark.parametrize(
    ("listener", "field", "stream"),
    [
        ("postmark", "X-PM-Message-Stream:", None),
        ("postmark", "X-PM-Message-Stream: receipts", "receipts"),
        ("postmark-broadcast", "X-PM-Message-Stream:", "newsletter"),  # what the settings call "broadcast" here
        ("postmark-broadcast", "X-PM-Message-Stream: receipts", "receipts"),
    ],
)
def test_a_listener_has_the_stream_of_what_names_none(listener, field, stream, gateway):
    gateway.clear()
    with session(gateway, listener) as client:
        client.login(TOKEN, TOKEN)
        message = MESSAGE.format(author="shop@shop.example", tags=field)
        client.sendmail("shop@shop.example", ["ann@customer.example"], message)
    (one,) = gateway.messages()
    assert one["request"]["json"].get("MessageStream") == stream


# -- PostStack's mailboxes send as themselves


@pytest.mark.parametrize("program", CLIENTS)
@pytest.mark.parametrize("author", ["bob@shop.example", "ann@shop.example.com"])
def test_a_mailbox_sends_only_from_its_own_address(author, program, gateway, needs):
    client = CLIENTS[program]
    needs(client.is_installed(), program)
    gateway.clear()
    sent, told = client.send(gateway, GOOD["poststack-mailbox"]._replace(author=author), "PLAIN")
    assert not sent
    assert "553 5.7.1 A mailbox may send only from its own address, ann@shop.example" in told
    assert gateway.messages() == []


@pytest.mark.parametrize(
    ("authors", "reply"),
    [
        ("bob@shop.example", 553),
        ("ann@shop.example, bob@shop.example", 553),
        ("ann@shop.example\nSender: bob@shop.example", 553),
        ("Ann <Ann@Shop.example>\nSender: ann@shop.example", 250),
    ],
)
def test_the_from_field_of_a_mailbox_counts_as_the_reverse_path_does(authors, reply, gateway):
    login = GOOD["poststack-mailbox"]
    with session(gateway, "poststack") as client:
        client.login(login.user, login.password)
        assert client.mail("ANN@shop.example")[0] == 250
        client.rcpt("ann@customer.example")
        code, text = client.data(login.message.replace("ann@shop.example", authors, 1))
        assert code == reply, text
        assert reply == 250 or b"only from its own address, ann@shop.example" in text
        assert client.mail("bob@shop.example")[0] == 553
        assert client.mail("ann@shop.example")[0] == 250


def test_a_mailbox_sends_with_the_key_of_the_settings_and_without_a_signature(gateway):
    gateway.clear()
    assert send_with_smtplib(gateway, GOOD["poststack-mailbox"], "LOGIN")[0]
    (one,) = gateway.messages()
    assert "sk_test_…" in str(one["request"]["headers"])
    assert one["request"]["json"]["signature"] == "none"


# -- RelayPost's credentials


def test_a_deactivated_credential_and_an_old_secret_are_refused(gateway):
    old = add_credentials(gateway, {"shop_2": "relaypost"})["shop_2"]
    login = Login("relaypost", "starttls", "shop_2", old)
    assert send_with_smtplib(gateway, login, "PLAIN")[0]
    done = credentials(gateway, "regenerate", "shop_2")
    new = re.search(r"password:\s*(\S+)", done.stdout)[1]
    assert send_with_smtplib(gateway, login, "PLAIN") == (False, WRONG["relaypost"])
    assert send_with_smtplib(gateway, login._replace(password=new), "PLAIN")[0]
    assert credentials(gateway, "deactivate", "shop_2").returncode == 0
    assert send_with_smtplib(gateway, login._replace(password=new), "LOGIN") == (False, WRONG["relaypost"])


def test_no_key_no_token_and_no_password_is_in_the_log(gateway, secret):
    """Last, over all that was done above."""
    log = gateway.log()
    assert "Traceback" not in log
    assert not re.findall(r"(?:ps|sk|pm|rp)_test_\w+|POSTMARK_API_TEST", log)
    assert secret not in log
