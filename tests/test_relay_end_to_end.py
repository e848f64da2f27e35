"""Each row of Postscale's error table by its real cause, through a running gateway and its sandbox;
credentials of the operator; and partial success.
"""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest

from tests.http.peers import Server
from tests.running import add_credential, connected, credentials, leaks, letter, log_in, run, send
from tests.smtp.own_gateway import logged

KEY = "ps_test_end_to_end"
GOOD = "ann@cust.example"


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    """A gateway with its sandbox and short deadlines."""
    with run(tmp_path_factory.mktemp("relay")) as running:
        yield running


@pytest.fixture
def session(relay):
    """A session of the relay, logged in with a key of its own."""
    with connected(relay) as client:
        assert log_in(client, "postscale", KEY)[0] == 235
        yield client


# -- login


@pytest.mark.parametrize(
    ("user_name", "password", "reply"),
    [
        ("someone", KEY, (535, 'Invalid username, use "postscale"')),
        ("postscale", "ps_live_nobody_knows", (535, "Authentication failed")),
        ("postscale", "no key at all", (535, "Authentication failed")),
        ("postscale", "ps_down_1", (451, "Authentication service unavailable")),
        ("postscale", "ps_cut_1", (451, "Authentication service unavailable")),
        ("postscale", "ps_noanswer_1", (451, "Authentication service unavailable")),
    ],
)
def test_a_login_that_fails_is_told_why_and_another_may_follow(relay, user_name, password, reply):
    with connected(relay) as client:
        assert log_in(client, user_name, password) == reply
        assert log_in(client, "PostScale", KEY)[0] == 235
        assert send(client, GOOD)[0] == 250


def test_a_key_that_may_do_less_is_still_a_key(relay):
    with connected(relay) as client:
        assert log_in(client, "postscale", "ps_forbidden_1")[0] == 235


def test_mail_without_login_is_refused(relay):
    with connected(relay) as client:
        assert client.docmd("MAIL FROM:<shop@shop.example>") == (502, b"Authentication required")
        assert log_in(client, "postscale", KEY)[0] == 235


# -- sending


def test_success_tells_the_vendors_message_id_and_the_log_too(relay, session):
    relay.clear()
    code, text = send(session, GOOD)
    gateway_id, vendor_id = re.fullmatch(r"OK ([0-9a-z]{20}) (\S+@shop\.example)", text).groups()
    assert code == 250
    assert f"message_id={gateway_id}" in relay.log()
    assert f"vendor_message_id={vendor_id}" in relay.log()
    assert relay.messages()[0]["request"]["json"]["to"] == [GOOD]


ROWS = [
    ("suppressed", (550, "All recipients suppressed")),
    ("ratelimit", (452, "Rate limit exceeded, try again later")),
    ("ratelimit-date", (452, "Rate limit exceeded, try again later")),
    ("unavailable", (451, "API unavailable")),
    ("error500", (451, "API unavailable")),
    ("badgateway", (451, "API unavailable")),
    ("noanswer", (451, "API unavailable")),
    ("cut", (451, "API unavailable")),
    ("badrequest", (554, "bad request asked for")),
    ("nested-error", (554, "nested error asked for")),
    ("notfound", (554, "template not found")),
    ("forbidden", (550, "plan limit reached")),
    ("toolarge", (552, "message is larger than 50 MiB")),
    ("unauthorized", (535, "Authentication failed")),
]


@pytest.mark.parametrize(("name", "reply"), ROWS, ids=[name for name, _ in ROWS])
def test_what_the_vendor_answers_is_told_and_the_session_goes_on(session, name, reply):
    assert send(session, f"{name}@sandbox.example") == reply
    assert send(session, GOOD)[0] == 250


@pytest.mark.parametrize("name", ["noanswer", "cut"])
def test_a_request_without_answer_is_logged_as_unknown(relay, session, name):
    before = len(relay.log())
    send(session, f"{name}@sandbox.example")
    assert "outcome=unknown" in relay.log()[before:]


def test_retry_after_is_logged(relay, session):
    before = len(relay.log())
    send(session, "ratelimit-date@sandbox.example")
    (seconds,) = re.findall(r"retry_after_seconds=([0-9.]+)", relay.log()[before:])
    assert 28 <= float(seconds) <= 31


@pytest.mark.parametrize("name", ["garbage", "cut-answer", "huge-answer"])
def test_an_accepted_message_with_a_spoilt_answer_is_accepted(session, name):
    assert send(session, f"{name}@sandbox.example")[0] == 250


def test_an_unverified_from_domain_is_refused_with_the_apis_reason(session):
    octets = letter(GOOD, sender="shop@unverified.example")
    assert send(session, GOOD, octets=octets) == (550, "domain unverified.example is not verified")
    assert send(session, GOOD)[0] == 250


def test_a_broken_message_is_refused_without_asking_the_vendor(relay, session):
    relay.clear()
    assert send(session, GOOD, octets=b"From: a@shop.example\r\n" + letter(GOOD)) == (554, "Failed to parse message")
    assert relay.messages() == []
    assert send(session, GOOD)[0] == 250


def test_bad_metadata_is_refused_by_name(session):
    code, text = send(session, GOOD, octets=b"X-Postscale-Metadata: {'a': 1}\r\n" + letter(GOOD))
    assert code == 554
    assert text.startswith("X-Postscale-Metadata is not a JSON object of strings")


