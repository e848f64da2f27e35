"""The settings of notices and webhooks: what is taken, what is refused, and that no secret is shown."""

from __future__ import annotations

import base64

import pytest
from twisted.internet.task import Clock

from gateway.check import check_settings, not_looked_at
from gateway.console.steering import EVENTS as STEERED
from gateway.notice_parts import notices, webhooks
from gateway.settings import SettingsError, read_settings

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "gateway.toml"
        path.write_text(text.replace("SECRET", f'{{ file = "{tmp_path}/secret" }}'), "utf-8")
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        return read_settings(path)

    return read


def test_webhooks_are_ready_with_their_secrets(read):
    (one, other) = webhooks(
        read(
            '[[webhooks]]\nurl = "https://a.example/?x=1"\nsecret = SECRET\nprevious_secret = SECRET\n'
            'name = "app"\nevents = ["refused"]\naccounts = ["postscale/user-shop"]\n'
            '[[webhooks]]\nurl = "http://127.0.0.1:9/"\nformat = "postmark"'
        )
    )
    assert (one.name, one.url, one.keys) == ("app", "https://a.example/?x=1", (bytes(range(32)),) * 2)
    assert one.wants("refused", "postscale/user-shop")
    assert not one.wants("relayed", "postscale/user-shop")
    assert (other.name, other.format, other.keys, other.login) == ("http://127.0.0.1:9", "postmark", (), "")


@pytest.mark.parametrize("name", sorted(STEERED.values()))
def test_whatever_an_operator_does_to_mail_a_webhook_can_ask_to_be_told_of(read, name):
    (one,) = webhooks(read(f'[[webhooks]]\nurl = "https://a.example/"\nsecret = SECRET\nevents = ["{name}"]'))
    assert one.wants(name, "postscale/user-shop")


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ('url = "http://a.example/"\nsecret = SECRET', "webhooks[0].url"),
        ('url = "https://user:pw@a.example/"\nsecret = SECRET', "webhooks[0].url"),
        ('url = "https://a.example/#x"\nsecret = SECRET', "webhooks[0].url"),
        ('url = "https://a.example/"', "webhooks[0].secret"),
        ('url = "https://a.example/"\nsecret = SECRET\nlogin = SECRET', "webhooks[0].login"),
        ('url = "https://a.example/"\nsecret = SECRET\nevents = ["bounced"]', "webhooks[0].events[0]"),
        ('url = "https://a.example/"\nsecret = "whsec_AAAA"', "webhooks[0].secret"),
        ('url = "https://a.example/"\nformat = "postmark"\nsecret = SECRET', "webhooks[0].secret"),
        ('url = "https://a.example/"\nformat = "postmark"\nevents = ["refused"]', "webhooks[0].events"),
        ('url = "https://a.example/"\nformat = "other"', "webhooks[0].format"),
        (
            'url = "https://a.example/"\nsecret = SECRET\n[[webhooks]]\nurl = "https://a.example/b?c"\nsecret = SECRET',
            "webhooks[1].name",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_path(read, table, path):
    with pytest.raises(SettingsError) as raised:
        read(f"[[webhooks]]\n{table}")
    assert [one.path for one in raised.value.problems] == [path]
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ('url = "https://a.example/"\nsecret = { env = "NOT_THERE" }', "webhooks[0].secret"),
        ('url = "https://a.example/"\nsecret = { env = "SHORT" }', "webhooks[0].secret"),
        ('url = "https://a.example/"\nformat = "postmark"\nlogin = { env = "SHORT" }', "webhooks[0].login"),
    ],
)
def test_a_secret_of_the_wrong_form_is_not_shown(read, monkeypatch, table, path):
    monkeypatch.setenv("SHORT", "whsec_tooshort")
    with pytest.raises(SettingsError) as raised:
        webhooks(read(f"[[webhooks]]\n{table}"))
    assert [one.path for one in raised.value.problems] == [path]
    assert "tooshort" not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("secret = SECRET", []),
        ('secret = { env = "NOT_THERE" }', ["webhooks[0].secret"]),
        ('secret = { credential = "webhook" }', []),
        ('secret = SECRET\nca_file = "NOT_PEM"', ["webhooks[0].ca_file"]),
    ],
)
def test_check_finds_what_the_start_would(read, tmp_path, monkeypatch, table, found):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "not.pem").write_text("nothing")
    settings = read(f"[[webhooks]]\nurl = 'https://a.example/'\n{table.replace('NOT_PEM', str(tmp_path / 'not.pem'))}")
    problems = check_settings(tmp_path / "gateway.toml", Clock())
    assert [one.path for one in problems if one.path.startswith("webhooks")] == found
    left = [one.path for one in not_looked_at(settings)]
    assert left == (["webhooks[0]"] if "credential" in table else [])


def test_notices_come_from_the_postmaster_unless_somebody_else_is_named(read):
    by_default = notices(read('hostname = "smtp.gateway.example"'), (), None, str, 1.0)
    assert by_default.sender.address == "postmaster@smtp.gateway.example"
    named = notices(read('[notices]\nsender = "bounces@shop.example"'), (), None, str, 1.0)
    assert named.sender.address == "bounces@shop.example"


@pytest.mark.parametrize("sender", ["postmaster", "Bounces <b@shop.example>", "a@shop.example, b@shop.example"])
def test_a_sender_is_one_bare_address(read, sender):
    with pytest.raises(SettingsError) as raised:
        read(f'[notices]\nsender = "{sender}"')
    assert [one.path for one in raised.value.problems] == ["notices.sender"]


def test_client_keys_move_from_the_message_to_its_notice(read, tmp_path):
    from gateway.accounts.seal import Seal

    seal = Seal(tmp_path / "state")
    made = notices(read(""), (), seal, str, 1.0)
    assert seal.open("new", made.reseal(seal.seal("old", "key"), "old", "new")) == "key"
