"""The rich messages of the 4 x 4 matrix, one in each dialect, and what is expected of each through each vendor."""

from __future__ import annotations

import base64
from typing import Any

AUTHOR = "shop@shop.example"
PATHS = ("ann@customer.example", "office@customer.example", "audit@shop.example")
PNG, PDF = base64.b64encode(b"\x89PNG\r\n").decode(), base64.b64encode(b"%PDF-1.7").decode()
CONTROL = {
    "postscale": 'X-Postscale-Tags: invoice, march\nX-Postscale-Metadata: {"order_id": "7781"}\n',
    "poststack": "X-PostStack-Tags: invoice, march\nX-PostStack-Idempotency-Key: order-7781\n",
    "postmark": (
        "X-PM-Tag: invoice\nX-PM-Metadata-order_id: 7781\nX-PM-TrackOpens: true\nX-PM-TrackLinks: HtmlOnly\n"
        "X-PM-Message-Stream: broadcast\nX-PM-KeepID: true\n"
    ),
    "relaypost": "X-RelayPost-Priority: high\n",
}
COMMON = f"""\
From: =?UTF-8?Q?J=C3=B6rg?= <{AUTHOR}>
To: "Customer, Ann" <ann@customer.example>
Cc: Office <office@customer.example>
Reply-To: Help Desk <help@shop.example>
Date: Sat, 21 Nov 2026 12:00:00 +0000
Message-ID: <order-7781@shop.example>
X-Shop-Campaign: spring
"""
RICH = f"""\
Subject: =?UTF-8?Q?Rechnung_M=C3=A4rz?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

1250 =E2=82=AC
--a
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; charset=utf-8

<img src="cid:logo@shop">
--r
Content-Type: image/png; name=logo.png
Content-Disposition: inline; filename=logo.png
Content-ID: <logo@shop>
Content-Transfer-Encoding: base64

{PNG}
--r--
--a--
--m
Content-Type: application/pdf
Content-Disposition: attachment; filename=invoice.pdf
Content-Transfer-Encoding: base64

{PDF}
--m--
"""
TEMPLATED = (
    "From: shop@shop.example\nTo: ann@customer.example\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n"
    "X-PostStack-Template-Id: tpl_welcome\n"
    'X-PostStack-Variables: {"name": "Ann"}\n\n'
)


# -- what each vendor's API has to receive: of every message, and of each dialect's

FIELDS = {
    "Date": "Sat, 21 Nov 2026 12:00:00 +0000",
    "Message-ID": "<order-7781@shop.example>",
    "X-Shop-Campaign": "spring",
}
HTML = '<img src="cid:logo@shop">'
OF_EVERY: dict[str, dict[str, Any]] = {
    "postscale": {
        "from": "Jörg <shop@shop.example>",
        "to": ['"Customer, Ann" <ann@customer.example>'],
        "cc": ["Office <office@customer.example>"],
        "bcc": ["audit@shop.example"],
        "subject": "Rechnung März",
        "text_body": "1250 €",
        "html_body": HTML,
        "headers": {"Reply-To": "Help Desk <help@shop.example>", **FIELDS},
        "attachments": [
            {"filename": "logo.png", "content": PNG, "content_type": "image/png"},
            {"filename": "invoice.pdf", "content": PDF, "content_type": "application/pdf"},
        ],
    },
    "poststack": {
        "from": "Jörg <shop@shop.example>",
        "to": ['"Customer, Ann" <ann@customer.example>'],
        "cc": ["Office <office@customer.example>"],
        "bcc": ["audit@shop.example"],
        "reply_to": "Help Desk <help@shop.example>",
        "subject": "Rechnung März",
        "text": "1250 €",
        "html": HTML,
        "headers": FIELDS,
        "attachments": [
            {"filename": "logo.png", "content": PNG, "content_type": "image/png", "content_id": "logo@shop"},
            {"filename": "invoice.pdf", "content": PDF, "content_type": "application/pdf"},
        ],
        "signature": "none",
        "idempotency_key": "the gateway's id",
    },
    "postmark": {
        "From": "Jörg <shop@shop.example>",
        "To": '"Customer, Ann" <ann@customer.example>',
        "Cc": "Office <office@customer.example>",
        "Bcc": "audit@shop.example",
        "ReplyTo": "Help Desk <help@shop.example>",
        "Subject": "Rechnung März",
        "TextBody": "1250 €",
        "HtmlBody": HTML,
        "Headers": [{"Name": "X-Shop-Campaign", "Value": "spring"}],
        "Attachments": [
            {"Name": "logo.png", "Content": PNG, "ContentType": "image/png", "ContentID": "cid:logo@shop"},
            {"Name": "invoice.pdf", "Content": PDF, "ContentType": "application/pdf"},
        ],
    },
    "relaypost": {
        "from": {"name": "Jörg", "email": "shop@shop.example"},
        "to": [{"name": "Customer, Ann", "email": "ann@customer.example"}],
        "cc": [{"name": "Office", "email": "office@customer.example"}],
        "bcc": [{"email": "audit@shop.example"}],
        "subject": "Rechnung März",
        "text": "1250 €",
        "html": HTML,
        "headers": FIELDS,
    },
}
TWO_TAGS, METADATA = ["invoice", "march"], {"order_id": "7781"}
OF_DIALECT: dict[tuple[str, str], dict[str, Any]] = {
    ("postscale", "postscale"): {"tags": TWO_TAGS, "metadata": METADATA},
    ("postscale", "poststack"): {"tags": TWO_TAGS},
    ("postscale", "postmark"): {"Tag": "invoice", "Metadata": METADATA},
    ("poststack", "postscale"): {"tags": TWO_TAGS},
    ("poststack", "poststack"): {
        "tags": TWO_TAGS,
        "idempotency_key": "order-7781",
        "headers": {"X-Shop-Campaign": "spring"},
    },
    ("poststack", "postmark"): {"Tag": "invoice"},
    ("postmark", "postscale"): {"tags": ["invoice"], "metadata": METADATA},
    ("postmark", "poststack"): {"tags": ["invoice"], "tracking": {"opens": True, "clicks": True}},
    ("postmark", "postmark"): {
        "Tag": "invoice",
        "Metadata": METADATA,
        "TrackOpens": True,
        "TrackLinks": "HtmlOnly",
        "MessageStream": "newsletter",
        "Headers": [
            {"Name": "X-Shop-Campaign", "Value": "spring"},
            {"Name": "Message-ID", "Value": "<order-7781@shop.example>"},
            {"Name": "X-PM-KeepID", "Value": "true"},
        ],
    },
}
OF_TEMPLATE: dict[str, dict[str, Any]] = {
    "postscale": {"template": "welcome", "variables": {"name": "Ann"}},
    "poststack": {"template_id": "tpl_welcome", "variables": {"name": "Ann"}},
    "postmark": {"TemplateId": 41, "TemplateModel": {"name": "Ann"}},
    "relaypost": {"template_id": "tpl_welcome", "template_data": {"name": "Ann"}},
}
PATHS_OF_API = {"postscale": "/send", "poststack": "/emails", "postmark": "/email", "relaypost": "/emails/send"}

