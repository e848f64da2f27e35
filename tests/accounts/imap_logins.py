"""Runs logins at mail hosts on a reactor of its own, for the tests to use over real sockets.

Argument: a file of roots to trust. Reads logins, one JSON object a line (host, port, address, password,
deadline_seconds); prints the answer, what was told of an undecided one, and how many timers and sockets are left.
Everything that is logged goes to standard error.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import globalLogBeginner, textFileLogObserver

from gateway.accounts.mailboxes import ImapLogin
from gateway.http_tls import VerifiedHttps


async def log_in(policy: VerifiedHttps, asked: dict) -> None:
    told: list[str] = []
    ask = ImapLogin(
        reactor, policy, asked["host"], asked["port"], deadline_seconds=asked["deadline_seconds"], undecided=told.append
    )
    answer = await ask(asked["address"], asked["password"])
    for _ in range(3):  # a closed connection leaves the reactor in its next turns
        await deferLater(reactor, 0)
    connections = [one for one in reactor.getReaders() if hasattr(one, "getPeer")]
    left = len(connections) + len(reactor.getDelayedCalls())
    print(json.dumps({"answer": answer, "told": told, "left": left}), flush=True)


def main() -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    policy = VerifiedHttps(reactor.seconds, Path(sys.argv[1]))

    def read_logins() -> None:
        for line in sys.stdin:
            asked = json.loads(line)
            reactor.callFromThread(lambda asked=asked: Deferred.fromCoroutine(log_in(policy, asked)))
        reactor.callFromThread(reactor.stop)

    threading.Thread(target=read_logins, daemon=True).start()
    reactor.run()


main()
