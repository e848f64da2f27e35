"""Real mail clients send to a running gateway, and what the vendor's API received is compared field by field."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.clients import CLIENTS, NODE_MODULES, PARTS, Client

if TYPE_CHECKING:
    from tests.conftest import RunningGateway

Needs = Callable[[bool, str], None]

AUTHOR = "joerg@shop.example"
RUN_SECONDS = 120  # `go run` compiles first, which takes its time on a small machine
HTML_WITH_IMAGE = '<img src="cid:logo@shop">\n</body>'

every_client = pytest.mark.parametrize("client", CLIENTS, ids=str)
both_tls_modes = pytest.mark.parametrize("tls", ["starttls", "implicit"])


def run(
    client: Client,
    gateway: RunningGateway,
    tls: str = "starttls",
    *,
    key: str = "ps_test_hello",
    author: str = AUTHOR,
) -> subprocess.CompletedProcess[str]:
    """Send the client's message and give what it printed."""
    settings = {
        "MAIL_HOST": "localhost",
        "MAIL_PORT": str(gateway.ports[tls]),
        "MAIL_TLS": tls,
        "MAIL_USER": "postscale",
        "MAIL_PASSWORD": key,
        "MAIL_CA": str(gateway.ca_file),
        "MAIL_FROM": author,
        "MAIL_PARTS": str(PARTS),
        "NODE_PATH": str(NODE_MODULES),
    }
    return subprocess.run(
        client.command,
        check=False,
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=RUN_SECONDS,
    )


def received(gateway: RunningGateway) -> dict[str, Any]:
    """The JSON of the one message that the API has received."""
    messages = gateway.messages()
    assert len(messages) == 1
    found: dict[str, Any] = messages[0]["request"]["json"]
    return found


def mailboxes(values: Iterable[str]) -> set[tuple[str, str]]:
    """Display name and address of each."""
    return set(getaddresses(list(values)))


def text_of(part: str) -> str:
    """A file of parts/ as text, without the line break at its end, which a client may add or leave out."""
    return (PARTS / part).read_text(encoding="utf-8").rstrip("\n")


def expected_attachments(client: Client) -> dict[str, tuple[str, bytes]]:
    """Media type and octets of each attachment by its name."""
    overview = "Übersicht März.pdf" if client.encodes_filenames else "overview.pdf"
    files = {overview: ("application/pdf", "overview.pdf"), "notes.txt": ("text/plain", "notes.txt")}
    if client.has_inline_image:
        files["logo.png"] = ("image/png", "logo.png")
    return {name: (media_type, (PARTS / part).read_bytes()) for name, (media_type, part) in files.items()}


def received_attachments(sent: dict[str, Any]) -> dict[str, tuple[str, bytes]]:
    """The same of what the API received; media type parameters such as charset are left out."""
    return {one["filename"]: attachment(one["content_type"].partition(";")[0], one) for one in sent["attachments"]}


def attachment(media_type: str, one: dict[str, str]) -> tuple[str, bytes]:
    """Media type and octets. A client that sends text as text, and not in base64, sends CRLF (RFC 2046 §4.1.1)."""
    content = base64.b64decode(one["content"], validate=True)
    return media_type, content.replace(b"\r\n", b"\n") if media_type == "text/plain" else content


def assert_addressed(sent: dict[str, Any]) -> None:
    assert getaddresses([sent["from"]]) == [("Jörg Müller", AUTHOR)]
    assert mailboxes(sent["to"]) == {("Customer, Ann", "ann@customer.example"), ("", "info@shop.example")}
    assert mailboxes(sent["cc"]) == {("Office", "office@customer.example")}
    assert mailboxes(sent["bcc"]) == {("", "audit@shop.example")}


def assert_options(sent: dict[str, Any]) -> None:
    assert sent["tags"] == ["invoice", "march"]
    assert sent["metadata"] == {"order_id": "7781", "city": "Zürich"}
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    assert getaddresses([headers["reply-to"]]) == [("Help Desk", "help@shop.example")]
    assert headers["in-reply-to"] == "<order-7781@shop.example>"
    assert headers["references"].split() == ["<cart-77@shop.example>", "<order-7781@shop.example>"]
    assert headers["x-shop-campaign"] == "spring-2026"
    assert "x-postscale" not in json.dumps(sent).lower()


def assert_content(sent: dict[str, Any], client: Client) -> None:
    assert sent["subject"] == "Rechnung März, Übersicht, 1250 €"
    assert sent["text_body"].rstrip("\n") == text_of(client.text_part)
    assert ("html_body" in sent) == client.has_html
    if client.has_html:
        html = text_of("page.html")
        html = html.replace("</body>", HTML_WITH_IMAGE) if client.has_inline_image else html
        assert sent["html_body"].rstrip("\n") == html
    assert received_attachments(sent) == expected_attachments(client)


@both_tls_modes
@every_client
def test_the_api_receives_what_the_client_sent(client: Client, tls: str, gateway: RunningGateway, needs: Needs) -> None:
    needs(client.is_installed(), client.name)
    gateway.clear()
    result = run(client, gateway, tls)
    assert result.returncode == 0, result.stdout + result.stderr
    sent = received(gateway)
    assert_addressed(sent)
    assert_options(sent)
    assert_content(sent, client)


@both_tls_modes
@every_client
def test_a_wrong_key_is_refused_at_login(client: Client, tls: str, gateway: RunningGateway, needs: Needs) -> None:
    needs(client.is_installed(), client.name)
    gateway.clear()
    result = run(client, gateway, tls, key="not_a_key")
    assert result.returncode != 0
    assert re.search(r"\b535\b", result.stdout + result.stderr), result.stdout + result.stderr
    assert gateway.messages() == []


@every_client
def test_an_unverified_from_domain_is_an_error_to_the_client(
    client: Client, gateway: RunningGateway, needs: Needs
) -> None:
    needs(client.is_installed(), client.name)
    gateway.clear()
    result = run(client, gateway, author="joerg@unverified.example")
    assert result.returncode != 0
    assert re.search(r"\b550\b", result.stdout + result.stderr), result.stdout + result.stderr


@every_client
def test_the_key_is_nowhere_in_the_log(client: Client, gateway: RunningGateway, needs: Needs, tmp_path: Path) -> None:
    needs(client.is_installed(), client.name)
    key = f"ps_test_{tmp_path.name}_secret"
    assert run(client, gateway, key=key).returncode == 0
    assert key not in gateway.log()
    assert base64.b64encode(key.encode()).decode().rstrip("=") not in gateway.log()
