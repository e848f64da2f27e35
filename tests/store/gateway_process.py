"""A process of its own that works on a store, for tests that kill it. Each line that it prints is committed.

Arguments: what to do, the store's URL, a name. "add" keeps messages without end; "take" relays what it can claim, in
claims of three; "fill" keeps messages under a limit of the file's size.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.store.interface import StoreError
from gateway.store.opening import open_store
from gateway.store.records import State
from tests.store.mail import add, begin, claim, finish, message


def tell(*words):
    print(*words, flush=True)


def add_for_ever(store):
    number = 0
    while True:
        add(store, message(number, "a@x.example", "b@x.example"), content=bytes(20_000))
        tell(number)
        number += 1


def take_all(store, name):
    while claims := claim(store, gateway=name, limit=3):
        for one in claims:
            if begin(store, one):
                tell(one.message.message_id)
                assert finish(store, one, State.RELAYED)


def fill(store):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    for number in range(400):
        try:
            add(store, message(number), content=bytes(20_000))
        except StoreError as error:
            tell("refused", number, error)
        else:
            tell("kept", number)


if __name__ == "__main__":
    what, url, name = sys.argv[1:]
    store = open_store(url, os.environ.get("STORE_PASSWORD"))
    if what == "add":
        add_for_ever(store)
    elif what == "take":
        take_all(store, name)
    else:
        fill(store)
    store.close()
