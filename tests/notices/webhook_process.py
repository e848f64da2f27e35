"""Runs a webhook sender over a real store and HTTP client. Arguments: the store's file, the receiver's URL, a secret.

Each line of its input is an event's name, which becomes a post, or "await" and how many posts are to wait in the store:
that line is printed once it is so. Ends with its input.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from itertools import count
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from gateway.http_client import HttpClient
from gateway.notices.dsn import Sender
from gateway.notices.notices import Notices
from gateway.notices.sender import WebhookSender
from gateway.notices.webhooks import Webhook, read_key
from gateway.store.records import StoredEvent
from gateway.store.sqlite import SqliteStore
from tests.notices.messages import stored

path, url, secret = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
store = SqliteStore(path, reactor)
store.open()
hook = Webhook("app", url, keys=(read_key(secret),), timeout_seconds=2.0)
numbers = count(1)
notices = Notices(Sender("g.example", "p@g.example"), (hook,), lambda: str(next(numbers)), lambda *_: b"", 1.0)
client = HttpClient(reactor, connect_seconds=2.0)
sender = WebhookSender(store, reactor, time.time, lambda: 0.0, print)
sender.change({"app": (hook, client)})


async def tell(name: str) -> None:
    event = StoredEvent(time.time(), name, "01k9message0000000aa", {"recipients": ["ann@mail.example"]})
    await store.write(lambda at: notices.add_events(at, stored(), [event]))
    sender.wake()


async def end() -> None:
    await sender.stop()
    reactor.stop()


def obey(line: str) -> None:
    word, _, number = line.strip().partition(" ")
    if word != "await":
        Deferred.fromCoroutine(tell(word))
    elif waiting() == int(number):
        print(line.strip(), flush=True)
    else:
        reactor.callLater(0.05, obey, line)


def waiting() -> int:
    with sqlite3.connect(path) as database:
        (posts,) = database.execute("SELECT count(*) FROM webhook_posts").fetchone()
    return posts


def read_lines() -> None:
    for line in sys.stdin:
        reactor.callFromThread(obey, line)
    reactor.callFromThread(Deferred.fromCoroutine, end())


sender.start()
threading.Thread(target=read_lines, daemon=True).start()
reactor.run()
store.close()
