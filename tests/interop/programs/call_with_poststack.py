"""Calls PostStack with its own library: call_with_poststack.py (plain|async) URL KEY (send|emails|email) [DOCUMENT].

Prints what it gives as JSON, or {"code", "error", "status", "retry_after", "request_id"}.
"""

import asyncio
import json
import sys

from poststack import AsyncPostStack, PostStack, PostStackError

kind, url, key, name, text = [*sys.argv[1:], "{}"][:5]
document = json.loads(text)


def call(client):
    calls = {
        "send": lambda: client.emails.send(document),
        "emails": lambda: client.emails.list(document),
        "email": lambda: client.emails.get(document),
    }
    return calls[name]()


async def call_async():
    client = AsyncPostStack(api_key=key, base_url=url, timeout=20, max_retries=0)
    try:
        return await call(client)
    finally:
        await client.aclose()


try:
    if kind == "async":
        answer = asyncio.run(call_async())
    else:
        answer = call(PostStack(api_key=key, base_url=url, timeout=20, max_retries=0))
except PostStackError as error:
    answer = {
        "code": error.code,
        "error": error.error,
        "status": error.status_code,
        "retry_after": error.retry_after,
        "request_id": error.request_id,
    }
print(json.dumps(answer))
