"""Runs the Postmark sandbox as a whole server, its API at the root as the vendor has it: one client drops a path.

Argument: the inbox folder, where every request body becomes a file. Prints the port; ends when its input does.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.web.server import Site

from gateway.sandbox.inbox import Inbox
from gateway.sandbox.postmark import PostmarkSandbox


def wait_for_the_end() -> None:
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


sandbox = PostmarkSandbox(Inbox(Path(sys.argv[1]), time.time), reactor)
port = reactor.listenTCP(0, Site(sandbox.resource()), interface="127.0.0.1")
print(port.getHost().port, flush=True)
threading.Thread(target=wait_for_the_end, daemon=True).start()
reactor.run()
