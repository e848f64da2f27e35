"""One port, several dialects: what a session speaks is told by the server name of TLS, else by its login."""

from __future__ import annotations

import pytest

from gateway.settings import SettingsError, read_settings
from tests.dialects import add_credentials, run_all_dialects, session, submit
from tests.running import log_in

AUTHOR, PATHS = "shop@shop.example", ("ann@customer.example",)
TOKEN = "pm_test_5b0a4f37-0f3a-4f0e-9a01-8f2d1c6f7e11"
BROADCASTS, POSTSCALE_NAME, STREAM_NAME = "smtp-broadcasts.test", "smtp.postscale.test", "news.streams.test"
# A field of each dialect, and what its own vendor's API receives of it
FIELDS = "X-Postscale-Tags: scale\nX-PostStack-Tags: stack\nX-PM-Tag: mark\n"
MESSAGE = f"From: {AUTHOR}\nTo: {PATHS[0]}\nSubject: Hello\n{FIELDS}\nHello.\n"
LOGINS = {
    "postscale": ("postscale", "ps_test_shop"),
    "Postscale": ("PostScale", "ps_test_shop"),
    "poststack": ("poststack", "sk_test_shop"),
    "mailbox": ("ann@shop.example", "secret"),
    "token": (TOKEN, TOKEN),
}
SPOKEN = {
    "postscale": ("postscale", ["scale"]),
    "Postscale": ("postscale", ["scale"]),
    "poststack": ("poststack", ["stack"]),
    "mailbox": ("poststack", ["stack"]),
    "token": ("postmark", ["mark"]),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with run_all_dialects(tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture(scope="module")
def secrets(gateway):
    """The secrets of credentials, whose user names are those of their vendors with "user-" before it."""
    return add_credentials(gateway, {f"user_{name}": name for name in ("postscale", "postmark", "relaypost")})


def tags(request):
    """The tags in a request to any of the vendors."""
    json = request["json"]
    return json.get("tags") or [one for one in [json.get("Tag")] if one]


def sent(gateway, client, author=AUTHOR):
    """The vendor and the request of the message that is sent in this session."""
    gateway.clear()
    reply = submit(client, author, PATHS, MESSAGE.replace(AUTHOR, author))
    assert reply.startswith("250 "), reply
    (one,) = gateway.messages()
    return one["vendor"], one["request"]


@pytest.mark.parametrize("name", LOGINS)
def test_the_user_name_tells_the_dialect(gateway, name):
    with session(gateway, "shared") as client:
        assert log_in(client, *LOGINS[name])[0] == 235
        author = "ann@shop.example" if name == "mailbox" else AUTHOR
        vendor, request = sent(gateway, client, author)
    assert (vendor, tags(request)) == SPOKEN[name]


@pytest.mark.parametrize("name", ["postscale", "poststack", "token"])
def test_the_user_name_tells_the_dialect_over_implicit_tls_too(gateway, name):
    with session(gateway, "shared-tls") as client:
        assert log_in(client, *LOGINS[name])[0] == 235
        vendor, request = sent(gateway, client)
    assert (vendor, tags(request)) == SPOKEN[name]


@pytest.mark.parametrize(("vendor", "expected"), [("postscale", ["scale"]), ("postmark", ["mark"]), ("relaypost", [])])
def test_a_stored_credential_speaks_the_dialect_of_its_vendor(gateway, secrets, vendor, expected):
    with session(gateway, "shared") as client:
        assert log_in(client, f"user_{vendor}", secrets[f"user_{vendor}"])[0] == 235
        used, request = sent(gateway, client)
    assert (used, tags(request)) == (vendor, expected)


def test_a_credential_whose_vendors_dialect_is_not_spoken_there_speaks_the_first(gateway, secrets):
    with session(gateway, "shared-optional") as client:
        assert log_in(client, "user_relaypost", secrets["user_relaypost"])[0] == 235
        gateway.clear()
        # The first is Postmark's: its tag is read, which RelayPost cannot carry
        assert submit(client, AUTHOR, PATHS, MESSAGE) == "554 5.6.0 relaypost cannot carry tags (mark)"


def test_a_token_proved_by_a_challenge_tells_the_dialect(gateway):
    with session(gateway, "shared") as client:
        client.user = client.password = TOKEN
        assert client.auth("CRAM-MD5", client.auth_cram_md5)[0] == 235
        vendor, request = sent(gateway, client)
    assert (vendor, tags(request)) == ("postmark", ["mark"])


@pytest.mark.parametrize("listener", ["shared", "shared-tls", "shared-optional"])
def test_the_server_name_tells_the_dialect_and_the_stream(gateway, listener):
    with session(gateway, listener, server_name=BROADCASTS) as client:
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"]
        assert client.has_extn("enhancedstatuscodes")
        # Another dialect's constant user name is nobody here
        assert log_in(client, *LOGINS["postscale"]) == (535, "5.7.8 Error: authentication failed")
        assert log_in(client, TOKEN, TOKEN)[0] == 235
        vendor, request = sent(gateway, client)
    assert (vendor, tags(request)) == ("postmark", ["mark"])
    assert request["json"]["MessageStream"] == "newsletter"  # what this vendor entry calls broadcast


def test_a_message_that_names_its_stream_keeps_it_whatever_the_server_name(gateway):
    with session(gateway, "shared", server_name=BROADCASTS) as client:
        log_in(client, TOKEN, TOKEN)
        gateway.clear()
        assert submit(client, AUTHOR, PATHS, "X-PM-Message-Stream: outbound\n" + MESSAGE).startswith("250 ")
    (one,) = gateway.messages()
    assert one["request"]["json"]["MessageStream"] == "outbound"


@pytest.mark.parametrize("listener", ["shared", "shared-tls", "shared-optional"])
def test_the_server_name_brings_the_words_and_the_mechanisms_of_its_dialect(gateway, listener):
    with session(gateway, listener, server_name=POSTSCALE_NAME.upper()) as client:
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        assert not client.has_extn("enhancedstatuscodes")
        code, text = client.mail(AUTHOR)
        assert (code, text.decode()) == (502, "Authentication required")
        assert log_in(client, TOKEN, TOKEN) == (535, 'Invalid username, use "postscale"')
        assert log_in(client, *LOGINS["postscale"])[0] == 235
        vendor, _ = sent(gateway, client)
    assert vendor == "postscale"


def test_a_server_name_may_bring_a_stream_alone(gateway):
    with session(gateway, "shared", server_name=STREAM_NAME) as client:
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"]
        assert log_in(client, TOKEN, TOKEN)[0] == 235
        vendor, request = sent(gateway, client)
    assert (vendor, request["json"]["MessageStream"]) == ("postmark", "news")


@pytest.mark.parametrize("server_name", ["", "elsewhere.test", "streams.test", "a.news.streams.test"])
@pytest.mark.parametrize("listener", ["shared", "shared-tls"])
def test_without_a_server_name_that_fits_the_login_tells_the_dialect(gateway, listener, server_name):
    with session(gateway, listener, server_name=server_name) as client:
        assert log_in(client, *LOGINS["poststack"])[0] == 235
        vendor, request = sent(gateway, client)
    assert (vendor, tags(request)) == SPOKEN["poststack"]


def test_until_the_dialect_is_known_replies_are_neutral_and_everything_is_offered(gateway):
    with session(gateway, "shared") as client:
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"]
        assert client.esmtp_features["size"] == str(50 * 1024 * 1024)  # the largest of them
        assert "RCPTMAX=50" in client.esmtp_features["limits"]  # the fewest of them
        code, text = client.mail(AUTHOR)
        assert (code, text.decode()) == (530, "Authentication required")
        # The words of the first; that an unknown name is told as "postscale" is told would be wrong of the others
        assert log_in(client, "nobody", "secret") == (535, "Authentication failed")
        assert log_in(client, "poststack", "sk_test_unknown_1") == (535, "Authentication failed")


def test_refused_logins_are_told_in_the_words_of_the_first_dialect(gateway):
    with session(gateway, "shared-tls") as client:
        assert log_in(client, "nobody", "secret") == (535, "5.7.8 Error: authentication failed")
        assert log_in(client, "postscale", "not_a_key") == (535, "5.7.8 Error: authentication failed")


def test_once_the_dialect_is_known_its_limits_hold(gateway):
    with session(gateway, "shared") as client:
        log_in(client, TOKEN, TOKEN)
        assert client.docmd(f"MAIL FROM:<{AUTHOR}> SIZE={11 * 1024 * 1024}")[0] == 552
        assert client.mail(AUTHOR)[0] == 250
        codes = [client.rcpt(f"ann{number}@customer.example")[0] for number in range(51)]
        assert codes == [250] * 50 + [452]
    with session(gateway, "shared") as client:
        log_in(client, *LOGINS["postscale"])
        assert client.docmd(f"MAIL FROM:<{AUTHOR}> SIZE={11 * 1024 * 1024}")[0] == 250
        codes = [client.rcpt(f"ann{number}@customer.example")[0] for number in range(51)]
        assert codes == [250] * 51
        client.ehlo()
        assert "RCPTMAX=100" in client.esmtp_features["limits"]


def test_what_ehlo_has_said_of_enhanced_status_codes_holds_to_the_end(gateway):
    for listener, login, codes in (("shared", LOGINS["token"], b"OK"), ("shared-tls", LOGINS["postscale"], b"2.0.0 ")):
        with session(gateway, listener) as client:
            log_in(client, *login)
            assert client.noop()[1].startswith(codes)


def test_a_login_in_clear_tells_nothing_once_tls_is_up(gateway):
    with session(gateway, "shared-optional", tls=False) as client:
        client.user, client.password = LOGINS["postscale"]
        assert client.auth("PLAIN", client.auth_plain)[0] == 235
        client.starttls()
        client.ehlo()
        assert "RCPTMAX=50" in client.esmtp_features["limits"]
        assert client.mail(AUTHOR)[0] == 530
        assert log_in(client, TOKEN, TOKEN)[0] == 235
        vendor, _ = sent(gateway, client)
    assert vendor == "postmark"


@pytest.mark.parametrize(
    ("lines", "path", "told"),
    [
        ("dialects = ['postmark', 'nosuch']", "listeners[0].dialects[1]", 'no vendor "nosuch" is known'),
        ("dialects = ['postmark']\ndialect = 'poststack'", "listeners[0].dialect", "takes no effect beside dialects"),
        ("[[listeners.names]]\nname = 'a.test'", "listeners[0].names[0].name", "changes nothing"),
        ("[[listeners.names]]\nname = 'a b'\nstream = 's'", "listeners[0].names[0].name", "expected a DNS name"),
        (
            "[[listeners.names]]\nname = 'a.test'\ndialect = 'postmark'",
            "listeners[0].names[0].dialect",
            "expected one that is spoken here (postscale)",
        ),
        (
            "[[listeners.names]]\nname = 'a.test'\nstream = 's'\n[[listeners.names]]\nname = 'A.test'\nstream = 't'",
            "listeners[0].names[1].name",
            "is there already",
        ),
        ("tls = 'none'\n[[listeners.names]]\nname = 'a.test'\nstream = 's'", "listeners[0].names", "no server names"),
        ("dialects = ['poststack', 'postmark']", "listeners[0].dialects", '"poststack" or "postmark"'),
    ],
)
def test_settings_of_shared_listeners_that_do_not_fit_are_named(tmp_path, lines, path, told):
    file = tmp_path / "gateway.toml"
    file.write_text(f"[[listeners]]\nendpoint = 'tcp:1'\n{lines}\n[vendors.postscale]\napi = 'postscale'\n")
    with pytest.raises(SettingsError) as error:
        read_settings(file)
    assert any(one.path == path and told in one.text for one in error.value.problems), str(error.value)
