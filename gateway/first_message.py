"""A message that shows all that an application can ask for, sent as an application would: SMTP, TLS, AUTH."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Submitter:
    """Where to send a message and as whom. certificate: the one to trust; None asks for the system's trust store."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    implicit_tls: bool
    certificate: Path | None


def first_message(author: str, recipient: str) -> EmailMessage:
    """A message with text, HTML, an attachment, tags and metadata."""
    message = EmailMessage()
    message["From"] = f"Example Shop <{author}>"
    message["To"] = f"Ann Example <{recipient}>"
    message["Subject"] = "Your invoice 77, ¡gracias!"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=author.rpartition("@")[2])
    message["Reply-To"] = author
    message["X-Postscale-Tags"] = "invoice, first-message"
    message["X-Postscale-Metadata"] = '{"invoice": "77"}'
    message["X-Shop-Campaign"] = "spring"
    message.set_content("Hello Ann,\n\nyour invoice is attached.\n\nThe Example Shop\n")
    message.add_alternative(
        "<html><body><h1>Hello Ann,</h1><p>your invoice is attached.</p><p>The Example Shop</p></body></html>\n",
        subtype="html",
    )
    message.add_attachment("Invoice 77\n1 mail gateway  0.00\n", filename="invoice-77.txt")
    return message


def send(message: EmailMessage, to: Submitter) -> str:
    """Send it and give the server's reply to the data. smtplib's exceptions and OSError tell what went wrong."""
    context = ssl.create_default_context(cafile=str(to.certificate) if to.certificate else None)
    if to.implicit_tls:
        client: smtplib.SMTP = smtplib.SMTP_SSL(to.host, to.port, timeout=60, context=context)
    else:
        client = smtplib.SMTP(to.host, to.port, timeout=60)
    with client:
        if not to.implicit_tls:
            client.starttls(context=context)
        client.login(to.user, to.password)
        client.mail(message["From"].addresses[0].addr_spec)
        for address in message["To"].addresses:
            code, reply = client.rcpt(address.addr_spec)
            if code >= 300:
                raise smtplib.SMTPResponseException(code, reply)
        code, reply = client.data(message.as_bytes(policy=message.policy.clone(linesep="\r\n")))
        if code >= 300:
            raise smtplib.SMTPDataError(code, reply)
        return f"{code} {reply.decode('ascii', 'replace')}"
