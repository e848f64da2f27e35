"""What "mailgateway check" says of certificates, names, networks and ports, before anything listens."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from twisted.internet.testing import MemoryReactorClock

from gateway.check import check_settings
from gateway.command import main
from gateway.settings import read_settings
from tests.conftest import free_ports
from tests.smtp.certificates import Authority

LISTENER = '[[listeners]]\nendpoint = "tcp:2587:interface=127.0.0.1"\n'


@pytest.fixture
def problems(tmp_path):
    """Checks settings in which {file} stands for the folder of the certificates."""
    authority = Authority(tmp_path, "authority")
    authority.sign_for_server("good", "smtp.shop.example", "*.wild.example")
    authority.sign_for_server("other", "other.example")
    authority.sign_for_server("old", "smtp.shop.example", age_days=400)
    (tmp_path / "garbage.pem").write_text("garbage")
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")

    def check(text):
        file = tmp_path / "gateway.toml"
        file.write_text(f'state_dir = "{tmp_path}/state"\n' + text.replace("{file}", str(tmp_path)), "utf-8")
        return [str(one).replace(str(tmp_path), "{file}") for one in check_settings(file, MemoryReactorClock())]

    return check


def sni(name, certificate="good", key="good"):
    return f'[[tls.sni]]\nname = "{name}"\n' + pair(certificate, key)


def name(server_name):
    return f'[[listeners.names]]\nname = "{server_name}"\nstream = "news"\n'


def pair(certificate, key):
    return f'certificate = "{{file}}/{certificate}.pem"\nprivate_key = "{{file}}/{key}.key"\n'


def test_good_settings_have_no_problems(problems, tmp_path):
    networks = 'proxy_protocol = ["10.0.0.0/8", "127.0.0.1", "2001:db8::/32"]\n'
    own = pair("other", "other") + 'client_ca = "{file}/authority.pem"\nciphers = "modern"\nminimum_version = "1.3"\n'
    text = "[tls]\n" + pair("good", "good") + sni("SMTP.shop.example") + sni("*.wild.example") + sni("eu.wild.example")
    assert problems(text + LISTENER + networks + own) == []
    assert len(read_settings(tmp_path / "gateway.toml").listeners[0].proxy_protocol) == 3


def test_a_server_name_may_have_its_certificate_from_anywhere(problems):
    named = name("smtp.shop.example") + name("EU.wild.example")
    assert problems(sni("smtp.shop.example") + sni("*.wild.example") + LISTENER + pair("other", "other") + named) == []
    assert problems("[tls]\n" + pair("good", "good") + LISTENER + named) == []
    assert problems(LISTENER + named) == []  # self-made: its clients trust that one certificate


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tls]\n" + pair("good", "other"), "tls.certificate: {file}/other.key: no RSA or EC private key"),
        ("[tls]\n" + pair("garbage", "good"), "tls.certificate: {file}/garbage.pem: no certificate in PEM form in it"),
        ("[tls]\n" + pair("broken", "good"), "tls.certificate: {file}/broken.pem: no certificate in PEM form in it"),
        ("[tls]\n" + pair("nosuch", "good"), "tls.certificate: {file}/nosuch.pem: No such file"),
        ("[tls]\n" + pair("old", "old"), "tls.certificate: {file}/old.pem: it has expired"),
        (LISTENER + pair("good", "other"), "listeners[0].certificate: {file}/other.key: no RSA or EC private key"),
        (LISTENER + pair("old", "old"), "listeners[0].certificate: {file}/old.pem: it has expired"),
        (sni("smtp.shop.example", "good", "other"), "tls.sni[0].certificate: {file}/other.key: no RSA or EC"),
        (sni("smtp.shop.example", "old", "old"), "tls.sni[0].certificate: {file}/old.pem: it has expired"),
        (sni("mx.shop.example"), 'tls.sni[0].name: "mx.shop.example" is not in {file}/good.pem, which has *.wild'),
        (sni("*.shop.example"), 'tls.sni[0].name: "*.shop.example" is not in'),
        (sni("a.eu.wild.example"), 'tls.sni[0].name: "a.eu.wild.example" is not in'),
        (
            "[tls]\n" + pair("good", "good") + LISTENER + name("mx.shop.example"),
            'listeners[0].names[0].name: "mx.shop.example" is not in {file}/good.pem, which its clients get',
        ),
        (
            LISTENER + pair("other", "other") + name("smtp.shop.example"),
            'listeners[0].names[0].name: "smtp.shop.example" is not in {file}/other.pem, which its clients get',
        ),
        (sni("localhost"), 'tls.sni[0].name: expected a DNS name such as "smtp.shop.example"'),
        (sni("*.*.wild.example"), "tls.sni[0].name: expected a DNS name"),
        (sni("smtp.shöp.example"), "tls.sni[0].name: expected a DNS name"),
        (sni("eu.wild.example") + sni("EU.wild.example"), 'sni[1].name: "eu.wild.example" has a certificate already'),
        (LISTENER + 'client_ca = "{file}/garbage.pem"', "listeners[0].client_ca: {file}/garbage.pem: no certificate"),
        (LISTENER + 'client_ca = "{file}/nosuch.pem"', "listeners[0].client_ca: {file}/nosuch.pem: No such file"),
        (LISTENER + 'client_ca = "{file}/authority.pem"\ntls = "none"', "listeners[0].client_ca: there are no client"),
        (LISTENER + 'ciphers = "old"', 'listeners[0].ciphers: expected "intermediate" or "modern"'),
        (LISTENER + 'minimum_version = "1.1"', 'listeners[0].minimum_version: expected "1.2" or "1.3"'),
        (LISTENER + 'proxy_protocol = "10.0.0.0/8"', "listeners[0].proxy_protocol: expected a list"),
        (
            LISTENER + 'proxy_protocol = ["::1", "10.0.0.1/8"]',
            "listeners[0].proxy_protocol[1]: expected a network",
        ),
        (LISTENER + 'proxy_protocol = ["balancer.example"]', "listeners[0].proxy_protocol[0]: expected a network"),
        ("[tls]\nsession_tickets = 1", "tls.session_tickets: expected true or false"),
    ],
)
def test_a_setting_that_cannot_work_is_named_with_the_reason(problems, text, problem):
    found = problems(text)
    assert len(found) == 1
    assert problem in found[0]


def test_a_check_makes_no_certificate(problems, tmp_path):
    assert problems(LISTENER) == []
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ('[[listeners]]\nendpoint = "ssl:443"\n', "listeners[0].endpoint", "expected a server endpoint"),
        ('[[listeners]]\nendpoint = "systemd:domain=UNIX:index=0"\n', "listeners[0].endpoint", "domain=INET"),
        ('[[listeners]]\nendpoint = "tcp:99999"\n', "listeners[0].endpoint", "65535"),
        ('[[listeners]]\nendpoint = "tcp:port=-1"\n', "listeners[0].endpoint", "65535"),
        (LISTENER + LISTENER, "listeners[1].endpoint", "is that of listeners[0]"),
        (LISTENER + '[[listeners]]\nendpoint = "tcp:2587"\n', "listeners[1].endpoint", "is that of listeners[0]"),
        ('[[listeners]]\nendpoint = "tcp:8025"\n', "listeners[0].endpoint", "is that of console"),
    ],
)
def test_ports_that_a_start_could_not_have_are_named(problems, text, path, words):
    (problem,) = problems(text)
    assert problem.startswith(f"{path}: ")
    assert words in problem


def test_ports_on_different_addresses_do_not_collide(problems):
    other = LISTENER.replace("127.0.0.1", "127.0.0.2")
    free = '[[listeners]]\nendpoint = "tcp:0"\n'
    assert problems(LISTENER + other + free + free) == []


def test_a_key_that_systemd_will_pass_is_a_note_outside_of_the_unit(tmp_path, monkeypatch):
    file = tmp_path / "gateway.toml"
    ports = free_ports(2)
    head = f'state_dir = "{tmp_path}"\n[console]\nendpoint = "tcp:{ports[0]}:interface=127.0.0.1"\n'
    head += f'[[listeners]]\nendpoint = "tcp:{ports[1]}:interface=127.0.0.1"\n'
    file.write_text(head + '[vendors.postscale]\napi = "postscale"\nkey = { credential = "k" }\n')
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    told = CliRunner().invoke(main, ["check", str(file)])
    assert told.exit_code == 0, told.output
    assert "vendors.postscale.key: not looked at" in told.output
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "none"))
    told = CliRunner().invoke(main, ["check", str(file)])
    assert told.exit_code == 1
