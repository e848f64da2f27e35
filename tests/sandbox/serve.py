"""Runs the console with all sandboxes on a free port, for the tests to talk to over real sockets.

Arguments: the inbox folder; "no-inbox" for a console without one; "closed" for one that asks for a login. Prints the
port. Reads commands, one JSON list a line: ["note", vendor_message_id, gateway_id, report], ["reasons", [...]],
["calls"]; after each it prints how many delayed answers wait.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.web.server import Site

from gateway.console.access import Access, read_tokens
from gateway.console.pages import Console, ConsoleParts
from gateway.console_parts import SANDBOXES
from gateway.sandbox.inbox import Inbox

FIRST_MESSAGE = """\
swaks --server 127.0.0.1:2525 --tls --auth-user postscale --auth-password ps_test_hello \\
  --from me@shop.example --to ann@cust.example"""

reasons: list[str] = []


def obey(inbox: Inbox | None, command: list) -> None:
    if command[0] == "note" and inbox is not None:
        inbox.note(*command[1:])
    elif command[0] == "reasons":
        reasons[:] = command[1]
    waiting = [one for one in reactor.getDelayedCalls() if "deferLater" in repr(one) or "callback" in repr(one)]
    print(len(waiting), flush=True)


def read_commands(inbox: Inbox | None) -> None:
    for line in sys.stdin:
        reactor.callFromThread(obey, inbox, json.loads(line))
    reactor.callFromThread(reactor.stop)


def main() -> None:
    inbox = None if "no-inbox" in sys.argv else Inbox(Path(sys.argv[1]), time.time)
    sandboxes = {name: make(inbox, reactor).resource() for name, make in SANDBOXES.items()} if inbox else {}
    magic = [one.magic for one in SANDBOXES.values()]
    hosts = frozenset({"127.0.0.1", "localhost", "::1"})
    parts = ConsoleParts(inbox, sandboxes, lambda: list(reasons), hosts, FIRST_MESSAGE, magic)
    if "closed" in sys.argv:
        tokens = read_tokens(Path(sys.argv[1]).parent)
        parts = replace(parts, access=Access(tokens, reactor.seconds, is_open=False))
    console = Console(parts)
    port = reactor.listenTCP(0, Site(console.resource()), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    threading.Thread(target=read_commands, args=(inbox,), daemon=True).start()
    reactor.run()


main()
