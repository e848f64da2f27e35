"""Clients that send without a break, each message on a connection of its own, and repeat what got no 250."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

PATIENCE_SECONDS = 60


@dataclass(slots=True)
class Load:
    """What happened so far. refused: connections that nobody took."""

    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for_more(self, messages: int) -> None:
        """Return when so many more messages have been taken."""
        with self.changed:
            wanted = len(self.taken) + messages
            assert self.changed.wait_for(lambda: len(self.taken) >= wanted or bool(self.faults), PATIENCE_SECONDS)
        assert self.faults == []

    def note(self, where: list[str], what: str) -> None:
        with self.changed:
            where.append(what)
            self.changed.notify_all()


def send_one(port: Callable[[], int], context: ssl.SSLContext, subject: str, load: Load) -> bool:
    """Whether a message got its 250."""
    try:
        client = smtplib.SMTP("127.0.0.1", port(), timeout=PATIENCE_SECONDS)
    except ConnectionRefusedError as error:
        load.note(load.refused, f"{subject}: {error}")
        return False
    except (smtplib.SMTPException, OSError) as error:  # 421, or cut off before the greeting
        load.note(load.repeated, f"{subject}: {error}")
        return False
    try:
        with contextlib.closing(client):
            client.starttls(context=context)
            client.login("postscale", "ps_test_load")
            octets = f"From: shop@shop.example\r\nTo: ann@cust.example\r\nSubject: {subject}\r\n\r\nHello.\r\n"
            client.sendmail("shop@shop.example", ["ann@cust.example"], octets)
    except (smtplib.SMTPException, OSError) as error:
        load.note(load.repeated, f"{subject}: {error}")
        return False
    load.note(load.taken, subject)
    return True


@contextlib.contextmanager
def running_load(port: Callable[[], int], context: ssl.SSLContext, name: str, clients: int = 4) -> Iterator[Load]:
    """Clients that send until the end of the block; each then finishes its message."""
    load, ending = Load(), threading.Event()

    def work(client: int) -> None:
        try:
            for number in count():
                if ending.is_set():
                    return
                while not send_one(port, context, f"{name}-{client}-{number}", load):
                    if len(load.refused) > 100 or len(load.repeated) > 1000:
                        raise RuntimeError(f"nobody takes this load: {load.refused[-1:]} {load.repeated[-1:]}")
        except Exception as error:
            load.note(load.faults, repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        ending.set()
        for thread in threads:
            thread.join()