# -- what the report has to tell: of what the dialect asks for and the vendor cannot do, and of each by itself

LOST = {
    ("postscale", "poststack"): ["metadata (order_id)"],
    ("postscale", "relaypost"): ["tags (invoice, march)", "metadata (order_id)"],
    ("poststack", "postscale"): ["an idempotency key"],
    ("poststack", "relaypost"): [
        "tags (invoice, march)",
        "an idempotency key",
    ],
    ("postmark", "postscale"): [
        "the message stream broadcast",
        "tracking asked for or against",
        "keeping the Message-ID",
    ],
    ("postmark", "poststack"): ["metadata (order_id)", "the message stream broadcast", "keeping the Message-ID"],
    ("postmark", "relaypost"): [
        "tags (invoice)",
        "metadata (order_id)",
        "the message stream broadcast",
        "tracking asked for or against",
        "keeping the Message-ID",
    ],
}
LOST_OF_EVERY = {"relaypost": ["attachments (logo.png, invoice.pdf)", "Reply-To"]}
ONE_TAG = "only the first tag is carried, and not march: the API takes one"
TOLD = {
    ("poststack", "poststack"): [
        "Date and Message-ID: left out, so that the idempotency key holds when the client repeats"
    ],
    ("postscale", "postmark"): [ONE_TAG],
    ("poststack", "postmark"): [ONE_TAG],
}
TOLD_OF_EVERY = {
    "postscale": ["inline part logo.png travels as an attachment: the API knows no Content-ID"],
    "poststack": ["test mode: the key is a test key, and the vendor delivers nothing"],
    "postmark": ["Date, Message-ID: not carried, because the vendor writes its own or none"],
    "relaypost": [],
}
TOLD_OF_DIALECT = {"relaypost": ["X-RelayPost-Priority has no meaning here and was taken out"]}

# -- what is refused where no loss is allowed

REFUSED = {
    ("postscale", "poststack"): "metadata (order_id)",
    ("postscale", "postmark"): "more than one tag (invoice, march)",
    ("poststack", "postmark"): "more than one tag (invoice, march)",
    ("postmark", "poststack"): "metadata (order_id)",
    ("postscale", "relaypost"): "attachments (logo.png, invoice.pdf); Reply-To; tags (invoice, march); "
    "metadata (order_id)",
    ("poststack", "relaypost"): "attachments (logo.png, invoice.pdf); Reply-To; tags (invoice, march)",
    ("postmark", "relaypost"): "attachments (logo.png, invoice.pdf); Reply-To; tags (invoice); metadata (order_id)",
    ("relaypost", "relaypost"): "attachments (logo.png, invoice.pdf); Reply-To",
}
WORDING = {
    "postscale": "554 {}",
    "poststack": "554 5.6.0 Message refused: {}",
    "postmark": "554 5.6.0 {}",
    "relaypost": "554 5.6.0 Message refused: {}",
}


def rich(dialect: str) -> str:
    return COMMON + CONTROL[dialect] + RICH


def expected_report(dialect: str, vendor: str) -> set[str]:
    lost = [*LOST.get((dialect, vendor), []), *LOST_OF_EVERY.get(vendor, [])]
    told = [*TOLD.get((dialect, vendor), []), *TOLD_OF_EVERY[vendor], *TOLD_OF_DIALECT.get(dialect, [])]
    if (dialect, vendor) == ("postmark", "postmark"):  # X-PM-KeepID
        told = ["Date: not carried, because the vendor writes its own or none"]
    return {*told, *(f"{words}: not carried, the API has no place for it" for words in lost)}
