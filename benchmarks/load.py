"""The client: SMTP over TLS 1.3 with AUTH PLAIN, one thread a connection, every reply checked.

A process of its own, spoken to over its pipes: it opens connections and warms up, prints "ready", waits for a line,
sends what it was told to, prints what it saw as JSON, and keeps its connections open until its input ends.
Commands are not pipelined, because most mail libraries do not; --pipelining sends MAIL, RCPT and DATA together.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from itertools import repeat

from messages import END_MARK, MESSAGES

USER_NAME, PASSWORD = "postscale", "ps_test_benchmark"
ENVELOPE = (b"MAIL FROM:<shop@shop.example>\r\n", b"RCPT TO:<ann@cust.example>\r\n", b"DATA\r\n")
REPLY_SECONDS = 120  # a server that is slower than this at anything is broken
WARM_UP_MESSAGES = 3  # for each connection: imports, pools and caches are filled by then


class Connection:
    """One SMTP session, logged in."""

    def __init__(self, port: int, context: ssl.SSLContext, *, pipelining: bool) -> None:
        plain = socket.create_connection(("127.0.0.1", port), REPLY_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._left = b""
        self._pipelining = pipelining
        self._expect(b"220")
        self._command(b"EHLO client.example\r\n", b"250")
        login = base64.b64encode(f"\0{USER_NAME}\0{PASSWORD}".encode())
        self._command(b"AUTH PLAIN " + login + b"\r\n", b"235")

    def send(self, message: bytes) -> float:
        """Send a message; the seconds from the last octet of its data to the 250."""
        if self._pipelining:
            self._socket.sendall(b"".join(ENVELOPE))
            for code in (b"250", b"250", b"354"):
                self._expect(code)
        else:
            for command, code in zip(ENVELOPE, (b"250", b"250", b"354"), strict=True):
                self._command(command, code)
        self._socket.sendall(message)
        began = time.perf_counter()
        self._expect(b"250")
        return time.perf_counter() - began

    def quit(self) -> None:
        """Say QUIT and close."""
        self._command(b"QUIT\r\n", b"221")
        self._socket.close()

    def _command(self, command: bytes, code: bytes) -> None:
        self._socket.sendall(command)
        self._expect(code)

    def _expect(self, code: bytes) -> None:
        """Read one reply, of one line or of several (RFC 5321 §4.2.1)."""
        while True:
            line, mark, rest = self._left.partition(b"\r\n")
            if mark:
                self._left = rest
                if line[3:4] == b"-":
                    continue
                if line[:3] != code:
                    raise RuntimeError(f"expected {code!r}, got {line!r}")
                return
            octets = self._socket.recv(4096)
            if not octets:
                raise RuntimeError(f"expected {code!r}, got the end after {self._left!r}")
            self._left += octets


class Load:
    """Several connections that share a number of messages. The first fault of any thread is the fault of all."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._message = MESSAGES[options.message]() + END_MARK
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.load_verify_locations(options.certificate)
        self._connections: list[Connection] = []
        self._faults: list[BaseException] = []
        self._turns = iter(repeat(None, 0))

    def prepare(self) -> None:
        """Open the connections, and warm up."""
        if self._options.fresh:
            for _ in range(WARM_UP_MESSAGES):
                self._send_on_a_new_connection()
            return
        self._connections = [self._connect() for _ in range(self._options.connections)]
        for connection in self._connections:
            for _ in range(self._options.warm_up_messages):
                connection.send(self._message)

    def run(self) -> list[float]:
        """Send all messages; the seconds each took from its last octet to its 250."""
        self._turns = iter(repeat(None, self._options.messages))
        seconds: list[float] = []
        began = time.perf_counter()

        def work(number: int) -> None:
            try:
                self._work(number, began, seconds)
            except BaseException as fault:
                self._faults.append(fault)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(self._options.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._faults:
            raise self._faults[0]
        return seconds

    def _work(self, number: int, began: float, seconds: list[float]) -> None:
        send = self._sender(number)
        interval = self._options.connections / self._options.per_second if self._options.per_second else 0.0
        due = began + interval * number / self._options.connections
        for _ in self._turns:
            if interval:
                time.sleep(max(0.0, due - time.perf_counter()))
                due += interval
            seconds.append(send())

    def _sender(self, number: int) -> Callable[[], float]:
        if self._options.fresh:
            return self._send_on_a_new_connection
        connection = self._connections[number]
        return lambda: connection.send(self._message)

    def _connect(self) -> Connection:
        return Connection(self._options.port, self._context, pipelining=self._options.pipelining)

    def _send_on_a_new_connection(self) -> float:
        connection = self._connect()
        seconds = connection.send(self._message)
        connection.quit()
        return seconds


def main() -> None:
    """Read the command line and follow the protocol of the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True, help="what to trust, in PEM form")
    parser.add_argument("--message", choices=MESSAGES, default="small")
    parser.add_argument("--messages", type=int, default=0, help="how many, over all connections")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--warm-up-messages", type=int, default=WARM_UP_MESSAGES)
    parser.add_argument("--fresh", action="store_true", help="a new connection for each message")
    parser.add_argument("--per-second", type=float, default=0.0, help="messages a second; 0 is as fast as it goes")
    parser.add_argument("--pipelining", action="store_true")
    load = Load(parser.parse_args())
    load.prepare()
    print("ready", flush=True)
    if sys.stdin.readline():
        print(json.dumps(load.run()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
