"""The shapes of RelayPost's answers: `{"data": ...}`, `{"error": {...}}`, and the rate headers on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.sandbox.answer import Answer, json_answer

# The older generation's request rate; the newer one counts 17 a minute. Nothing is counted here.
RATE_LIMIT = 60
RATE_HEADERS = {"X-RateLimit-Limit": str(RATE_LIMIT), "X-RateLimit-Remaining": str(RATE_LIMIT - 1)}
RATE_USED_UP = {**RATE_HEADERS, "X-RateLimit-Remaining": "0"}

_FIXED_MESSAGES = {
    "AUTH_MISSING": (401, "No Authorization header provided"),
    "AUTH_INVALID": (401, "Invalid or revoked API key"),
    "NOT_FOUND": (404, "Resource not found"),
    "RATE_LIMITED": (429, "API key rate limit exceeded"),
    "LIMIT_EXCEEDED": (429, "Organization email sending limit exceeded"),
    # Of these the documentation prints no message
    "DOMAIN_NOT_VERIFIED": (400, "The From domain is not verified"),
    "RECIPIENTS_SUPPRESSED": (400, "One or more recipients are suppressed"),
    "TENANT_SUSPENDED": (403, "The organization is suspended"),
    "METHOD_NOT_ALLOWED": (405, "Method not allowed"),
    "INTERNAL_ERROR": (500, "Internal error"),
}


class ContractError(ValueError):
    """A request that breaks the contract: the field, and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def success(status: int, data: object, pagination: Mapping[str, int] | None = None) -> Answer:
    """What was asked for; lists have their pagination."""
    more = {"pagination": pagination} if pagination is not None else {}
    return replace(json_answer(status, {"data": data, **more}), headers=RATE_HEADERS)


def api_error(code: str, message: str = "") -> Answer:
    """An error by its code, with the documented status and message."""
    status, usual = _FIXED_MESSAGES[code]
    document = {"error": {"code": code, "message": message or usual}}
    answer = replace(json_answer(status, document), error=f"{code}: {message or usual}", headers=RATE_HEADERS)
    if status != 429:
        return answer
    headers = {**(RATE_USED_UP if code == "RATE_LIMITED" else RATE_HEADERS), "Retry-After": "30"}
    return replace(answer, headers=headers)


def invalid(error: ContractError) -> Answer:
    """VALIDATION_ERROR, the only error with details."""
    details = [{"field": error.field or "body", "message": error.message}]
    document = {"error": {"code": "VALIDATION_ERROR", "message": "Request validation failed", "details": details}}
    return replace(json_answer(400, document), error=f"VALIDATION_ERROR: {error}", headers=RATE_HEADERS)
