"""A peer: aiosmtpd, the email package with policy.default, and aiohttp, on the standard asyncio loop."""

from __future__ import annotations

import argparse
import asyncio
import base64
import email
import email.policy
import ssl
from typing import Any

import aiohttp
from aiosmtpd.smtp import SMTP, AuthResult

SIZE_OCTETS = 64 * 1024 * 1024  # well above what is sent, so that no limit is met


class Handler:
    """What aiosmtpd calls when the mail data is complete."""

    def __init__(self, session: aiohttp.ClientSession, api: str) -> None:
        self._session = session
        self._api = api

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Parse and post."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        document = _document(message, list(envelope.rcpt_tos))
        headers = {"Authorization": "Bearer ps_test_benchmark"}
        async with self._session.post(f"{self._api}/send", json=document, headers=headers) as response:
            await response.json()
            return "250 OK" if response.status < 300 else "451 not taken"


def _document(message: Any, recipients: list[str]) -> dict[str, Any]:
    document: dict[str, Any] = {"from": str(message["from"]), "to": recipients, "subject": str(message["subject"])}
    for name, kind in (("text_body", "plain"), ("html_body", "html")):
        part = message.get_body(preferencelist=(kind,))
        if part is not None:
            document[name] = part.get_content()
    document["headers"] = {name: str(value) for name, value in message.items() if name.lower().startswith("x-")}
    document["attachments"] = [
        {
            "filename": part.get_filename(),
            "content": base64.b64encode(part.get_content()).decode(),
            "content_type": part.get_content_type(),
        }
        for part in message.iter_attachments()
    ]
    return document


async def serve(options: argparse.Namespace) -> None:
    """Serve until killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.private_key)
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(connector=connector) as session:
        handler = Handler(session, options.api)
        loop = asyncio.get_running_loop()

        def build() -> SMTP:
            return SMTP(
                handler,
                hostname="peer.example",
                data_size_limit=SIZE_OCTETS,
                auth_require_tls=False,  # it knows of TLS by STARTTLS only; here TLS comes first
                auth_required=True,
                authenticator=lambda *_: AuthResult(success=True),
            )

        server = await loop.create_server(build, "127.0.0.1", int(options.port), ssl=context, backlog=512)
        await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--port", "--certificate", "--private-key", "--api"):
        parser.add_argument(name, required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
