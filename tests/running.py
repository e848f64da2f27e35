"""Gateways with settings of their own, and the client's side of a submission, for the end-to-end tests."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.conftest as fixtures
from tests.conftest import RunningGateway, start_gateway

OWN_SANDBOX = "http://127.0.0.1:{console}/sandbox/postscale/v1"
VENDOR = f'[vendors.postscale]\napi = "postscale"\nurl = "{OWN_SANDBOX}"\n'
VENDORS = """\
[vendors.postscale]
api = "postscale"
url = "{url}"
exchange_seconds = {seconds}
login_seconds = {seconds}

[vendors.keyed]
api = "postscale"
url = "{url}"
exchange_seconds = {seconds}
key = {{{{ file = "{key_file}" }}}}

[vendors.keyless]
api = "postscale"
url = "{url}"

[limits]
failed_login_delay_seconds = 0.1
"""


@contextlib.contextmanager
def run(folder: Path, url: str = "", key: str = "ps_test_operator", seconds: float = 2.0) -> Iterator[RunningGateway]:
    """A gateway whose vendors are at this URL (its own sandbox without one), two of them with and without a key."""
    key_file = folder / "key"
    key_file.write_text(f"{key}\n")
    vendors = VENDORS.format(url=url or OWN_SANDBOX, seconds=seconds, key_file=key_file)
    assert VENDOR in fixtures.SETTINGS, "the fixture's settings have another form now"
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(fixtures, "SETTINGS", fixtures.SETTINGS.replace(VENDOR, vendors))
        running = start_gateway(folder)
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def credentials(gateway: RunningGateway, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`mailgateway credentials` with the gateway's settings file."""
    program = Path(sys.executable).with_name("mailgateway")
    config = gateway.log_file.with_name("gateway.toml")
    return subprocess.run(
        [str(program), "credentials", command, "--config", str(config), *words],
        check=False,
        capture_output=True,
        text=True,
    )


def add_credential(gateway: RunningGateway, user_name: str, vendor: str = "keyed") -> str:
    """Make a credential; the secret that is shown once."""
    done = credentials(gateway, "add", "--vendor", vendor, user_name)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("password:")[1].strip()


@contextlib.contextmanager
def connected(gateway: RunningGateway) -> Iterator[smtplib.SMTP]:
    """A session under TLS, greeted and not logged in."""
    with smtplib.SMTP(gateway.host, gateway.ports["starttls"], timeout=30) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(gateway.ca_file)))
        client.ehlo()
        yield client


def log_in(client: smtplib.SMTP, user_name: str, password: str) -> tuple[int, str]:
    """The reply to a login with AUTH PLAIN, good or bad."""
    try:
        client.user, client.password = user_name, password
        code, text = client.auth("PLAIN", client.auth_plain)
    except smtplib.SMTPAuthenticationError as error:
        code, text = error.smtp_code, error.smtp_error
    return code, text.decode() if isinstance(text, bytes) else text


def letter(*recipients: str, sender: str = "shop@shop.example", subject: str = "Hello", header_to: str = "") -> bytes:
    return (
        f"From: {sender}\r\nTo: {header_to or ', '.join(recipients)}\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()
    )


def send(client: smtplib.SMTP, *recipients: str, octets: bytes = b"") -> tuple[int, str]:
    """The reply to a whole transaction's data."""
    assert client.mail("shop@shop.example")[0] == 250
    for one in recipients:
        assert client.rcpt(one)[0] == 250
    code, text = client.data(octets or letter(*recipients))
    return code, text.decode()


def leaks(log: str) -> list[str]:
    """What must not be in a log: anything that looks like a key, and tracebacks. The first message's key is public."""
    return re.findall(r"ps_(?!test_first_message|test_hello)[a-z]+_\w*|Traceback.*", log)
