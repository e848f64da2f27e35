"""Health for a supervisor or a load balancer: /livez says the process runs, /readyz whether it should get work."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.sandbox.web_request import WebRequest


def write_json(request: WebRequest, document: object, status: int = 200) -> bytes:
    """Set a JSON response's status and type, and give its body."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    return msgspec.json.encode(document)


def live(request: WebRequest) -> bytes:
    """Answering at all is the proof."""
    return write_json(request, {"status": "live"})


def readiness(request: WebRequest, ready: Callable[[], list[str]]) -> bytes:
    """200, or 503 with the reasons why not; ready gives them, none when all is well."""
    reasons = ready()
    if reasons:
        return write_json(request, {"status": "not ready", "reasons": reasons}, 503)
    return write_json(request, {"status": "ready"})
