"""A gateway of its own for the tests of SASL mechanisms: listeners with all of them, and credentials to log in with."""

from __future__ import annotations

import contextlib
import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.accounts.credentials import make_credential
from gateway.accounts.seal import Seal
from gateway.smtp.sasl import MECHANISMS
from gateway.store.sqlite import SqliteStore
from tests.conftest import RunningGateway, free_ports

ALL = ", ".join(f'"{name}"' for name in MECHANISMS)
SETTINGS = """\
hostname = "gateway.test"
state_dir = "{state_dir}"
workers = 1

[[listeners]]
endpoint = "tcp:{starttls}:interface=127.0.0.1"
mechanisms = [{all}]
client_ca = "{client_ca}"

[[listeners]]
endpoint = "tcp:{optional}:interface=127.0.0.1"
tls = "optional"
mechanisms = [{all}]
clear_passwords = false

[[listeners]]
endpoint = "tcp:{default}:interface=127.0.0.1"

[vendors.postscale]
api = "postscale"
url = "http://127.0.0.1:{console}/sandbox/postscale/v1"
key = {{ env = "TEST_VENDOR_KEY" }}

[console]
endpoint = "tcp:{console}:interface=127.0.0.1"

[sandbox]
enabled = true
"""


@dataclass(frozen=True, slots=True)
class MechanismsGateway:
    """secrets: by user name; "shop" serves every mechanism, "plain" those without a kept secret. client_pem: "shop"."""

    running: RunningGateway
    secrets: dict[str, str]
    client_pem: Path

    def port(self, name: str) -> int:
        return self.running.ports[name]


def make_client_certificate(folder: Path, name: str) -> Path:
    """A root that signs itself and is its own client certificate, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "client.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@contextlib.contextmanager
def mechanisms_gateway(folder: Path) -> Iterator[MechanismsGateway]:
    names = ("starttls", "optional", "default", "console")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    state_dir, settings, log_file = folder / "state", folder / "gateway.toml", folder / "log.txt"
    state_dir.mkdir(mode=0o700)
    client_pem = make_client_certificate(folder, "shop.example")
    settings.write_text(SETTINGS.format(state_dir=state_dir, all=ALL, client_ca=client_pem, **ports), "utf-8")
    store = SqliteStore(state_dir / "store.sqlite")
    store.open()
    now = datetime.datetime.now(datetime.UTC)
    secrets = {
        name: make_credential(store, name, "postscale", now, Seal(state_dir)) for name in ("shop", "shop.example")
    }
    secrets["plain"] = make_credential(store, "plain", "postscale", now)
    store.close()
    command = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "mailgateway", "--config", settings]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TEST_VENDOR_KEY": "ps_test_operator"},
            cwd=Path(__file__).parents[2],
        )
    ca_file = state_dir / "tls" / "certificate.pem"
    console_url = f"http://127.0.0.1:{ports['console']}"
    running = RunningGateway("127.0.0.1", ports, console_url, ca_file, log_file, process)
    try:
        running.wait_until_ready()
        yield MechanismsGateway(running, secrets, client_pem)
    finally:
        if process.poll() is None:
            running.stop()
