"""Postmark's error codes, each with its HTTP status and a text, and how an error is answered (contract, section 2.4).

Codes of older copies of the vendor's table are here too, because a client may still meet them. Texts that nobody has
published are this sandbox's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.sandbox.answer import Answer, json_answer

CODES: Mapping[int, tuple[int, str]] = {
    10: (401, "The Server Token you provided in the X-Postmark-Server-Token request header was invalid."),
    11: (422, "Multiple errors occurred. Inspect the Errors property for more information."),
    100: (503, "The service is down for maintenance."),
    101: (500, "An unexpected error occurred."),
    300: (422, "Invalid email request."),
    400: (422, "The 'From' address you supplied is not a Sender Signature on your account."),
    401: (422, "The Sender Signature of the 'From' address is not confirmed."),
    402: (422, "Received invalid JSON input."),
    403: (422, "Invalid request field(s)."),
    405: (422, "You are not allowed to send: you are out of credits."),
    406: (422, "You tried to send to recipient(s) that have been marked as inactive."),
    409: (415, "The Accept and Content-Type headers must be application/json."),
    410: (422, "Too many messages in a batch."),
    411: (422, "The attachment type is not allowed."),
    412: (422, "Your account is pending approval: recipients must share the domain of the 'From' address."),
    413: (422, "Your account is not approved to send."),
    422: (422, "The server or the account is invalid."),
    429: (429, "Rate limit exceeded."),
    1101: (422, "The template was not found."),
    1109: (422, "No template data."),
    1120: (422, "A required field is missing."),
    1121: (422, "A field is too long."),
    1122: (422, "A field has an invalid type."),
    1123: (422, "Templated and plain fields are mixed."),
    1226: (422, "The message stream was not found."),
    1235: (422, "The stream provided does not exist on this server."),
    1236: (422, "Messages cannot be sent through a stream of this type."),
    1480: (422, "The sending IP address is not on the allow list."),
}


class RequestRefusedError(ValueError):
    """A request that breaks the contract: the error code, its text, and the HTTP status where it is not the usual."""

    def __init__(self, code: int, text: str = "", status: int = 0) -> None:
        super().__init__(text or CODES[code][1])
        self.code = code
        self.status = status or CODES[code][0]

    def answer(self) -> Answer:
        """The answer that says so."""
        return error_answer(self.code, str(self), self.status)


def error_answer(code: int, text: str = "", status: int = 0) -> Answer:
    """An error in the vendor's shape; its own status and text unless others are given."""
    usual_status, usual_text = CODES[code]
    document: dict[str, object] = {"ErrorCode": code, "Message": text or usual_text}
    if code == 11:
        # How they are listed is not documented
        document["Errors"] = [{"ErrorCode": 300, "Message": f"Invalid '{name}' address: 'x'."} for name in ("To", "Cc")]
    answer = json_answer(status or usual_status, document)
    return replace(answer, error=text or usual_text, headers={"X-PM-ApiErrorCode": str(code)})


def inactive_text(addresses: tuple[str, ...]) -> str:
    """What code 406 says of these addresses, as the vendor's own clients read it."""
    return (
        "You tried to send to recipient(s) that have been marked as inactive. "
        f"Found inactive addresses: {', '.join(addresses)}. Inactive recipients are ones that have generated a hard "
        "bounce, a spam complaint, or a manual suppression. "
    )
