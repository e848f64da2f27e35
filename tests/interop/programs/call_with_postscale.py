"""Calls Postscale with its own library: call_with_postscale.py (plain|async) URL KEY (send|emails|domains) [DOCUMENT].

Prints the answer as JSON: {"data", "request_id"}, or {"code", "message", "status", "request_id"}.
"""

import asyncio
import json
import sys

from postscale import AsyncPostscale, Postscale

kind, url, key, name, text = [*sys.argv[1:], "{}"][:5]
document = json.loads(text)


def call(client):
    calls = {
        "send": lambda: client.emails.send(document),
        "emails": lambda: client.emails.list(document),
        "domains": lambda: client.domains.list(document),
    }
    return calls[name]()


async def call_async():
    async with AsyncPostscale(key, base_url=url, timeout=20, max_retries=0) as client:
        return await call(client)


def call_plain():
    with Postscale(key, base_url=url, timeout=20, max_retries=0) as client:
        return call(client)


result = asyncio.run(call_async()) if kind == "async" else call_plain()
error = result.error
answer = {"data": result.data} if error is None else {
    "code": error.code, "message": error.message, "status": error.status_code
}  # fmt: skip
print(json.dumps(answer | {"request_id": result.headers.request_id}))
