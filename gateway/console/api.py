"""The sandbox inbox as JSON, for scripts and tests: list, read and empty it.

Request bodies are spliced into the JSON from their files in pieces, so that a list may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.sandbox.inbox import Entry, Inbox


def summary(inbox: Inbox) -> dict[str, object]:
    """What a page asks every two seconds: whether anything changed, and how many messages there are."""
    entries = inbox.entries()
    newest = entries[0].id if entries else None
    accepted = sum(one.accepted for one in entries)
    return {"change": inbox.change, "messages": len(entries), "accepted": accepted, "newest": newest}


def message_pieces(inbox: Inbox, entry: Entry) -> Iterator[bytes]:
    """One message as JSON. LookupError, at the first piece, when it is gone.

    request.json is the body as received, null when it was no JSON; message_id, gateway_id and report are what the
    gateway told later, empty until then.
    """
    arrival = entry.arrival
    body = inbox.body(entry.id).pieces() if arrival.well_formed else iter((b"null",))
    about = {
        "id": entry.id,
        "vendor": arrival.vendor,
        "received_at": entry.received_at,
        "accepted": entry.accepted,
        "status": arrival.status,
        "error": arrival.error,
        "skipped": arrival.skipped,
        "message_id": arrival.vendor_message_id,
        "gateway_id": entry.gateway_id,
        "report": entry.report,
    }
    request = {"method": arrival.method, "path": arrival.path, "headers": arrival.headers}
    yield msgspec.json.encode(about)[:-1] + b',"request":' + msgspec.json.encode(request)[:-1] + b',"json":'
    yield from body
    yield b"}}"


def list_pieces(inbox: Inbox, entries: list[Entry]) -> Iterator[bytes]:
    """The messages as a JSON list; one that goes while the list is written is left out."""
    separator = b"["
    for entry in entries:
        pieces = message_pieces(inbox, entry)
        try:
            first = next(pieces)
        except LookupError:
            continue
        yield separator + first
        yield from pieces
        separator = b","
    yield b"[]" if separator == b"[" else b"]"
