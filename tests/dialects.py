"""A gateway that speaks all four dialects and has all four vendors, at the sandboxes; and sessions with it.

The mail host of PostStack's mailboxes is Twisted's own IMAP server, in tests/accounts.
"""

from __future__ import annotations

import contextlib
import os
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import tests.conftest as fixtures
from tests.conftest import RunningGateway, free_ports, start_gateway
from tests.http.certificates import Root
from tests.running import add_credential

# Each listener by its name: its dialect and its TLS
LISTENERS = {
    "postscale": ("postscale", "starttls"),
    "poststack": ("poststack", "implicit"),
    "postmark": ("postmark", "optional"),
    "postmark-broadcast": ("postmark", "optional"),
    "relaypost": ("relaypost", "starttls"),
    "relaypost-tls": ("relaypost", "implicit"),
}
DIALECTS = VENDORS = ("postscale", "poststack", "postmark", "relaypost")
KEYS = {
    "postscale": "ps_test_operator",
    "poststack": "sk_test_operator",
    "postmark": "pm_test_operator",
    "relaypost": "rp_test_operator",
}
STOP_SECONDS = 10
ALL_LOSSES = '["attachments", "reply_to", "tags", "several_tags", "metadata"]'

HEAD = """\
hostname = "gateway.test"
state_dir = "{state_dir}"
workers = 1

[console]
endpoint = "tcp:{console}:interface=127.0.0.1"

[sandbox]
enabled = true

[limits]
failed_login_delay_seconds = 0.01
failed_logins_per_address = 1000
"""
LISTENER = """
[[listeners]]
name = "{name}"
endpoint = "tcp:{port}:interface=127.0.0.1"
tls = "{tls}"
dialect = "{dialect}"
"""
MORE_OF_LISTENER = {"postmark-broadcast": 'stream = "broadcast"\n'}
VENDOR = """
[vendors.{name}]
api = "{name}"
url = "http://127.0.0.1:{{console}}/sandbox/{name}/v1"
key = {{{{ file = "{key_file}" }}}}
"""
MORE_OF_VENDOR = {
    "postscale": 'templates = {{ tpl_welcome = "welcome" }}\n',
    "poststack": 'mailbox_host = "localhost"\nmailbox_port = {mailbox_port}\nca_file = "{ca_file}"\n',
    "postmark": 'streams = {{ broadcast = "newsletter" }}\ntemplates = {{ tpl_welcome = "41" }}\n',
    "relaypost": "",
}
# The credential via-<vendor> may lose everything; strict-<vendor> is made for that vendor, and no route names it
ROUTE = """
[[routes]]
account = "via-{name}"
vendors = ["{name}"]
losses = {losses}
"""
EITHER = """
[[routes]]
account = "via-either"
vendors = ["relaypost", "postmark"]
"""


def _settings(folder: Path, ports: dict[str, int], mailbox_port: int, ca_file: Path, keys: Mapping[str, str]) -> str:
    tables = [HEAD]
    for name, (dialect, tls) in LISTENERS.items():
        tables.append(LISTENER.format(name=name, port=ports[name], tls=tls, dialect=dialect))
        tables.append(MORE_OF_LISTENER.get(name, ""))
    for name in VENDORS:
        key_file = folder / f"{name}.key"
        key_file.write_text(f"{keys[name]}\n")
        tables.append(VENDOR.format(name=name, key_file=key_file))
        # Through format() again when the gateway starts
        more = MORE_OF_VENDOR[name].replace("{mailbox_port}", str(mailbox_port))
        tables.append(more.replace("{ca_file}", str(ca_file)))
    tables += (ROUTE.format(name=name, losses=ALL_LOSSES) for name in VENDORS)
    tables.append(EITHER)
    return "".join(tables)


@contextlib.contextmanager
def mail_host(folder: Path) -> Iterator[tuple[int, Path]]:
    """The port of an IMAP server on localhost with two mailboxes, and the root to trust."""
    root = Root(folder, "trusted")
    root.leaf("localhost")
    program = Path(__file__).parent / "accounts" / "imap_server.py"
    process = subprocess.Popen(
        [sys.executable, str(program), str(folder / "leaf.pem"), "plain"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), root.file
    finally:
        process.stdin.close()
        process.wait(STOP_SECONDS)
        process.stdout.close()


@contextlib.contextmanager
def run_all_dialects(folder: Path, keys: Mapping[str, str] = KEYS) -> Iterator[RunningGateway]:
    """The gateway, with the operator's key of each vendor; its ports are by listener."""
    ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
    with mail_host(folder) as (mailbox_port, ca_file), pytest.MonkeyPatch.context() as changed:
        changed.setattr(fixtures, "SETTINGS", _settings(folder, ports, mailbox_port, ca_file, keys))
        running = replace(start_gateway(folder), ports=ports)
        try:
            running.wait_until_ready()
            yield running
        finally:
            if running.process.poll() is None:
                running.stop()


def add_credentials(gateway: RunningGateway, vendors: dict[str, str]) -> dict[str, str]:
    """Make a credential for each user name, with the vendor that it is for; the secrets by user name."""
    with ThreadPoolExecutor(2) as pool:
        secrets = pool.map(lambda one: add_credential(gateway, *one), vendors.items())
        return dict(zip(vendors, secrets, strict=True))


@contextlib.contextmanager
def session(gateway: RunningGateway, listener: str, *, tls: bool = True) -> Iterator[smtplib.SMTP]:
    """A session with a listener, greeted and not logged in; without tls where it is optional."""
    context = ssl.create_default_context(cafile=str(gateway.ca_file))
    mode, port = LISTENERS[listener][1], gateway.ports[listener]
    client = (
        smtplib.SMTP_SSL(gateway.host, port, timeout=30, context=context)
        if mode == "implicit"
        else smtplib.SMTP(gateway.host, port, timeout=30)
    )
    with client:
        if mode != "implicit" and tls:
            client.starttls(context=context)
        client.ehlo()
        yield client


def submit(client: smtplib.SMTP, author: str, paths: tuple[str, ...], message: str) -> str:
    """The reply to a whole transaction's data, code and text; the message has LF."""
    code, text = client.mail(author)
    assert code == 250, text
    for path in paths:
        code, text = client.rcpt(path)
        assert code == 250, text
    code, text = client.data(message.replace("\n", "\r\n").encode())
    return f"{code} {text.decode()}"
