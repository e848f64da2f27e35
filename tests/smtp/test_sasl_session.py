"""AUTH in a session: which mechanisms are offered where, lookups between two lines, and how a refusal is told."""

from __future__ import annotations

import base64

import pytest

from gateway.outcome import Reply
from gateway.scram import make_verifier
from gateway.smtp import events, replies
from gateway.smtp.extensions import SessionRules
from gateway.smtp.limits import Limits
from gateway.smtp.mechanisms.cram_md5 import cram_md5_digest
from gateway.smtp.mechanisms.exchange import BearerLogin, CertificateLogin, Lookup, Needs, RefusedLogin, VerifiedLogin
from gateway.smtp.sasl import MECHANISMS
from gateway.smtp.session import Session
from tests.smtp.sasl_exchange import SALT

REFUSED = Reply(535, "Authentication failed")
BEARER = base64.b64encode(b"user=ann\x01auth=Bearer abc\x01\x01").decode()


def session(*mechanisms: str, secure: bool = True, tls: str = "starttls", clear_passwords: bool = True) -> Session:
    rules = SessionRules(
        hostname="gateway.test",
        offers_tls=True,
        needs_tls=tls == "starttls",
        mechanisms=mechanisms or tuple(MECHANISMS),
        enhanced=False,
        wording={},
        limits=Limits(failed_logins=2),
        clear_passwords=clear_passwords,
    )
    made = Session(rules, secure=secure, new_nonce=lambda: "nonce")
    made.greet()
    return made


def say(one: Session, line: str) -> list[str]:
    """Send a line; the reply lines. The events that came up are in waiting."""
    one.receive(line.encode() + b"\r\n")
    return hear(one)


def hear(one: Session) -> list[str]:
    waiting.clear()
    while (event := one.next_event()) is not None:
        waiting.append(event)
    return one.take_output().decode().splitlines()


waiting: list[events.Event] = []


def offer(one: Session) -> set[str]:
    lines = say(one, "EHLO client.test")
    return {name for line in lines if line[4:9] == "AUTH " for name in line[9:].split()}


def challenge(lines: list[str]) -> bytes:
    (line,) = lines
    assert line.startswith("334 ")
    return base64.b64decode(line[4:])


