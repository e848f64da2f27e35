"""Runs one HttpClient on a reactor of its own, for the tests to use over real sockets.

Arguments: a file of roots to trust, or "-" for the system's. Reads exchanges, one JSON object a line (method, url, key,
body: null, a JSON document, or {"octets": N} for a long one; deadline_seconds); prints what came of each as JSON. With
"cut_at" the source of a long body fails at that octet, with "lies_by" it has so many more than it says.
Everything that is logged goes to standard error.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner, textFileLogObserver

from gateway.content.json_body import JsonBody
from gateway.http_client import HttpClient
from gateway.vendor import ApiAnswer, ApiRequest

PIECE = b"QUJD" * 16384


class LongSource:
    """Base64 text of any length that is nowhere as a whole."""

    def __init__(self, octets: int, cut_at: int = 1 << 60, lies_by: int = 0) -> None:
        self.base64_octets = octets
        self.closed = False
        self._cut_at = cut_at
        self._octets = octets + lies_by

    def pieces(self):
        for start in range(0, self._octets, len(PIECE)):
            if self.closed:
                raise ValueError("I/O operation on closed file")
            if start >= self._cut_at:
                raise OSError("the disk is broken")
            yield PIECE[: self._octets - start]


def body_of(document) -> tuple[JsonBody | None, LongSource]:
    is_long = isinstance(document, dict) and "octets" in document
    source = LongSource(**document) if is_long else LongSource(0)
    if source.base64_octets:
        document = {"content": source}
    return (None if document is None else JsonBody(document)), source


async def exchange(client: HttpClient, asked: dict) -> None:
    headers = {"Authorization": f"Bearer {asked['key']}", "Content-Type": "application/json"}
    request = ApiRequest(asked["method"], asked["url"], headers)
    body, source = body_of(asked["body"])
    answer = await client.exchange(request, body, asked["deadline_seconds"])
    source.closed = True  # as a message's spool is, once its outcome is known
    if isinstance(answer, ApiAnswer):
        told = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body[:1000].decode("latin-1")}
        told["body_octets"] = len(answer.body)
    else:
        told = {"wholly_written": answer.wholly_written, "reason": answer.reason}
    told["request_octets"] = body.length_octets if body else 0
    told["peak_octets"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told["timers"] = len(reactor.getDelayedCalls())
    print(json.dumps(told), flush=True)


def main() -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    ca_file = None if sys.argv[1] == "-" else Path(sys.argv[1])
    client = HttpClient(reactor, connect_seconds=5, ca_file=ca_file)

    def read_exchanges() -> None:
        for line in sys.stdin:
            asked = json.loads(line)
            reactor.callFromThread(lambda asked=asked: Deferred.fromCoroutine(exchange(client, asked)))
        reactor.callFromThread(lambda: Deferred.fromCoroutine(client.close()).addBoth(lambda _: reactor.stop()))

    threading.Thread(target=read_exchanges, daemon=True).start()
    reactor.run()


main()
