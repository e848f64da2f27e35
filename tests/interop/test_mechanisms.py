"""Other people's SASL clients log in to a running gateway by each mechanism, with the right secret and a wrong one."""

from __future__ import annotations

import base64
import os
import re
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.interop.clients import NODE_MODULES, PROGRAMS, has_program, runs, swaks_is_installed
from tests.interop.mechanisms_gateway import MechanismsGateway, mechanisms_gateway

Needs = Callable[[bool, str], None]
RUN_SECONDS = 60
MESSAGE = "From: shop@shop.example\nTo: ann@customer.example\nSubject: Hello\n\nHello\n"
KEY = "ps_test_bearer"
ENVELOPE = ("shop@shop.example", ["ann@customer.example"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MechanismsGateway]:
    with mechanisms_gateway(tmp_path_factory.mktemp("mechanisms")) as running:
        yield running


def run(command: list[str], text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        input=text,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=RUN_SECONDS,
    )


def logged(gateway: MechanismsGateway, mechanism: str) -> int:
    """How many logins by this mechanism the gateway has logged."""
    return len(re.findall(rf" logged-in .*mechanism={mechanism}$", gateway.running.log(), re.M))


# -- msmtp


def msmtp(gateway: MechanismsGateway, mechanism: str, user: str, secret: str) -> subprocess.CompletedProcess[str]:
    command = [
        "msmtp", "--host=localhost", f"--port={gateway.port('starttls')}", "--tls=on", "--tls-starttls=on",
        f"--tls-trust-file={gateway.running.ca_file}", f"--auth={mechanism.lower()}", f"--user={user}",
        "--passwordeval=printenv MAIL_PASSWORD", "--from=shop@shop.example", "ann@customer.example",
    ]  # fmt: skip
    if mechanism == "EXTERNAL":
        command[-1:-1] = [f"--tls-cert-file={gateway.client_pem}", f"--tls-key-file={gateway.client_pem}"]
    return run(command, MESSAGE, MAIL_PASSWORD=secret)


BY_SECRET = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5", "DIGEST-MD5"]


@pytest.mark.parametrize("mechanism", [*BY_SECRET, "OAUTHBEARER", "XOAUTH2", "EXTERNAL"])
def test_msmtp_sends_after_a_login_by_each_mechanism(mechanism: str, gateway: MechanismsGateway, needs: Needs) -> None:
    needs(has_program("msmtp"), "msmtp")
    before = logged(gateway, mechanism)
    secret = gateway.secrets["shop"] if mechanism in BY_SECRET else KEY
    result = msmtp(gateway, mechanism, "shop.example" if mechanism == "EXTERNAL" else "shop", secret)
    assert result.returncode == 0, result.stderr
    assert logged(gateway, mechanism) == before + 1


@pytest.mark.parametrize("mechanism", [*BY_SECRET, "OAUTHBEARER", "XOAUTH2"])
def test_msmtp_is_refused_with_a_wrong_secret(mechanism: str, gateway: MechanismsGateway, needs: Needs) -> None:
    needs(has_program("msmtp"), "msmtp")
    result = msmtp(gateway, mechanism, "shop", "not_a_key")
    assert result.returncode != 0
    assert "535 Authentication failed" in result.stderr


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5", "DIGEST-MD5"])
@pytest.mark.parametrize("user", ["nobody", "plain"])
def test_a_name_without_proofs_is_told_the_same_as_a_wrong_secret(
    user: str, mechanism: str, gateway: MechanismsGateway, needs: Needs
) -> None:
    needs(has_program("msmtp"), "msmtp")
    if (user, mechanism) == ("plain", "SCRAM-SHA-256"):
        assert msmtp(gateway, mechanism, user, gateway.secrets[user]).returncode == 0  # it has a verifier
    else:
        result = msmtp(gateway, mechanism, user, gateway.secrets["plain"])
        assert "535 Authentication failed" in result.stderr


def test_a_certificate_is_not_good_for_another_user_name(gateway: MechanismsGateway, needs: Needs) -> None:
    needs(has_program("msmtp"), "msmtp")
    result = msmtp(gateway, "EXTERNAL", "shop", "")
    assert "535 Authentication failed" in result.stderr


# -- gsasl


def gsasl(gateway: MechanismsGateway, *options: str, secret: str) -> subprocess.CompletedProcess[str]:
    """On the listener with optional TLS: gsasl does not see a STARTTLS that EHLO names last."""
    command = [
        "gsasl", "--smtp", f"--connect=localhost:{gateway.port('optional')}", "--authentication-id=shop",
        f"--password={secret}", f"--x509-ca-file={gateway.running.ca_file}", "--realm=gateway.test",
        "--quality-of-protection=qop-auth", *options,
    ]  # fmt: skip
    return run(command)


@pytest.mark.parametrize("versions", ["NORMAL", "NORMAL:-VERS-TLS1.3"])
def test_gsasl_binds_the_channel_with_tls_1_3_and_1_2(versions: str, gateway: MechanismsGateway, needs: Needs) -> None:
    """By tls-exporter and tls-unique."""
    needs(has_program("gsasl"), "gsasl")
    before = logged(gateway, "SCRAM-SHA-256-PLUS")
    options = ("--mechanism=SCRAM-SHA-256-PLUS", f"--priority={versions}")
    result = gsasl(gateway, *options, secret=gateway.secrets["shop"])
    assert "server trusted" in result.stderr, result.stdout + result.stderr
    assert logged(gateway, "SCRAM-SHA-256-PLUS") == before + 1
    assert "server trusted" not in gsasl(gateway, *options, secret="wrong").stderr


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "DIGEST-MD5", "CRAM-MD5"])
def test_gsasl_logs_in_without_a_binding(mechanism: str, gateway: MechanismsGateway, needs: Needs) -> None:
    needs(has_program("gsasl"), "gsasl")
    options = (f"--mechanism={mechanism}", "--no-cb")
    result = gsasl(gateway, *options, secret=gateway.secrets["shop"])
    assert "server trusted" in result.stderr, result.stdout + result.stderr
    assert "server trusted" not in gsasl(gateway, *options, secret="wrong").stderr


