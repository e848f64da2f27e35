"""A gateway that speaks all four dialects and has all four vendors, at the sandboxes; and sessions with it.

The mail host of PostStack's mailboxes is Twisted's own IMAP server, in tests/accounts.
"""

from __future__ import annotations

import contextlib
import json
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
# The dialects that are spoken on one port, and its TLS
SHARED = {
    "shared": (("postscale", "poststack", "postmark", "relaypost"), "starttls"),
    "shared-tls": (("postmark", "postscale", "poststack"), "implicit"),
    "shared-optional": (("postmark", "postscale"), "optional"),
}
SERVER_NAMES = """
[[listeners.names]]
name = "smtp-broadcasts.test"
dialect = "postmark"
stream = "broadcast"
[[listeners.names]]
name = "smtp.postscale.test"
dialect = "postscale"
[[listeners.names]]
name = "*.streams.test"
stream = "news"
"""
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
# The credential via_<vendor> may lose everything; strict_<vendor> is made for that vendor, and no route names it
ROUTE = """
[[routes]]
account = "via_{name}"
vendors = ["{name}"]
losses = {losses}
mode = "direct"
"""
EITHER = """
[[routes]]
account = "via_either"
vendors = ["relaypost", "postmark"]
mode = "direct"
"""
# Postmark's dialect by default answers before the vendor has; here the vendor's own word is what is checked
DIRECT = """
[[routes]]
dialect = "postmark"
mode = "direct"
"""


def _settings(folder: Path, ports: dict[str, int], mailbox_port: int, ca_file: Path, keys: Mapping[str, str]) -> str:
    tables = [HEAD]
    for name, (dialect, tls) in LISTENERS.items():
        tables.append(LISTENER.format(name=name, port=ports[name], tls=tls, dialect=dialect))
        tables.append(MORE_OF_LISTENER.get(name, ""))
    for name, (spoken, tls) in SHARED.items():
        table = LISTENER.format(name=name, port=ports[name], tls=tls, dialect="{dialect}")
        tables.append(table.replace('dialect = "{dialect}"', f"dialects = {json.dumps(spoken)}") + SERVER_NAMES)
    for name in VENDORS:
        key_file = folder / f"{name}.key"
        key_file.write_text(f"{keys[name]}\n")
        tables.append(VENDOR.format(name=name, key_file=key_file))
        # Through format() again when the gateway starts
        more = MORE_OF_VENDOR[name].replace("{mailbox_port}", str(mailbox_port))
        tables.append(more.replace("{ca_file}", str(ca_file)))
    tables += (ROUTE.format(name=name, losses=ALL_LOSSES) for name in VENDORS)
    tables += (EITHER, DIRECT)
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
    names = (*LISTENERS, *SHARED)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
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


class NamedContext(ssl.SSLContext):
    """Asks for a server name of the test's choice; the certificate is trusted whatever names it has."""

    server_name: str

    def wrap_socket(self, sock, *args, server_hostname=None, **options):  # type: ignore[no-untyped-def, override]  # ssl's
        return super().wrap_socket(sock, *args, server_hostname=self.server_name, **options)


def _context(gateway: RunningGateway, server_name: str) -> ssl.SSLContext:
    if not server_name:  # an address is no server name, so that none is asked for
        return ssl.create_default_context(cafile=str(gateway.ca_file))
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(gateway.ca_file)
    context.check_hostname = False
    context.server_name = server_name
    return context


@contextlib.contextmanager
def session(
    gateway: RunningGateway, listener: str, *, tls: bool = True, server_name: str = ""
) -> Iterator[smtplib.SMTP]:
    """A session with a listener, greeted and not logged in; without tls where it is optional."""
    context = _context(gateway, server_name)
    mode, port = {**LISTENERS, **SHARED}[listener][1], gateway.ports[listener]
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
