"""The messages that are sent: mail data with CRLF line ends, ready to follow a 354, the end mark included."""

from __future__ import annotations

import base64
import random

KIB = 1024
MIB = 1024 * KIB
END_MARK = b".\r\n"
BASE64_LINE_CHARACTERS = 76  # RFC 2045 §6.8
BOUNDARY = "benchmark_boundary_5f0c"

_HEADER = """\
From: The Shop <shop@shop.example>
To: Ann Example <ann@cust.example>
Subject: Your order 4711 has been shipped
Date: Mon, 02 Mar 2026 10:00:00 +0000
Message-ID: <4711.benchmark@shop.example>
X-Mailer: benchmark
X-Postscale-Tags: order, shipping
MIME-Version: 1.0
"""
_SENTENCE = "Dear Ann, your order has left our house today and will be with you on Thursday.\n"


def small() -> bytes:
    """A notification of 2 KiB: plain text, eight header fields."""
    text = _HEADER + "Content-Type: text/plain; charset=utf-8\n\n"
    while len(text) < 2 * KIB - len(_SENTENCE):
        text += _SENTENCE
    return _on_the_wire(text)


def multipart() -> bytes:
    """A letter of 200 KiB: text and HTML as alternatives, and an attachment in base64."""
    html = "<html><body>" + f"<p>{_SENTENCE.strip()}</p>\n" * 40 + "</body></html>\n"
    alternative = (
        f"Content-Type: multipart/alternative; boundary={BOUNDARY}_inner\n\n"
        f"--{BOUNDARY}_inner\nContent-Type: text/plain; charset=utf-8\n\n{_SENTENCE * 20}\n"
        f"--{BOUNDARY}_inner\nContent-Type: text/html; charset=utf-8\n\n{html}\n"
        f"--{BOUNDARY}_inner--\n"
    )
    return _mixed(alternative, 200 * KIB)


def large() -> bytes:
    """A letter of 25 MiB: a short text and one attachment in base64."""
    return _mixed(f"Content-Type: text/plain; charset=utf-8\n\n{_SENTENCE}", 25 * MIB)


def _mixed(first_part: str, size_octets: int) -> bytes:
    before = (
        f"{_HEADER}Content-Type: multipart/mixed; boundary={BOUNDARY}\n\n"
        f"--{BOUNDARY}\n{first_part}\n"
        f"--{BOUNDARY}\nContent-Type: application/pdf; name=order.pdf\nContent-Transfer-Encoding: base64\n"
        "Content-Disposition: attachment; filename=order.pdf\n\n"
    )
    room = size_octets - len(before)
    lines = _base64_lines(room * BASE64_LINE_CHARACTERS // (BASE64_LINE_CHARACTERS + 2))
    return _on_the_wire(before) + lines + _on_the_wire(f"--{BOUNDARY}--\n")


def _base64_lines(characters: int) -> bytes:
    """Random octets as base64 lines; the seed is fixed, so that every run sends the same."""
    octets = random.Random(4711).randbytes(characters // 4 * 3)
    text = base64.b64encode(octets)
    width = BASE64_LINE_CHARACTERS
    return b"".join(text[at : at + width] + b"\r\n" for at in range(0, len(text), width))


def _on_the_wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("ascii")


MESSAGES = {"small": small, "multipart": multipart, "large": large}
