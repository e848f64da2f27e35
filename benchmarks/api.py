"""A fast stand-in of a vendor's HTTP API: takes any POST with a 202 and a message id, answers any GET with 200.

It reads bodies without keeping them, and counts: GET /count tells how many messages and body octets came. Posts can be
answered after a delay, to measure what a gateway adds to a slow API.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass

HEADER_END = b"\r\n\r\n"


@dataclass(slots=True)
class Count:
    """What the API has got so far."""

    messages: int = 0
    octets: int = 0


class ApiProtocol(asyncio.Protocol):
    """One keep-alive connection: one request after the other (RFC 9112), bodies by Content-Length only."""

    def __init__(self, count: Count, delay_seconds: float) -> None:
        self._count = count
        self._delay_seconds = delay_seconds
        self._head = b""
        self._left_octets = 0
        self._body_octets = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take octets of a header or of a body."""
        if self._left_octets:
            self._left_octets -= len(data)
            assert self._left_octets >= 0, "the client pipelines"
            if not self._left_octets:
                self._posted()
            return
        self._head += data
        head, mark, rest = self._head.partition(HEADER_END)
        if mark:
            self._head = b""
            self._request(head, rest)

    def _request(self, head: bytes, rest: bytes) -> None:
        if head.startswith(b"GET "):
            self._answer(b"200 OK", self._told() if head.startswith(b"GET /count ") else b"{}")
            return
        _, name, value = head.lower().partition(b"\r\ncontent-length:")
        assert name, "a POST without Content-Length"
        self._body_octets = int(value.partition(b"\r\n")[0])
        if b"\r\nexpect: 100-continue" in head.lower():
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._left_octets = self._body_octets - len(rest)
        if not self._left_octets:
            self._posted()

    def _told(self) -> bytes:
        return json.dumps({"messages": self._count.messages, "octets": self._count.octets}).encode()

    def _posted(self) -> None:
        self._count.messages += 1
        self._count.octets += self._body_octets
        body = b'{"message_id":"msg_%08d","status":"queued"}' % self._count.messages
        if self._delay_seconds:
            asyncio.get_running_loop().call_later(self._delay_seconds, self._answer, b"202 Accepted", body)
        else:
            self._answer(b"202 Accepted", body)

    def _answer(self, status: bytes, body: bytes) -> None:
        self._write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        )

    def _write(self, octets: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)


async def serve(port: int, delay_seconds: float) -> None:
    """Serve on loopback until killed."""
    count = Count()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ApiProtocol(count, delay_seconds), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-seconds", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.delay_seconds))


if __name__ == "__main__":
    main()
