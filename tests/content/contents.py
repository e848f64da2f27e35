"""Messages shared by the tests of reading, and what a reader sees of a content."""

from __future__ import annotations

import base64

from gateway.content.reading import read_content
from gateway.message import Attachment, Content

from .spooled import crlf, spooled


def read(text: str | bytes) -> Content:
    return read_content(spooled(crlf(text) if isinstance(text, str) else text))


def text_of(content: Content) -> str | None:
    return None if content.text is None else "".join(content.text.pieces())


def html_of(content: Content) -> str | None:
    return None if content.html is None else "".join(content.html.pieces())


def octets_of(attachment: Attachment) -> bytes:
    octets = base64.b64decode(b"".join(attachment.source.pieces()), validate=True)
    assert attachment.size_octets == len(octets)
    return octets


OUTLOOK = """From: "Bee, Ann" <ann@corp.example>
To: Bob <bob@b.example>
Cc: =?iso-8859-1?Q?J=F6rg?= <j@c.example>
Subject: =?iso-8859-1?Q?Angebot_f=FCr_?= =?iso-8859-1?Q?M=FCnchen?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="----=_NextPart_000_0001_01DA.AB"

This is a multi-part message in MIME format.

------=_NextPart_000_0001_01DA.AB
Content-Type: multipart/related; boundary="----=_NextPart_001_0002_01DA.AB"; type="multipart/alternative"

------=_NextPart_001_0002_01DA.AB
Content-Type: multipart/alternative; boundary="----=_NextPart_002_0003_01DA.AB"

------=_NextPart_002_0003_01DA.AB
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe =
Ann

------=_NextPart_002_0003_01DA.AB
Content-Type: text/html; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<p>Gr=FC=DFe <img src=3D"cid:image001.png@01DA"></p>
------=_NextPart_002_0003_01DA.AB--

------=_NextPart_001_0002_01DA.AB
Content-Type: image/png; name="image001.png"
Content-Transfer-Encoding: base64
Content-ID: <image001.png@01DA>

iVBORw0KGgo=

------=_NextPart_001_0002_01DA.AB--

------=_NextPart_000_0001_01DA.AB
Content-Type: application/pdf; name="=?iso-8859-1?Q?=DCbersicht.pdf?="
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="=?iso-8859-1?Q?=DCbersicht.pdf?="

JVBERi0xLjQK

------=_NextPart_000_0001_01DA.AB--
"""


def multipart(*parts: str, kind: str = "mixed") -> str:
    return (
        f"From: a@b\nContent-Type: multipart/{kind}; boundary=x\n\n"
        + "".join(f"--x\n{one}\n" for one in parts)
        + "--x--\n"
    )
