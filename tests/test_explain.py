"""`mailgateway explain`, through the real command line: the request, the report, the refusal; nothing is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.vendor import load

COMMAND = Path(sys.executable).with_name("mailgateway")

PLAIN = """From: Shop <shop@shop.example>
To: Ann <ann@cust.example>
Cc: bob@cust.example
Bcc: log@shop.example
Date: Sat, 21 Nov 2026 16:00:00 +0000
Message-ID: <1@shop.example>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=

Hello Ann.
"""
FILE = """From: shop@shop.example
To: ann@cust.example
Reply-To: help@shop.example
Subject: Hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=M

--M

Hello.
--M
Content-Type: application/pdf
Content-Disposition: attachment; filename=invoice.pdf
Content-Transfer-Encoding: base64

{content}
--M--
"""


def explain(tmp_path: Path, mail: str | bytes, *arguments: str, dialect: str = "postscale", vendor: str = "postscale"):
    file = tmp_path / "message.eml"
    file.write_bytes(mail.encode() if isinstance(mail, str) else mail)
    command = [str(COMMAND), "explain", str(file), "--dialect", dialect, "--vendor", vendor, *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60)


def documents(output: str) -> list[dict]:
    """The JSON documents in what was printed."""
    parts = [one for one in output.split("\n\n") if one.startswith("{")]
    return [json.loads(one) for one in parts]


def test_a_message_is_shown_as_the_exact_request_without_the_key(tmp_path):
    done = explain(tmp_path, PLAIN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("POST https://api.postscale.io/v1/send\nAuthorization: Bearer ***\n")
    assert documents(done.stdout) == [
        {
            "from": "Shop <shop@shop.example>",
            "subject": "Grüße",
            "text_body": "Hello Ann.\n",
            "headers": {"Date": "Sat, 21 Nov 2026 16:00:00 +0000", "Message-ID": "<1@shop.example>"},
            "to": ["Ann <ann@cust.example>"],
            "cc": ["bob@cust.example"],
            "bcc": ["log@shop.example"],
        }
    ]
    assert done.stdout.endswith("\nReport: everything is carried as it was.\n")


def test_one_dialect_is_explained_through_another_vendor(tmp_path):
    done = explain(tmp_path, PLAIN, vendor="relaypost")
    (document,) = documents(done.stdout)
    assert document["from"] == {"email": "shop@shop.example", "name": "Shop"}
    assert "POST https://api.relaypost.dev/v1/emails/send\n" in done.stdout


def test_the_envelope_given_decides_who_gets_it(tmp_path):
    done = explain(
        tmp_path, PLAIN, "--from", "bounces@shop.example", "--to", "ann@cust.example", "--to", "eve@x.example"
    )
    (document,) = documents(done.stdout)
    assert (document["to"], document["bcc"]) == (["Ann <ann@cust.example>"], ["eve@x.example"])
    assert "cc" not in document


def test_without_a_from_field_the_reverse_path_stands_for_it(tmp_path):
    mail = PLAIN.replace("From: Shop <shop@shop.example>\n", "")
    done = explain(tmp_path, mail, "--from", "bounces@shop.example")
    assert documents(done.stdout)[0]["from"] == "bounces@shop.example"
    assert "- no From field: the reverse-path stands for it\n" in done.stdout


def test_several_requests_are_all_shown(tmp_path):
    done = explain(tmp_path, PLAIN, "--to", "eve@x.example", "--to", "joe@x.example")
    assert [one["to"] for one in documents(done.stdout)] == [["eve@x.example"], ["joe@x.example"]]
    assert "a request for each recipient" in done.stdout


def test_long_base64_is_shortened_unless_asked_for_whole(tmp_path):
    mail = FILE.format(content="JVBERi0xLjQK" * 100)
    short, whole = explain(tmp_path, mail), explain(tmp_path, mail, "--full")
    shown = documents(short.stdout)[0]["attachments"][0]["content"]
    assert shown.startswith("JVBERi0x")
    assert shown.endswith("… (1140 more characters of base64)")
    assert documents(whole.stdout)[0]["attachments"][0]["content"] == "JVBERi0xLjQK" * 100


def test_a_dialect_field_is_read_and_what_has_no_meaning_is_reported(tmp_path):
    mail = PLAIN.replace("Subject", "X-Postscale-Tags: a, b\nX-Postscale-Foo: c\nSubject")
    done = explain(tmp_path, mail)
    assert documents(done.stdout)[0]["tags"] == ["a", "b"]
    assert "- X-Postscale-Foo has no meaning here and was taken out\n" in done.stdout


def test_what_cannot_be_carried_refuses_the_message_by_name(tmp_path):
    done = explain(tmp_path, FILE.format(content="AAAA"), vendor="relaypost", dialect="relaypost")
    assert done.returncode == 1
    assert done.stdout == (
        "Refused: 554 5.6.0 Message refused: relaypost cannot carry attachments (invoice.pdf); Reply-To\n"
        'It goes without them where a route allows it: losses = ["attachments", "reply_to"]\n'
    )


def test_an_allowed_loss_is_left_out_and_reported_once(tmp_path):
    allowed = ("--allow-loss", "attachments", "--allow-loss", "reply_to")
    done = explain(tmp_path, FILE.format(content="AAAA"), *allowed, vendor="relaypost")
    assert done.returncode == 0
    (document,) = documents(done.stdout)
    assert "attachments" not in document
    assert "Reply-To" not in document["headers"]
    assert done.stdout.count("invoice.pdf") == 1
    assert done.stdout.count("Reply-To") == 1


@pytest.mark.parametrize(
    ("mail", "reply"),
    [
        (f"From: a@b.example\n{PLAIN}", "554 Failed to parse message"),
        (PLAIN.replace("Subject", "X-Postscale-Metadata: {\nSubject"), "554 X-Postscale-Metadata is not a JSON object"),
        (PLAIN.replace("From: Shop <shop@shop.example>\n", ""), "554 The message has no From field with an address"),
    ],
)
def test_a_refused_message_gives_the_reply_and_exit_code_1(tmp_path, mail, reply):
    done = explain(tmp_path, mail)
    assert done.returncode == 1
    assert done.stdout.startswith(f"Refused: {reply}")


def test_a_message_larger_than_the_vendor_takes_is_refused(tmp_path):
    done = explain(tmp_path, PLAIN.encode() + b"x" * load("postscale").message_octets)
    assert (done.returncode, done.stdout) == (1, "Refused: 552 Message size exceeds the limit of the account\n")


def test_the_settings_give_the_address_and_their_key_is_not_even_read(tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(
        '[vendors.mine]\napi = "relaypost"\nurl = "https://relaypost.dev/api/v1/"\nkey = { env = "NOT_THERE" }\n'
    )
    done = explain(tmp_path, PLAIN, "--config", str(config), dialect="relaypost", vendor="mine")
    assert done.stdout.startswith("POST https://relaypost.dev/api/v1/emails/send\nAuthorization: Bearer ***\n")


ROUTED = """
[[listeners]]
endpoint = "tcp:2525:interface=127.0.0.1"
dialect = "postmark"