# -- keys and credentials


def test_a_key_revoked_while_sending_is_asked_about_again_at_the_next_login(tmp_path):
    """A vendor of the test's own, because the sandbox does not tell how often it is asked about a key."""
    asked: list[str] = []
    revoked = threading.Event()

    def vendor(visit):
        while head := visit.read_request():
            asked.append(head.split()[0])
            if head.startswith("POST"):
                revoked.set()
            visit.answer(
                b'{"error": "key revoked"}' if revoked.is_set() else b"{}", "401 No" if revoked.is_set() else "200 OK"
            )

    server = Server(vendor)
    with run(tmp_path, server.url) as running:
        for _ in range(2):
            with connected(running) as client:
                assert log_in(client, "postscale", KEY)[0] == 235
        assert asked == ["GET"]
        with connected(running) as client:
            log_in(client, "postscale", KEY)
            assert send(client, GOOD) == (535, "Authentication failed")
        with connected(running) as client:
            assert log_in(client, "postscale", KEY) == (535, "Authentication failed")
        assert asked == ["GET", "POST", "GET"]
        secret = add_credential(running, "shop-1")
        with connected(running) as client:
            assert log_in(client, "shop-1", secret)[0] == 235
            assert send(client, GOOD) == (451, "API unavailable")
        assert "alarm" in running.log()
        assert KEY not in running.log()
        assert "ps_test_operator" not in running.log()
    server.close()


def test_a_credential_sends_with_the_operators_key_until_it_is_deactivated(relay):
    secret = add_credential(relay, "shop-2")
    relay.clear()
    with connected(relay) as client:
        assert log_in(client, "Shop-2", secret)[0] == 235
        assert send(client, GOOD)[0] == 250
    assert "ps_test_…" in str(relay.messages()[0]["request"]["headers"])
    with connected(relay) as client:
        assert log_in(client, "shop-2", secret[:-1]) == (535, "Authentication failed")
    assert "shop-2\tkeyed\tactive\t" in credentials(relay, "list").stdout
    assert credentials(relay, "deactivate", "SHOP-2").returncode == 0
    assert "shop-2\tkeyed\tdeactivated\t" in credentials(relay, "list").stdout
    with connected(relay) as client:
        assert log_in(client, "shop-2", secret) == (535, "Authentication failed")
    assert secret not in relay.log() + credentials(relay, "list").stdout


def test_the_command_says_which_store_it_wrote_to_and_that_a_name_stays_taken(relay):
    store = str(relay.log_file.with_name("state") / "store.sqlite")
    assert store in credentials(relay, "add", "--vendor", "keyed", "shop-5").stderr
    gone = credentials(relay, "deactivate", "shop-5")
    assert "stays taken" in gone.stdout
    assert store in gone.stderr
    assert credentials(relay, "add", "--vendor", "keyed", "shop-5").returncode == 1


def test_a_hangup_signal_does_not_end_the_gateway(relay):
    relay.process.send_signal(signal.SIGHUP)
    assert logged(relay, "reloaded", "listeners=")
    assert relay.is_ready()


def test_the_gateway_may_open_as_many_files_as_the_system_allows(relay):
    limits = Path(f"/proc/{relay.process.pid}/limits").read_text().split("Max open files")[1].split()
    assert limits[0] == limits[1]


def test_a_credential_of_a_vendor_without_key_has_to_wait(relay):
    secret = add_credential(relay, "shop-3", "keyless")
    with connected(relay) as client:
        assert log_in(client, "shop-3", secret) == (451, "Authentication service unavailable")
    assert "vendors.keyless" in relay.log()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "--vendor", "nosuch", "shop-4"), "--vendor has to be one of"),
        (("add", "shop-4"), "--vendor has to be one of"),
        (("add", "--vendor", "keyed", "a b"), "3 to 64"),
        (("add", "--vendor", "keyed", "PostScale"), "the user name that goes with an API key"),
        (("add", "--vendor", "keyed", "poststack"), "the user name that goes with an API key"),
        (("deactivate", "nobody"), "there is no credential"),
    ],
)
def test_what_the_command_cannot_do_it_says(relay, words, told):
    done = credentials(relay, *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


# -- partial success


def test_a_retry_reaches_only_who_was_not_served_before(relay, session):
    octets = letter(header_to="list@else.example", subject="partial")
    everyone = ("a@cust.example", "b@cust.example", "ratelimit@sandbox.example")
    relay.clear()
    for _ in range(2):
        assert send(session, *everyone, octets=octets) == (452, "Rate limit exceeded, try again later")
    asked = [one["request"]["json"]["to"] for one in reversed(relay.messages())]
    assert [to for (to,) in asked if not to.startswith("ratelimit")] == ["a@cust.example", "b@cust.example"]


def test_who_is_refused_beside_an_accepted_one_is_named_in_the_log(relay, session):
    before = len(relay.log())
    everyone = ("a@cust.example", "badrequest@sandbox.example", "c@cust.example")
    assert send(session, *everyone, octets=letter(header_to="list@else.example"))[0] == 250
    assert "badrequest@sandbox.example was refused: bad request asked for" in relay.log()[before:]


def test_no_key_and_no_traceback_is_in_the_log(relay):
    """Last, over all that was done above."""
    assert leaks(relay.log()) == []
