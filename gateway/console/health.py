"""Health for a supervisor or a load balancer: /livez says the process runs, /readyz whether it should get work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from gateway.sandbox.web_request import WebRequest


@dataclass(frozen=True, slots=True)
class Readiness:
    """Why the gateway should get no work, if there are reasons; and what somebody should look at meanwhile."""

    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Ready = Callable[[], Awaitable[Readiness]]


def write_json(request: WebRequest, document: object, status: int = 200) -> bytes:
    """Set a JSON response's status and type, and give its body."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    return msgspec.json.encode(document)


def live(request: WebRequest) -> bytes:
    """Answering at all is the proof."""
    return write_json(request, {"status": "live"})


async def readiness(request: WebRequest, ready: Ready) -> bytes:
    """200, or 503 with the reasons why not; with warnings, if there are any."""
    found = await ready()
    warnings = {"warnings": found.warnings} if found.warnings else {}
    if found.reasons:
        return write_json(request, {"status": "not ready", "reasons": found.reasons, **warnings}, 503)
    return write_json(request, {"status": "ready", **warnings})
