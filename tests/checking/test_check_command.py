"""What "mailgateway check" says of ports, certificates, the store, vendors' keys and the DNS of From domains."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.checking.dns_server import dns_server
from tests.conftest import free_ports
from tests.smtp.certificates import Authority


def public_key(bits):
    """An RSA key as in a DKIM record."""
    key = rsa.generate_private_key(65537, bits).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_bytes(serialization.Encoding.DER, form)).decode()


@pytest.fixture
def settings(tmp_path):
    """A settings file on free ports; more tables are added by the test."""
    port, console = free_ports(2)
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'hostname = "gateway.test"\nstate_dir = "{tmp_path}/state"\n'
        f'[console]\nendpoint = "tcp:{console}:interface=127.0.0.1"\n'
        f'[[listeners]]\nendpoint = "tcp:{port}:interface=127.0.0.1"\n',
        "utf-8",
    )
    return file


def add(settings, text):
    settings.write_text(settings.read_text("utf-8") + text, "utf-8")


def check(settings, *options):
    """The exit status, and each finding by its path: grade and text."""
    program = Path(sys.executable).with_name("mailgateway")
    done = subprocess.run(
        [program, "check", "--json", *options, settings], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["good"] == (done.returncode == 0)
    return done.returncode, {one["path"]: (one["grade"], one["text"]) for one in told["findings"]}


def test_a_machine_that_has_all_that_is_needed(settings):
    code, found = check(settings)
    assert code == 0
    assert {path: grade for path, (grade, _) in found.items()} == {
        "state_dir": "good",
        "store": "note",
        "tls.certificate": "note",
        "listeners[0].endpoint": "good",
        "console.endpoint": "good",
    }


def test_a_port_of_another_program_is_a_problem(settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        add(settings, f'[[listeners]]\nendpoint = "tcp:{taken.getsockname()[1]}:interface=127.0.0.1"\n')
        code, found = check(settings)
    assert code == 1
    assert found["listeners[1].endpoint"][0] == "problem"
    assert "in use by another program" in found["listeners[1].endpoint"][1]


def test_the_ports_of_the_gateway_itself_are_none(gateway):
    code, found = check(gateway.log_file.with_name("gateway.toml"))
    assert code == 0
    assert "the gateway of this state folder runs" in found["listeners[0].endpoint"][1]


def test_a_port_that_systemd_passes_is_a_note(settings):
    add(settings, '[[listeners]]\nendpoint = "systemd:domain=INET6:index=0"\n')
    code, found = check(settings)
    assert (code, found["listeners[1].endpoint"][0]) == (0, "note")


@pytest.mark.parametrize(("age_days", "grade"), [(0, "good"), (355, "note")])
def test_certificates_are_shown_with_their_names_and_dates(settings, tmp_path, age_days, grade):
    pair = Authority(tmp_path, "authority").sign_for_server("one", "gateway.test", age_days=age_days)
    add(settings, f'[tls]\ncertificate = "{pair.certificate}"\nprivate_key = "{pair.private_key}"\n')
    code, found = check(settings)
    assert code == 0
    assert found["tls.certificate"][0] == grade
    assert "for gateway.test; until 20" in found["tls.certificate"][1]


def test_a_store_that_is_damaged_is_a_problem(settings, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "store.sqlite").write_bytes(b"this is no database at all" * 100)
    code, found = check(settings)
    assert (code, found["store"][0]) == (1, "problem")


@pytest.mark.parametrize(("key", "grade"), [("ps_test_good", "good"), ("ps_bad", "problem")])
def test_the_vendor_is_asked_whether_the_key_is_good(settings, tmp_path, gateway, key, grade):
    (tmp_path / "key").write_text(key)
    url = f"{gateway.console_url}/sandbox/postscale/v1"
    add(settings, f'[vendors.main]\napi = "postscale"\nurl = "{url}"\nkey = {{ file = "{tmp_path}/key" }}\n')
    code, found = check(settings)
    assert (code, found["vendors.main.key"][0]) == (int(grade == "problem"), grade)
    code, found = check(settings, "--offline")
    assert (code, found["vendors.main.key"]) == (0, ("note", "the vendor was not asked about it"))


def test_a_vendor_that_does_not_answer_is_a_problem(settings, tmp_path):
    (tmp_path / "key").write_text("ps_test_good")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/v1"
    add(settings, f'[vendors.main]\napi = "postscale"\nurl = "{url}"\nkey = {{ file = "{tmp_path}/key" }}\n')
    code, found = check(settings)
    assert (code, found["vendors.main.key"]) == (1, ("problem", f"{url} gave no answer"))


SPF = "v=spf1 include:_spf.vendor.example ~all"
DMARC = "v=DMARC1; p=reject; rua=mailto:reports@shop.example"


@pytest.mark.parametrize(
    ("records", "part", "grade", "words"),
    [
        ({"shop.example": ["other", SPF]}, "SPF", "good", SPF),
        ({"shop.example": ["other"]}, "SPF", "problem", "there is no record"),
        ({}, "SPF", "problem", "there is no record"),
        ({"shop.example": [SPF, "v=spf1 -all"]}, "SPF", "problem", "2 records, so none counts"),
        ({"shop.example": ["v=spf1 +all"]}, "SPF", "problem", "anybody may send"),
        ({"shop.example": ["v=spf1 " + "a:x.example " * 11 + "-all"]}, "SPF", "problem", "11 lookups"),
        ({"_dmarc.shop.example": [DMARC]}, "DMARC", "good", "at shop.example"),
        ({"_dmarc.shop.example": ["v=DMARC1; p=none"]}, "DMARC", "note", "p=none"),
        ({"_dmarc.shop.example": ["v=DMARC1"]}, "DMARC", "problem", "no policy"),
        ({"_dmarc.shop.example": [DMARC, DMARC]}, "DMARC", "problem", "2 records"),
        ({}, "DMARC", "problem", "there is no record"),
        ({"s1._domainkey.shop.example": ["v=DKIM1; p="]}, "DKIM s1", "problem", "withdrawn"),
        ({"s1._domainkey.shop.example": ["v=DKIM1"]}, "DKIM s1", "problem", "no key"),
        ({"s1._domainkey.shop.example": ["v=DKIM1; p=MIIB"]}, "DKIM s1", "problem", "may have been cut"),
        ({"s1._domainkey.shop.example": ["k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg=="]}, "DKIM s1", "good", "ed25519"),
        ({"s1._domainkey.shop.example": [f"p={public_key(2048)}"]}, "DKIM s1", "good", "2048 bits"),
        ({"s1._domainkey.shop.example": [f"p={public_key(1024)}"]}, "DKIM s1", "note", "1024 bits"),
        ({}, "DKIM s1", "problem", "there is no record at s1._domainkey.shop.example"),
    ],
)
def test_each_record_of_a_domain(settings, records, part, grade, words):
    with dns_server(records) as address:
        code, found = check(settings, "--domain", "shop.example", "--selector", "s1", "--resolver", address)
    assert found[f"shop.example {part}"][0] == grade
    assert words in found[f"shop.example {part}"][1]
    assert code == int(any(one == "problem" for one, _ in found.values()))


def test_the_domains_of_routes_are_looked_at_with_the_selectors_of_their_vendors(settings):
    add(
        settings,
        '[vendors.main]\napi = "postscale"\ndkim_selectors = ["s1"]\n'
        '[vendors.other]\napi = "postscale"\ndkim_selectors = ["s2"]\n'
        '[[routes]]\nfrom_domain = "eu.shop.example"\nvendors = ["main"]\n',
    )
    records = {"eu.shop.example": [SPF], "_dmarc.shop.example": [DMARC]}
    records["s1._domainkey.eu.shop.example"] = [f"p={public_key(2048)}"]
    with dns_server(records) as address:
        code, found = check(settings, "--resolver", address)
    assert code == 0
    assert {path for path in found if path.startswith("eu.")} == {
        "eu.shop.example SPF",
        "eu.shop.example DKIM s1",
        "eu.shop.example DMARC",
    }
    assert "at shop.example" in found["eu.shop.example DMARC"][1]


@pytest.mark.parametrize("domain", ["silent.example", "broken.example"])
def test_a_dns_that_does_not_answer_is_a_problem_and_no_end_of_waiting(settings, domain):
    with dns_server({}) as address:
        code, found = check(settings, "--domain", domain, "--resolver", address)
    assert code == 1
    assert found[domain][0] == "problem"
    assert "gave no answer" in found[domain][1]


def test_the_table_says_what_to_do(settings):
    program = Path(sys.executable).with_name("mailgateway")
    with dns_server({}) as address:
        words = [program, "check", "--domain", "shop.example", "--resolver", address, settings]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    at = lines.index("PROBLEM  shop.example SPF: there is no record")
    assert lines[at + 1].strip().startswith("-> add a TXT record at shop.example")
    assert lines[-1] == f"{settings}: there are problems"
    assert "\x1b" not in done.stdout  # no colours into a pipe
