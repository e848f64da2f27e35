"""A DNS server on loopback with the TXT records of the test's choice; run as a program, it prints its port.

Arguments: JSON of name -> list of texts. A text longer than 255 octets is sent in pieces. The name "silent.example" and
what is below it get no answer at all; "broken.example" gets SERVFAIL.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

PIECE = 255


@contextlib.contextmanager
def dns_server(records: dict[str, list[str]]) -> Iterator[str]:
    """Its address, for --resolver."""
    with subprocess.Popen(
        [sys.executable, __file__, json.dumps(records)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def main() -> None:
    from twisted.internet import defer, reactor
    from twisted.names import dns, error, server

    records = json.loads(sys.argv[1])

    class Answers:
        def query(self, query, timeout=None):
            name = query.name.name.decode()
            if name.endswith("silent.example"):
                return defer.Deferred()
            if name.endswith("broken.example"):
                return defer.fail(RuntimeError("SERVFAIL"))
            if name not in records:
                return defer.fail(error.DomainError())
            payloads = [
                dns.Record_TXT(*(text[at : at + PIECE].encode() for at in range(0, len(text), PIECE)))
                for text in records[name]
            ]
            return defer.succeed(([dns.RRHeader(query.name.name, dns.TXT, payload=one) for one in payloads], [], []))

    factory = server.DNSServerFactory(clients=[Answers()])
    listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
    reactor.listenUDP(listening.getHost().port, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
    print(listening.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