[vendors.mine]
api = "relaypost"
key = { env = "NOT_THERE" }
streams = { outbound = "main" }
templates = { welcome = "tpl_1" }

[[routes]]
vendors = ["mine"]
dialect = "postmark"
losses = ["attachments", "reply_to"]
"""


def test_the_route_that_fits_says_what_may_be_lost(tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(ROUTED)
    mail = FILE.format(content="AAAA").replace("Subject", "X-PM-Message-Stream: outbound\nSubject")
    by_route = explain(tmp_path, mail, "--config", str(config), dialect="postmark", vendor="mine")
    assert (by_route.returncode, by_route.stderr) == (0, "")
    assert "attachments (invoice.pdf)" in by_route.stdout
    assert "the message stream main" in by_route.stdout
    assert explain(tmp_path, mail, "--config", str(config), vendor="mine").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"dialect": "nope"}, '--dialect: no vendor "nope" is known'),
        ({"vendor": "nope"}, '--vendor: no vendor "nope" is known'),
    ],
)
def test_an_unknown_vendor_is_told(tmp_path, arguments, told):
    done = explain(tmp_path, PLAIN, **arguments)
    assert (done.returncode, told in done.stderr) == (1, True)


def test_an_unknown_loss_a_missing_file_and_a_missing_recipient_are_told(tmp_path):
    assert "has to be one of: attachments, reply_to" in explain(tmp_path, PLAIN, "--allow-loss", "x").stderr
    assert "names no recipient: give --to" in explain(tmp_path, "From: a@b.example\n\nx\n").stderr
    missing = subprocess.run(
        [str(COMMAND), "explain", str(tmp_path / "nope"), "--dialect", "postscale", "--vendor", "postscale"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (missing.returncode, "No such file" in missing.stderr) == (1, True)


def test_a_terminal_is_not_obeyed_by_what_a_message_says(tmp_path):
    mail = FILE.format(content="AAAA").replace("filename=invoice.pdf", "filename*=utf-8''a%1B%5B31m.pdf")
    done = explain(tmp_path, mail, "--allow-loss", "attachments", "--allow-loss", "reply_to", vendor="relaypost")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