# -- swaks, Nodemailer, smtplib


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "DIGEST-MD5", "PLAIN", "LOGIN"])
def test_swaks_logs_in(mechanism: str, gateway: MechanismsGateway, needs: Needs) -> None:
    perl = shutil.which("perl")
    has_digest = perl is not None and runs([perl, "-MAuthen::SASL", "-e", ""])
    needs(swaks_is_installed() and has_digest, "swaks with Authen::SASL")
    command = [
        "swaks", "--server", f"localhost:{gateway.port('starttls')}", "--tls", "--tls-ca-path",
        str(gateway.running.ca_file), "--auth", mechanism, "--auth-user", "shop", "--from", ENVELOPE[0],
        "--to", ENVELOPE[1][0], "--quit-after", "AUTH",
    ]  # fmt: skip
    good = run([*command, "--auth-password", gateway.secrets["shop"]])
    assert "235 Authentication succeeded" in good.stdout, good.stdout + good.stderr
    assert "535 Authentication failed" in run([*command, "--auth-password", "wrong"]).stdout


@pytest.mark.parametrize(("token", "code"), [(KEY, 0), ("not_a_key", 1)])
def test_nodemailer_logs_in_by_xoauth2(token: str, code: int, gateway: MechanismsGateway, needs: Needs) -> None:
    needs(has_program("node") and (NODE_MODULES / "nodemailer").is_dir(), "nodemailer")
    result = run(
        ["node", str(PROGRAMS / "log_in_with_nodemailer_xoauth2.js")],
        MAIL_HOST="localhost",
        MAIL_PORT=str(gateway.port("starttls")),
        MAIL_USER="shop@shop.example",
        MAIL_PASSWORD=token,
        MAIL_CA=str(gateway.running.ca_file),
        MAIL_FROM="shop@shop.example",
        NODE_PATH=str(NODE_MODULES),
    )
    assert result.returncode == code, result.stderr
    assert ("535" in result.stderr) == bool(code)


