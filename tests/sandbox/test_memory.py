"""A message of the largest size leaves the process as small as it was, mapped files counted."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from tests.sandbox.console_process import BASE, KEY, mail, running

RISE_OCTETS = 8_000_000

FILE = bytes(range(256)) * (50 * 4095)  # the texts beside it are to fit into 50 MiB too
TEXT = 'He said: "50 MB".\n' * (50 * 1024 * 1024 // 18)


def peak_octets(console) -> int:
    """The most memory that the process ever had, its own and mapped files."""
    for line in Path(f"/proc/{console.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def look_at_everything(console) -> str:
    """All pages and lists of the newest message once; gives its id."""
    message = console.messages()[0]
    for path in ("/", f"/sandbox/messages/{message['id']}", f"/api/v1/sandbox/messages/{message['id']}"):
        assert console.get(path).status == 200
    return message["id"]


@pytest.fixture
def console(tmp_path):
    """A console of its own, that has done everything once with a small message."""
    with running(tmp_path / "inbox") as process:
        assert process.send(mail(attachments=[{"filename": "a", "content": "AAAA" * 50_000}])).status == 202
        message_id = look_at_everything(process)
        assert process.get(f"/sandbox/messages/{message_id}/attachments/0").status == 200
        process.call("DELETE", "/api/v1/sandbox/messages")
        yield process


def test_a_50_megabyte_attachment_is_never_in_memory(console):
    document = json.dumps(mail(attachments=[{"filename": "big", "content": base64.b64encode(FILE).decode()}]))
    before = peak_octets(console)
    assert console.send(document).status == 202
    message_id = look_at_everything(console)
    assert console.get(f"/sandbox/messages/{message_id}/attachments/0").body == FILE
    assert peak_octets(console) - before < RISE_OCTETS


def test_a_50_megabyte_text_is_never_in_memory(console):
    before = peak_octets(console)
    assert console.send(mail(text_body=TEXT)).status == 202
    message_id = look_at_everything(console)
    assert console.get(f"/sandbox/messages/{message_id}/text").text == TEXT
    assert peak_octets(console) - before < RISE_OCTETS


def test_50_megabytes_in_many_small_attachments_are_never_in_memory(console):
    content = base64.b64encode(FILE[:45_000]).decode()
    files = [{"filename": f"{number}.bin", "content": content} for number in range(1100)]
    before = peak_octets(console)
    assert console.send(mail(attachments=files)).status == 202
    message_id = look_at_everything(console)
    assert console.get(f"/sandbox/messages/{message_id}/attachments/1099").body == FILE[:45_000]
    assert peak_octets(console) - before < RISE_OCTETS


def test_50_megabytes_that_are_refused_are_never_in_memory(console):
    before = peak_octets(console)
    assert console.send(mail(text=TEXT)).status == 400
    assert console.send(TEXT.encode()).status == 400
    message = console.messages(everything=True)[1]
    page = console.get(f"/sandbox/messages/{message['id']}").text
    assert "cut here" in page
    assert peak_octets(console) - before < RISE_OCTETS


def test_a_message_whose_client_leaves_while_it_is_read_is_kept(console):
    body = json.dumps(mail(text_body=TEXT)).encode()
    connection = console.connect()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    connection.request("POST", f"{BASE}/send", body, headers)
    connection.close()
    deadline = time.monotonic() + 10
    while not (kept := console.get("/api/v1/sandbox/summary").json["messages"]) and time.monotonic() < deadline:
        pass
    assert kept == 1
    assert console.messages()[0]["request"]["json"]["text_body"] == TEXT
