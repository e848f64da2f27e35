"""SMTP credentials as the vendors have them: bound to a stream, with names by the vendor's rule, and last used."""

from __future__ import annotations

import re
import smtplib
import ssl
import time

import pytest

from tests.running import credentials, log_in
from tests.smtp.own_gateway import own_gateway

AUTHOR, PATH = "shop@shop.example", "ann@customer.example"
LISTENERS = {
    "postmark": 'tls = "optional"\ndialect = "postmark"\nstream = "listeners"',
    "relaypost": 'dialect = "relaypost"',
}
VENDORS = "".join(
    f'[vendors.{name}]\napi = "{name}"\nurl = "http://127.0.0.1:{{console}}/sandbox/{name}/v1"\n'
    f'key = {{ env = "OPERATORS_{name.upper()}" }}\n'
    for name in ("postmark", "relaypost")
)
POLLS = 200

DIRECT = '[[routes]]\nmode = "direct"\n'  # the reply tells what became of it


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("OPERATORS_POSTMARK", "pm_test_operator")
        changed.setenv("OPERATORS_RELAYPOST", "rp_test_operator")
        with own_gateway(tmp_path_factory.mktemp("tokens"), LISTENERS, VENDORS + DIRECT) as running:
            yield running


def add(gateway, *words):
    """The user name and the secret of a new credential."""
    done = credentials(gateway, "add", *words)
    assert done.returncode == 0, done.stderr
    return re.fullmatch(r"user name: (\S+)\npassword:  (\S+)\n", done.stdout).groups()


def listed(gateway, user_name):
    """What `credentials list` says of a user name, by columns."""
    lines = [one.split("\t") for one in credentials(gateway, "list").stdout.splitlines()]
    (found,) = [one for one in lines if one[0] == user_name]
    return found


def submit(gateway, user, *fields):
    """The replies to messages with these header fields, in one session of Postmark's dialect."""
    with smtplib.SMTP(gateway.host, gateway.ports["postmark"], timeout=30) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(gateway.ca_file)))
        client.ehlo()
        assert log_in(client, *user)[0] == 235
        told = []
        for field in fields:
            client.mail(AUTHOR)
            client.rcpt(PATH)
            message = f"From: {AUTHOR}\r\nTo: {PATH}\r\nSubject: Hello\r\n{field}\r\n\r\nHello.\r\n"
            code, text = client.data(message.encode())
            told.append(f"{code} {text.decode()}")
        return told


def test_a_token_that_is_bound_to_a_stream_sends_to_it_and_to_no_other(gateway):
    user = add(gateway, "--vendor", "postmark", "--stream", "news", "access-key-1")
    gateway.clear()
    silent, same, other, after = submit(
        gateway,
        user,
        "X-Shop: 1",
        "X-PM-Message-Stream: news",
        "X-PM-Message-Stream: outbound",
        "X-PM-Message-Stream:",
    )
    assert [one[:4] for one in (silent, same, after)] == ["250 "] * 3
    assert other == "550 5.7.1 this login sends to the message stream 'news' only, and not to 'outbound'"
    assert [one["request"]["json"]["MessageStream"] for one in gateway.messages()] == ["news"] * 3
    assert listed(gateway, "access-key-1")[5] == "news"


def test_a_credential_without_a_stream_names_its_own_or_has_the_listeners(gateway):
    user = add(gateway, "--vendor", "postmark", "access-key-2")
    gateway.clear()
    for told in submit(gateway, user, "X-Shop: 1", "X-PM-Message-Stream: outbound"):
        assert told.startswith("250 ")
    assert [one["request"]["json"]["MessageStream"] for one in gateway.messages()] == ["outbound", "listeners"]
    assert listed(gateway, "access-key-2")[5] == "-"


def test_a_new_secret_keeps_the_stream(gateway):
    user_name, old = add(gateway, "--vendor", "postmark", "--stream", "news", "access-key-3")
    done = credentials(gateway, "regenerate", user_name)
    secret = done.stdout.split("password:")[1].strip()
    assert secret != old
    (told,) = submit(gateway, (user_name, secret), "X-PM-Message-Stream: other")
    assert told.startswith("550 5.7.1 ")


def last_use(gateway, user_name):
    """When it was; the gateway writes it beside the login, in a thread, and tells nobody."""
    for _ in range(POLLS):
        if (told := listed(gateway, user_name)[4]) != "never":
            return told
        time.sleep(0.05)
    raise AssertionError(f"no use of {user_name} is told")


def test_the_list_tells_when_a_credential_was_last_used(gateway):
    user = add(gateway, "--vendor", "postmark", "access-key-4")
    assert listed(gateway, "access-key-4")[4] == "never"
    submit(gateway, ("ACCESS-key-4", user[1]))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", last_use(gateway, "access-key-4"))


def test_a_wrong_secret_is_no_use(gateway):
    add(gateway, "--vendor", "postmark", "access-key-5")
    used = add(gateway, "--vendor", "postmark", "access-key-6")
    with smtplib.SMTP(gateway.host, gateway.ports["postmark"], timeout=30) as client:
        client.ehlo()
        assert log_in(client, "access-key-5", "wrong")[0] == 535
        assert log_in(client, *used)[0] == 235
    assert last_use(gateway, "access-key-6")
    assert listed(gateway, "access-key-5")[4] == "never"


@pytest.mark.parametrize("words", [("--stream", "two words"), ("--stream", "x" * 65), ("--stream", "straße")])
def test_a_stream_that_no_message_could_name_is_refused(gateway, words):
    done = credentials(gateway, "add", "--vendor", "postmark", *words, "access-key-9")
    assert done.returncode == 1
    assert "a message stream has 1 to 64 characters" in done.stderr


def test_a_stream_for_a_vendor_without_streams_is_told(gateway):
    done = credentials(gateway, "add", "--vendor", "relaypost", "--stream", "news", "streamless")
    assert done.returncode == 0
    assert "The API of vendors.relaypost has no message streams: news only counts for routes." in done.stderr


def test_a_user_name_is_made_up_by_the_vendors_rule(gateway):
    name, secret = add(gateway, "--vendor", "relaypost")
    assert re.fullmatch(r"smtp_[a-z0-9]{8}", name)
    other, _ = add(gateway, "--vendor", "postmark")
    assert re.fullmatch(r"user_[a-z0-9]{8}", other)
    with smtplib.SMTP(gateway.host, gateway.ports["relaypost"], timeout=30) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(gateway.ca_file)))
        client.ehlo()
        assert log_in(client, name, secret)[0] == 235


@pytest.mark.parametrize("name", ["_shop", "shop_2", "x" * 50, "____", "1234"])
def test_a_name_that_relaypost_would_take_is_taken(gateway, name):
    assert add(gateway, "--vendor", "relaypost", name)[0] == name


@pytest.mark.parametrize("name", ["abc", "x" * 51, "shop-1", "shop.1", "ann@shop.example", "shöp"])
def test_a_name_that_relaypost_would_not_take_is_refused_with_its_rule(gateway, name):
    done = credentials(gateway, "add", "--vendor", "relaypost", name)
    assert done.returncode == 1
    assert "a user name has 4 to 50 letters, digits and underscores" in done.stderr


def test_a_leading_underscore_is_for_relaypost_only(gateway):
    done = credentials(gateway, "add", "--vendor", "postmark", "_shop2")
    assert done.returncode == 1
    assert "begins with a letter or digit" in done.stderr
