"""Runs the console with all sandboxes and a store on a free port, for the tests to talk to over real sockets.

Arguments: the inbox folder, beside which store.sqlite is; "no-inbox" for a console without one; "closed" for one that
asks for a login. Prints the port. Reads commands, one JSON list a line: ["note", vendor_message_id, gateway_id,
report], ["reasons", [...]], ["calls"]; after each it prints how many delayed answers wait.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from functools import partial
from pathlib import Path

from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from gateway.accounts.seal import Seal
from gateway.console.access import Access, read_tokens
from gateway.console.control_api import ControlApi
from gateway.console.credential_office import CredentialOffice, CredentialParts
from gateway.console.event_stream import EventStream
from gateway.console.health import Readiness
from gateway.console.kept_content import KeptContent
from gateway.console.minutes import Minutes
from gateway.console.pages import ConsoleParts, console_resource
from gateway.console.sandbox_pages import SandboxParts
from gateway.console.steering import Steering
from gateway.console.vendor_pages import VendorFacts
from gateway.console_parts import SANDBOXES
from gateway.lane_state import LaneState
from gateway.sandbox.inbox import Inbox
from gateway.sandbox.threads import beside
from gateway.store.sqlite import SqliteStore
from gateway.user_names import USER_NAMES

FIRST_MESSAGE = """\
swaks --server 127.0.0.1:2525 --tls --auth-user postscale --auth-password ps_test_hello \\
  --from me@shop.example --to ann@cust.example"""

VENDORS = (
    VendorFacts("main", "postscale", "https://api.postscale.example/v1", has_key=True),
    VendorFacts("spare", "postmark", "https://api.postmarkapp.com", has_key=False),
)
LANES = (
    LaneState("main/key-d597fc8a", "closed", in_hand=2, last_outcome="accepted"),
    LaneState("spare/own", "open", until=time.time() + 240, last_outcome="deferred", cause="unavailable"),
)

reasons: list[str] = []


def obey(inbox: Inbox | None, command: list) -> None:
    if command[0] == "note" and inbox is not None:
        inbox.note(*command[1:])
    elif command[0] == "reasons":
        reasons[:] = command[1]
    waiting = [one for one in reactor.getDelayedCalls() if "deferLater" in repr(one) or "callback" in repr(one)]
    print(len(waiting), flush=True)


async def ready() -> Readiness:
    return Readiness(tuple(reasons))


async def metrics() -> bytes:
    return b"mailgateway_up 1\n"


def sandbox_parts(inbox: Inbox | None) -> SandboxParts | None:
    if inbox is None:
        return None
    apis = {name: make(inbox, reactor).resource() for name, make in SANDBOXES.items()}
    return SandboxParts(inbox, apis, [one.magic for one in SANDBOXES.values()], FIRST_MESSAGE)


def read_commands(inbox: Inbox | None) -> None:
    for line in sys.stdin:
        reactor.callFromThread(obey, inbox, json.loads(line))
    reactor.callFromThread(reactor.stop)


def main() -> None:
    folder = Path(sys.argv[1])
    inbox = None if "no-inbox" in sys.argv else Inbox(folder, time.time)
    store = SqliteStore(folder.parent / "store.sqlite", reactor)
    store.open()
    steering = Steering(store, time.time, lambda: None)
    tokens = read_tokens(folder.parent) if "closed" in sys.argv else {}
    in_thread = partial(beside, reactor)
    names = dict.fromkeys(("main", "spare"), USER_NAMES)
    credentials = CredentialParts(
        store, names, frozenset({"postscale"}), partial(Seal, folder.parent), in_thread, time.time
    )
    parts = ConsoleParts(
        steering=steering,
        minutes=Minutes(store, time.time),
        content=KeptContent(steering, folder.parent, in_thread),
        credentials=credentials,
        vendors=VENDORS,
        control=ControlApi(
            steering, EventStream(steering, reactor), CredentialOffice(credentials), frozenset({"main", "spare"})
        ).resource(),
        bounces=Resource(),
        ready=ready,
        metrics=metrics,
        wall_seconds=time.time,
        allowed_hosts=frozenset({"127.0.0.1", "localhost", "::1"}),
        sandbox=sandbox_parts(inbox),
        access=Access(tokens, reactor.seconds, is_open="closed" not in sys.argv),
        lanes=lambda: LANES,
        is_local="remote" not in sys.argv,
    )
    port = reactor.listenTCP(0, Site(console_resource(parts)), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    threading.Thread(target=read_commands, args=(inbox,), daemon=True).start()
    reactor.run()


main()