def response(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def test_what_needs_a_binding_or_a_certificate_is_offered_only_with_one():
    one = session()
    assert offer(one) == set(MECHANISMS) - {"SCRAM-SHA-256-PLUS", "EXTERNAL"}
    assert say(one, "AUTH EXTERNAL =") == ["504 Authentication mechanism not offered"]
    one.channel_bindings, one.certificate_name = {"tls-exporter": b"x"}, "ann"
    assert offer(one) == set(MECHANISMS)


def test_only_what_the_listener_names_is_offered():
    one = session("CRAM-MD5")
    assert offer(one) == {"CRAM-MD5"}
    assert say(one, "AUTH PLAIN AGFubgBz") == ["504 Authentication mechanism not offered"]


def test_without_tls_passwords_can_be_kept_back():
    hidden = {"SCRAM-SHA-256", "DIGEST-MD5", "CRAM-MD5"}
    assert offer(session(secure=False, tls="optional", clear_passwords=False)) == hidden
    assert offer(session(secure=False, tls="optional")) == set(MECHANISMS) - {"SCRAM-SHA-256-PLUS", "EXTERNAL"}
    assert offer(session(secure=False)) == set()
    bare = session("PLAIN", secure=False, tls="optional", clear_passwords=False)
    assert "AUTH" not in " ".join(say(bare, "EHLO client.test"))
    assert say(bare, "AUTH PLAIN AGFubgBz") == ["504 Authentication mechanism not offered"]


def cram_md5(one: Session, secret: str, *, kept: str) -> list[str]:
    """Log in as ann up to the answer of the lookup."""
    asked = challenge(say(one, "AUTH CRAM-MD5"))
    assert asked == b"<nonce@gateway.test>"
    assert say(one, response(b"ann " + cram_md5_digest(secret, asked))) == []
    assert waiting == [events.LookupWanted(Lookup("ann", Needs.SECRET))]
    one.found(kept)
    return hear(one)


def test_a_lookup_is_asked_outside_and_the_login_follows():
    one = session()
    offer(one)
    assert cram_md5(one, "secret", kept="secret") == []
    assert waiting == [events.LoginWanted("CRAM-MD5", VerifiedLogin("ann"))]
    one.answer(replies.AUTHENTICATED)
    assert hear(one) == ["235 Authentication succeeded"]
    assert say(one, "AUTH CRAM-MD5") == ["503 Already authenticated"]


def test_commands_behind_a_response_wait_for_the_lookup():
    one = session()
    offer(one)
    asked = challenge(say(one, "AUTH CRAM-MD5"))
    assert say(one, response(b"ann " + cram_md5_digest("secret", asked)) + "\r\nNOOP") == []
    one.found("other")
    assert hear(one) == []
    assert isinstance(waiting[0], events.LoginWanted)
    one.answer(REFUSED)
    assert hear(one) == ["535 Authentication failed", "250 OK"]


def test_a_wrong_proof_is_a_login_that_was_refused_and_counts_as_one():
    one = session()
    offer(one)
    for heard in (["535 Authentication failed"], ["535 Authentication failed", "421 Too many failed logins"]):
        assert cram_md5(one, "wrong", kept="secret") == []
        assert isinstance(waiting[0], events.LoginWanted)
        assert isinstance(waiting[0].login, RefusedLogin)
        one.answer(REFUSED)
        assert hear(one) == heard


def test_a_lookup_that_cannot_be_answered_is_a_temporary_failure():
    one = session()
    offer(one)
    say(one, "AUTH SCRAM-SHA-256 " + response(b"n,,n=ann,r=abc"))
    one.answer(Reply(454, "Temporary authentication failure"))
    assert hear(one) == ["454 Temporary authentication failure"]
    assert say(one, "NOOP") == ["250 OK"]


def test_scram_goes_through_its_four_messages():
    one = session()
    offer(one)
    assert say(one, "AUTH SCRAM-SHA-256 " + response(b"n,,n=ann,r=abc")) == []
    assert waiting == [events.LookupWanted(Lookup("ann", Needs.SCRAM_VERIFIER))]
    one.found(make_verifier("secret", SALT))
    assert challenge(hear(one)) == b"r=abcnonce,s=" + base64.b64encode(SALT) + b",i=4096"
    assert say(one, response(b"c=biws,r=other,p=AAAA")) == ["501 Authentication response cannot be decoded"]
    assert say(one, "NOOP") == ["250 OK"]


def test_a_client_that_saw_no_plus_is_refused_when_it_was_offered():
    one = session()
    one.channel_bindings = {"tls-exporter": b"x"}
    offer(one)
    say(one, "AUTH SCRAM-SHA-256 " + response(b"y,,n=ann,r=abc"))
    assert isinstance(waiting[0], events.LoginWanted)
    assert isinstance(waiting[0].login, RefusedLogin)


def test_external_asks_for_the_certificates_name():
    one = session()
    one.certificate_name = "ann"
    offer(one)
    say(one, "AUTH EXTERNAL =")
    assert waiting == [events.LoginWanted("EXTERNAL", CertificateLogin("ann"))]


@pytest.mark.parametrize("dummy", ["", "AQ==", "*", "not base64"])
def test_a_refused_bearer_is_told_why_and_the_reply_comes_behind_its_response(dummy):
    one = session()
    offer(one)
    say(one, f"AUTH XOAUTH2 {BEARER}")
    assert waiting == [events.LoginWanted("XOAUTH2", BearerLogin("ann", "abc"))]
    one.answer(REFUSED)
    assert challenge(hear(one)) == b'{"status":"401","schemes":"bearer","scope":""}'
    assert say(one, dummy) == ["535 Authentication failed"]
    assert say(one, "NOOP") == ["250 OK"]


def test_refused_bearers_count_as_failed_logins():
    one = session()
    offer(one)
    for heard in (["535 Authentication failed"], ["535 Authentication failed", "421 Too many failed logins"]):
        say(one, f"AUTH XOAUTH2 {BEARER}")
        one.answer(REFUSED)
        hear(one)
        assert say(one, "") == heard


def test_a_bearer_that_cannot_be_checked_gets_the_reply_at_once():
    one = session()
    offer(one)
    say(one, f"AUTH XOAUTH2 {BEARER}")
    one.answer(Reply(454, "Temporary authentication failure"))
    assert hear(one) == ["454 Temporary authentication failure"]


def test_an_exchange_can_be_given_up_at_each_challenge():
    one = session()
    offer(one)
    for name in ("CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"):
        say(one, f"AUTH {name}")
        assert say(one, "*") == ["501 Authentication cancelled"]
