"""Send one message with Python's smtplib and email.message; the settings are in MAIL_* of the environment."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import sys
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

PARTS = Path(os.environ["MAIL_PARTS"])


def message() -> EmailMessage:
    made = EmailMessage()
    made["From"] = Address("Jörg Müller", addr_spec=os.environ["MAIL_FROM"])
    made["To"] = [Address("Customer, Ann", addr_spec="ann@customer.example"), Address(addr_spec="info@shop.example")]
    made["Cc"] = Address("Office", addr_spec="office@customer.example")
    made["Bcc"] = Address(addr_spec="audit@shop.example")  # send_message() takes it out of what it sends
    made["Subject"] = "Rechnung März, Übersicht, 1250 €"
    made["Reply-To"] = Address("Help Desk", addr_spec="help@shop.example")
    made["In-Reply-To"] = "<order-7781@shop.example>"
    made["References"] = "<cart-77@shop.example> <order-7781@shop.example>"
    made["X-Shop-Campaign"] = "spring-2026"
    made["X-Postscale-Tags"] = "invoice, march"
    made["X-Postscale-Metadata"] = json.dumps({"order_id": "7781", "city": "Zürich"}, ensure_ascii=False)
    add_parts(made)
    return made


def add_parts(made: EmailMessage) -> None:
    made.set_content((PARTS / "text.txt").read_text(encoding="utf-8"))
    made.add_alternative(
        (PARTS / "page.html").read_text(encoding="utf-8").replace("</body>", '<img src="cid:logo@shop">\n</body>'),
        subtype="html",
    )
    html = made.get_body(("html",))
    assert isinstance(html, EmailMessage)
    html.add_related((PARTS / "logo.png").read_bytes(), "image", "png", filename="logo.png", cid="<logo@shop>")
    pdf = (PARTS / "overview.pdf").read_bytes()
    made.add_attachment(pdf, maintype="application", subtype="pdf", filename="Übersicht März.pdf")
    made.add_attachment((PARTS / "notes.txt").read_text(encoding="utf-8"), filename="notes.txt")


def main() -> None:
    context = ssl.create_default_context(cafile=os.environ["MAIL_CA"])
    host, port = os.environ["MAIL_HOST"], int(os.environ["MAIL_PORT"])
    implicit = os.environ["MAIL_TLS"] == "implicit"
    with smtplib.SMTP_SSL(host, port, context=context) if implicit else smtplib.SMTP(host, port) as client:
        if not implicit:
            client.starttls(context=context)
        client.login(os.environ["MAIL_USER"], os.environ["MAIL_PASSWORD"])
        client.send_message(message())


if __name__ == "__main__":
    try:
        main()
    except smtplib.SMTPException as error:
        sys.exit(f"{type(error).__name__}: {error}")
