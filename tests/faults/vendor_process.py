"""Stand-in vendors in a process of their own, which outlives the gateways that tests kill and remembers what it got.

PostStack's API with its memory of idempotency keys, single sends and batches; and Postscale's, which has none. The
local part of a message's first recipient is its token. Steered by POST /steer, asked by GET /seen.
"""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import json
import random
import sys
import time
from collections import Counter
from typing import Any

Answer = tuple[int, dict[str, str], dict[str, Any]]
TAKEN = 202
SLOW_SECONDS = 1.5  # longer than the gateways of the tests wait
ABSURD = ("soon", "-5", "1e400", "0", "Sun, 99 Nov 9999 99:99:99 GMT", "\x80", "1, 2", "")


class Vendor:
    """What one vendor has got."""

    def __init__(self) -> None:
        self.deliveries: Counter[str] = Counter()
        self.requests: list[float] = []
        """When each POST came, by the wall clock."""
        self.at_once = 0
        self.most_at_once = 0
        self.changed: list[str] = []
        """Idempotency keys that came again with another message."""
        self._keys: dict[str, tuple[str, str]] = {}
        self._in_progress: set[str] = set()

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Accept one message; a key that is known is a replay, as PostStack promises."""
        key, octets = document.get("idempotency_key", ""), json.dumps(document, sort_keys=True)
        if key and key in self._keys:
            known, message_id = self._keys[key]
            if known != octets:
                self.changed.append(key)
                return {"error": "the idempotency key was used with a different payload", "code": "conflict"}
            return {"id": message_id, "replayed": True}
        token = document["to"][0].rpartition("<")[2].partition("@")[0]
        self.deliveries[token] += 1
        message_id = f"em_{sum(self.deliveries.values())}"
        if key:
            self._keys[key] = octets, message_id
        return {"id": message_id, "message_id": message_id}

    def begin(self, documents: list[dict[str, Any]]) -> bool:
        """Whether none of these keys is being served already; then they are."""
        keys = {one["idempotency_key"] for one in documents if "idempotency_key" in one}
        if keys & self._in_progress:
            return False
        self._in_progress |= keys
        return True

    def end(self, documents: list[dict[str, Any]]) -> None:
        self._in_progress -= {one["idempotency_key"] for one in documents if "idempotency_key" in one}


class StandIn:
    """The process: seconds is how long an answer takes at most; faults are given to requests in turn."""

    def __init__(self) -> None:
        self.vendors = {"poststack": Vendor(), "postscale": Vendor()}
        self.seconds = 0.02
        self.faults: list[str] = []
        self._turn = 0
        self._random = random.Random(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever asked was killed
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        if path == "/steer":
            told = json.loads(body)
            self.seconds, self.faults, self._turn = told["seconds"], told["faults"], 0
            return await _say(writer, 200, {}, {})
        if path == "/seen":
            return await _say(writer, 200, {}, self._seen())
        if method == "GET":
            return await _say(writer, 200, {}, {})
        return await self._post(path, json.loads(body), writer)

    def _seen(self) -> dict[str, Any]:
        return {
            name: {
                "deliveries": one.deliveries,
                "requests": one.requests,
                "changed": one.changed,
                "most_at_once": one.most_at_once,
            }
            for name, one in self.vendors.items()
        }

    async def _post(self, path: str, document: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        vendor = self.vendors[path.split("/")[1]]
        vendor.requests.append(time.time())
        vendor.at_once += 1
        vendor.most_at_once = max(vendor.most_at_once, vendor.at_once)
        documents = document["emails"] if path.endswith("/batch") else [document]
        fault = self.faults[self._turn % len(self.faults)] if self.faults else "none"
        self._turn += 1
        try:
            if not vendor.begin(documents):
                return await _say(writer, 409, {}, {"error": "in progress", "code": "conflict"})
            try:
                return await self._answer(vendor, documents, fault, writer, is_batch=path.endswith("/batch"))
            finally:
                vendor.end(documents)
        finally:
            vendor.at_once -= 1

    async def _answer(
        self,
        vendor: Vendor,
        documents: list[dict[str, Any]],
        fault: str,
        writer: asyncio.StreamWriter,
        *,
        is_batch: bool,
    ) -> bool:
        # Taken at a random moment of the exchange, so that a kill comes before it or after it
        share = self._random.random()
        await asyncio.sleep(self.seconds * share)
        if fault == "cut before":
            return False
        if fault in FAULTS:
            status, fields = FAULTS[fault]()
            return await _say(writer, status, fields, {"error": "asked for"})
        given = [vendor.take(one) for one in documents]
        if fault == "cut after":
            return False
        if fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        await asyncio.sleep(self.seconds * (1 - share))
        half = fault == "half"
        if is_batch:
            return await _say(writer, TAKEN, {}, {"data": given}, half=half)
        return await _say(writer, TAKEN if "error" not in given[0] else 422, {}, given[0], half=half)


def _date() -> str:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
    return email.utils.format_datetime(soon, usegmt=True)


FAULTS = {
    "500": lambda: (500, {}),
    "503": lambda: (503, {}),
    "429 seconds": lambda: (429, {"Retry-After": "1"}),
    "429 date": lambda: (429, {"Retry-After": _date()}),
    "429 none": lambda: (429, {}),
    "429 for ever": lambda: (429, {"Retry-After": "99999999999999999999"}),
    **{
        f"429 absurd {number}": (lambda value=value: (429, {"Retry-After": value}))
        for number, value in enumerate(ABSURD)
    },
}


async def _say(
    writer: asyncio.StreamWriter, status: int, fields: dict[str, str], document: Any, *, half: bool = False
) -> bool:
    """Answer; half: the connection is cut in the middle of the body. Gives whether it can be used again."""
    body = json.dumps(document).encode()
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in fields.items())]
    lines.append(f"Date: {email.utils.formatdate(usegmt=True)}")
    head = "\r\n".join([*lines, "Content-Type: application/json", f"Content-Length: {len(body)}", "", ""])
    writer.write(head.encode("latin-1") + (body[: len(body) // 2] if half else body))
    await writer.drain()
    return not half


async def main(port: int) -> None:
    server = await asyncio.start_server(StandIn().serve, "127.0.0.1", port, backlog=512, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
