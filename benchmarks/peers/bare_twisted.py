"""The floor: a hand-written Twisted protocol without limits, error paths, decoding or checks. Not fit for use.

It finds the end of the data, cuts a multipart at its boundary, and writes the JSON by hand over an HTTP client of a
few lines. What the gateway takes above it is what correctness costs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from twisted.internet import protocol, reactor, ssl
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

REPLIES = {
    b"EHLO": b"250-bare\r\n250 AUTH PLAIN\r\n",
    b"AUTH": b"235 OK\r\n",
    b"MAIL": b"250 OK\r\n",
    b"RCPT": b"250 OK\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
LOOP: Any = reactor


class ApiConnection(protocol.Protocol):
    """One keep-alive connection to the API: a request at a time, the answer's status decides."""

    waiting: BareSmtp

    def connectionMade(self) -> None:
        """Nothing is buffered yet."""
        self.answer = b""

    def dataReceived(self, data: bytes) -> None:
        """The API's answers come in one segment, and end in a brace."""
        self.answer += data
        if self.answer.endswith(b"}"):
            taken = self.answer.startswith(b"HTTP/1.1 2")
            self.answer = b""
            waiting = self.waiting
            waiting.factory.idle.append(self)
            waiting.transport.write(b"250 OK\r\n" if taken else b"451 no\r\n")


class BareSmtp(protocol.Protocol):
    """One SMTP connection: a line has come, or the end of the data has."""

    factory: Any
    transport: Any

    def connectionMade(self) -> None:
        """Greet."""
        self.blocks: list[bytes] = []
        self.tail = b""
        self.in_data = False
        self.transport.write(b"220 bare\r\n")

    def dataReceived(self, data: bytes) -> None:
        """A command in one piece, or a block of mail data."""
        if self.in_data:
            self.blocks.append(data)
            self.tail = (self.tail + data)[-5:]
            if self.tail == b"\r\n.\r\n":
                self.in_data = False
                octets = b"".join(self.blocks)
                self.blocks = []
                self.post(_body(octets))
            return
        verb = data[:4]
        self.transport.write(REPLIES[verb])
        self.in_data = verb == b"DATA"
        if verb == b"QUIT":
            self.transport.loseConnection()

    def post(self, body: list[bytes]) -> None:
        """Write the request on an idle connection, or on a new one."""
        if self.factory.idle:
            self.send(self.factory.idle.pop(), body)
        else:
            endpoint = TCP4ClientEndpoint(LOOP, "127.0.0.1", self.factory.api_port)
            connectProtocol(endpoint, ApiConnection()).addCallback(self.send, body)

    def send(self, connection: ApiConnection, body: list[bytes]) -> None:
        """Write a request."""
        connection.waiting = self
        head = (
            b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        transport: Any = connection.transport
        transport.writeSequence([head % sum(map(len, body)), *body])


def _body(octets: bytes) -> list[bytes]:
    """The message as pieces of JSON."""
    head, _, text = octets.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
    start = b'{"from":%b,"to":["ann@cust.example"],"subject":%b' % (_json(fields[b"From"]), _json(fields[b"Subject"]))
    _, mark, boundary = fields[b"Content-Type"].partition(b"boundary=")
    if not mark:
        return [start, b',"text_body":', _json(text[:-3]), b"}"]
    pieces = [start, b',"attachments":[']
    for part in text.split(b"--" + boundary + b"\r\n")[1:]:
        _, _, content = part.partition(b"\r\n\r\n")
        if b"base64" in part[:200]:
            content = content[: content.rfind(b"--" + boundary)]
            pieces += [b'{"filename":"order.pdf","content":"', content.translate(None, b"\r\n"), b'"}']
        else:
            pieces[0] += b',"text_body":' + _json(content)
    return [*pieces, b"]}"]


def _json(octets: bytes) -> bytes:
    return json.dumps(octets.decode()).encode()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--port", "--certificate", "--private-key", "--api"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    pem = Path(options.private_key).read_text(encoding="ascii") + Path(options.certificate).read_text(encoding="ascii")
    contexts = ssl.PrivateCertificate.loadPEM(pem).options()
    factory: Any = protocol.Factory.forProtocol(BareSmtp)
    factory.noisy = False
    factory.idle = []
    factory.api_port = int(options.api.rpartition(":")[2].partition("/")[0])
    LOOP.listenSSL(int(options.port), factory, contexts, backlog=512, interface="127.0.0.1")
    LOOP.run()


if __name__ == "__main__":
    main()
