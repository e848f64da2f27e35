"""Postfix with the lines of etc/client-settings/postfix-main.cf relays a machine's mail through the gateway."""

from __future__ import annotations

import contextlib
import json
import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import free_ports
from tests.interop import postfix
from tests.running import add_credential, letter, run

if TYPE_CHECKING:
    from tests.conftest import RunningGateway

Needs = Callable[[bool, str], None]

CLIENT_SETTINGS = Path(__file__).parents[2] / "etc" / "client-settings" / "postfix-main.cf"
# What belongs to this machine: where names are looked up, and who may send.
OWN_SETTINGS = "smtp_host_lookup = native\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n"
PLAIN_IS_INSTALLED = any(Path("/usr/lib").glob("*/sasl2/libplain.so*"))
PATIENCE_SECONDS = 30


def client_settings(gateway: RunningGateway) -> str:
    """The file's lines, with this test's host, port and paths in the places where it has examples."""
    lines = CLIENT_SETTINGS.read_text(encoding="utf-8")
    changes = {
        "[smtp-gateway.example]:587": f"[localhost]:{gateway.ports['starttls']}",
        "/etc/ssl/certs/ca-certificates.crt": str(gateway.ca_file),
        "/etc/postfix/": "{folder}/",
    }
    for example, here in changes.items():
        assert example in lines, f"{CLIENT_SETTINGS.name} does not say {example} any more"
        lines = lines.replace(example, here)
    return lines


@contextlib.contextmanager
def relaying(gateway: RunningGateway, user_name: str, password: str) -> Iterator[tuple[postfix.Postfix, int]]:
    """A Postfix that relays to this gateway, and the port where it takes mail."""
    (port,) = free_ports(1)
    files = {
        "sasl_passwd": f"[localhost]:{gateway.ports['starttls']} {user_name}:{password}\n",
        "generic": "@postfix.test servers@shop.example\n",
        "gateway.pem": gateway.ca_file.read_text(),
    }
    settings = client_settings(gateway).replace(str(gateway.ca_file), "{folder}/gateway.pem")
    with postfix.running(OWN_SETTINGS + settings, {port: {}}, files) as running:
        yield running, port


@pytest.fixture(scope="module", autouse=True)
def installed(needs: Needs) -> None:
    needs(postfix.is_installed() and PLAIN_IS_INSTALLED, "Postfix with libsasl2-modules (and root to start it)")


@pytest.fixture(scope="module")
def common_relay(gateway: RunningGateway) -> Iterator[tuple[postfix.Postfix, int]]:
    with relaying(gateway, "postscale", "ps_test_postfix") as one:
        yield one


@pytest.fixture
def relay(common_relay: tuple[postfix.Postfix, int], gateway: RunningGateway) -> tuple[postfix.Postfix, int]:
    gateway.clear()
    return common_relay


def inject(port: int, subject: str, *recipients: str, sender: str = "shop@shop.example", author: str = "") -> None:
    """Hand a message to Postfix by SMTP."""
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_SECONDS) as client:
        octets = letter(*recipients, sender=author or sender, subject=subject)
        assert client.sendmail(sender, recipients, octets) == {}


def until(condition: Callable[[], Any], running: postfix.Postfix) -> None:
    """Return when it is true; fail with Postfix's log when it never is."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            pytest.fail(running.log()[-8000:])
        time.sleep(0.05)


def sent(gateway: RunningGateway) -> dict[str, dict[str, Any]]:
    """The requests that the API took, by their subject."""
    taken = [one["request"]["json"] for one in gateway.messages() if one["request"].get("json")]
    return {one["subject"]: one for one in taken}


def waiting_for(running: postfix.Postfix) -> dict[str, str]:
    """Why each recipient of the queue still waits."""
    queue = [json.loads(line) for line in running.queued()]
    return {to["address"]: to.get("delay_reason", "") for one in queue for to in one["recipients"]}


def test_messages_of_a_machine_arrive_with_all_their_recipients(
    relay: tuple[postfix.Postfix, int], gateway: RunningGateway
) -> None:
    running, port = relay
    everyone = ("ann@cust.example", "bob@cust.example", "eve@other.example")
    for number in range(5):
        inject(port, f"report {number}", *everyone[: number % 3 + 1])
    until(lambda: len(sent(gateway)) == 5, running)
    until(lambda: running.queued() == [], running)
    for number in range(5):
        assert sorted(sent(gateway)[f"report {number}"]["to"]) == list(everyone[: number % 3 + 1])


def test_mail_of_root_has_the_address_of_the_generic_table(
    relay: tuple[postfix.Postfix, int], gateway: RunningGateway
) -> None:
    running, port = relay
    inject(port, "cron", "ann@cust.example", sender="root@postfix.test")
    until(lambda: "cron" in sent(gateway), running)
    assert sent(gateway)["cron"]["from"] == "servers@shop.example"


def test_a_refused_message_comes_back_as_a_bounce(relay: tuple[postfix.Postfix, int], gateway: RunningGateway) -> None:
    running, port = relay
    inject(port, "refused", "ann@cust.example", author="shop@unverified.example")
    bounce = "Undelivered Mail Returned to Sender"
    until(lambda: bounce in sent(gateway), running)
    until(lambda: running.queued() == [], running)
    assert sent(gateway)[bounce]["to"] == ["shop@shop.example"]
    assert "550" in sent(gateway)[bounce]["text_body"]
    assert "status=bounced" in running.log()


def test_a_rate_limit_leaves_the_message_in_the_queue(
    relay: tuple[postfix.Postfix, int], gateway: RunningGateway
) -> None:
    running, port = relay
    inject(port, "limited", "ratelimit@sandbox.example")
    until(lambda: "452" in waiting_for(running).get("ratelimit@sandbox.example", ""), running)
    assert "limited" not in sent(gateway)


class Forwarder:
    """Passes connections on to another port, once it listens: an API that is down, and then up again."""

    def __init__(self, port: int, onward: int) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self._onward = onward
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end of the test
            while True:
                client, _ = self._server.accept()
                vendor = socket.create_connection(("127.0.0.1", self._onward))
                for one, other in ((client, vendor), (vendor, client)):
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)


def test_a_refused_key_leaves_the_message_in_the_queue(gateway: RunningGateway) -> None:
    gateway.clear()
    with relaying(gateway, "postscale", "not_a_key") as (running, port):
        inject(port, "no login", "ann@cust.example")
        until(lambda: "535" in waiting_for(running).get("ann@cust.example", ""), running)
    assert sent(gateway) == {}


def test_what_waited_for_the_api_is_delivered_when_it_is_back(gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.clear()
    (api,) = free_ports(1)
    with contextlib.ExitStack() as stack:
        cut_off = stack.enter_context(run(tmp_path, f"http://127.0.0.1:{api}/sandbox/postscale/v1"))
        running, port = stack.enter_context(relaying(cut_off, "shop-1", add_credential(cut_off, "shop-1")))
        inject(port, "patient", "ann@cust.example", "bob@cust.example")
        until(lambda: "451" in waiting_for(running).get("ann@cust.example", ""), running)
        assert sent(gateway) == {}
        forwarder = Forwarder(api, int(gateway.console_url.rpartition(":")[2]))
        stack.callback(forwarder.close)
        running.command("postqueue", "-f")
        until(lambda: running.queued() == [], running)
    assert sorted(sent(gateway)["patient"]["to"]) == ["ann@cust.example", "bob@cust.example"]