def connect(gateway: MechanismsGateway, port: str = "starttls") -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", gateway.port(port), timeout=RUN_SECONDS)
    client.starttls(context=ssl.create_default_context(cafile=gateway.running.ca_file))
    client.ehlo()
    client.user, client.password = "shop", gateway.secrets["shop"]
    return client


def test_smtplib_logs_in_by_cram_md5(gateway: MechanismsGateway) -> None:
    with connect(gateway) as client:
        assert client.auth("CRAM-MD5", client.auth_cram_md5)[0] == 235
        client.sendmail(*ENVELOPE, MESSAGE)
    with connect(gateway) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.password = "wrong"
        client.auth("CRAM-MD5", client.auth_cram_md5)


# -- what is offered


def offered(client: smtplib.SMTP) -> set[str]:
    return set(client.esmtp_features.get("auth", "").split())


def test_the_dialects_own_mechanisms_are_plain_and_login(gateway: MechanismsGateway) -> None:
    with connect(gateway, "default") as client:
        assert offered(client) == {"PLAIN", "LOGIN"}


def test_without_tls_no_mechanism_is_offered_that_shows_the_password(gateway: MechanismsGateway) -> None:
    with smtplib.SMTP("localhost", gateway.port("optional"), timeout=RUN_SECONDS) as client:
        client.ehlo()
        assert offered(client) == {"SCRAM-SHA-256", "DIGEST-MD5", "CRAM-MD5"}
        client.user, client.password = "shop", gateway.secrets["shop"]
        assert client.auth("CRAM-MD5", client.auth_cram_md5)[0] == 235


def test_external_is_offered_to_whoever_has_shown_a_certificate(gateway: MechanismsGateway) -> None:
    context = ssl.create_default_context(cafile=gateway.running.ca_file)
    with connect(gateway) as client:
        assert "EXTERNAL" not in offered(client)
    context.load_cert_chain(gateway.client_pem)
    with smtplib.SMTP("localhost", gateway.port("starttls"), timeout=RUN_SECONDS) as client:
        client.starttls(context=context)
        client.ehlo()
        assert "EXTERNAL" in offered(client)
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235


def test_a_client_from_which_plus_was_hidden_is_refused(gateway: MechanismsGateway) -> None:
    """It says that it could bind (RFC 5802 §6), over a channel where the gateway has offered that."""
    with connect(gateway) as client:
        assert "SCRAM-SHA-256-PLUS" in offered(client)
        first = base64.b64encode(b"y,,n=shop,r=abc").decode()
        assert client.docmd("AUTH", f"SCRAM-SHA-256 {first}")[0] == 535


def test_a_refused_bearer_is_told_why_before_the_reply(gateway: MechanismsGateway) -> None:
    with connect(gateway) as client:
        first = base64.b64encode(b"n,,\x01auth=Bearer not_a_key\x01\x01").decode()
        code, challenge = client.docmd("AUTH", f"OAUTHBEARER {first}")
        assert code == 334
        assert b'"status":"invalid_token"' in base64.b64decode(challenge)
        assert client.docmd("AQ==")[0] == 535


def test_no_secret_is_in_the_log(gateway: MechanismsGateway, needs: Needs) -> None:
    needs(has_program("msmtp"), "msmtp")
    assert msmtp(gateway, "XOAUTH2", "shop", f"{KEY}_for_the_log").returncode == 0
    log = gateway.running.log()
    assert all(secret not in log for secret in (*gateway.secrets.values(), KEY))
