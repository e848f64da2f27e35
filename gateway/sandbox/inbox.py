"""The inbox: what the sandboxes received, newest first, each request body as a file in a folder of its own.

It masks secrets, caps itself and streams bodies and attachments; how it is shown is the console's.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO

from gateway.sandbox.json_document import JsonDocument
from gateway.sandbox.json_strings import JsonString, base64_pieces, string_pieces
from gateway.sandbox.letter import Arrival, Letter, LetterAttachment
from gateway.sandbox.request_body import RequestBody

# More than anyone reads on a page; the summaries of so many are a few megabytes of memory.
MAXIMUM_MESSAGES = 1000
# Seven of the largest messages (50 MiB is 67 MB of base64), and no surprise on a laptop's disk.
MAXIMUM_OCTETS = 512_000_000

_FILE_NAME = re.compile(r"[0-9a-f]{24}\.json")
# An idempotency key is no credential, and what a script wants to compare.
_SECRET_NAME = re.compile(r"auth|(?<!idempotency-)key|token|secret|cookie|password|signature", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One received request. id sorts by time; gateway_id and report are empty until the gateway has told them."""

    id: str
    received_at: str
    arrival: Arrival
    body_octets: int
    gateway_id: str = ""
    report: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the sandbox took the message: it answered with success."""
        return self.arrival.status is not None and 200 <= self.arrival.status < 300


def masked(name: str, value: str) -> str:
    """A header's value fit to be shown: of a credential the scheme and the first 8 characters, of a short one none.

    Eight characters are what tells vendor keys apart by kind (`ps_test_`); they are no secret.
    """
    if not _SECRET_NAME.search(name):
        return value
    scheme, _, key = value.strip().rpartition(" ")
    shown = key[:8] if (key.startswith("ps_") and len(key) > 8) or len(key) >= 16 else ""
    return f"{scheme.split(' ')[0]} {shown}…".strip()


class Inbox:
    """Keeps received requests, newest first. The folder is the inbox's alone; files of an earlier run are removed.

    folder: made when missing, readable by its owner only. seconds: the wall clock, seconds since the epoch.
    """

    def __init__(self, folder: Path, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self._folder = folder
        self._entries: dict[str, Entry] = {}
        self._by_vendor_message_id: dict[str, str] = {}
        self._octets = 0
        self._last_tick = 0
        self._changes = 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for file in folder.iterdir():
            if _FILE_NAME.fullmatch(file.name):
                file.unlink()

    @property
    def change(self) -> int:
        """A number that grows with every change of the inbox, so that a page can tell whether it is still right."""
        return self._changes

    def copy(self, body: RequestBody) -> Path:
        """Copy a body to a file for keep(); any thread may do it. OSError, and no file, when it cannot be written."""
        path = self._path(secrets.token_hex(12))
        try:
            with path.open("xb") as file:
                file.writelines(body.pieces())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path

    def keep(self, arrival: Arrival, content: IO[bytes] | Path | None) -> Entry:
        """Keep a request; the oldest ones make room.

        content: the body, or its copy(); None for one that is too large to keep. OSError when the body cannot be
        written; nothing is kept then.
        """
        now = self.seconds()
        message_id = self._next_id(now)
        copy = content if isinstance(content, Path) else self.copy(RequestBody(content or BytesIO()))
        path = copy.rename(self._path(message_id))
        octets = path.stat().st_size
        headers = {name: masked(name, value) for name, value in arrival.headers.items()}
        when = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = Entry(message_id, when, replace(arrival, headers=headers), octets)
        self._entries[message_id] = entry
        if arrival.vendor_message_id:
            self._by_vendor_message_id[arrival.vendor_message_id] = message_id
        self._octets += octets
        self._changes += 1
        self._make_room()
        return entry

    def note(self, vendor_message_id: str, gateway_id: str, report: Sequence[str]) -> None:
        """Add what the gateway knows of an answered message: its own id, and what it could not carry over.

        A message that is gone already is passed over.
        """
        entry = self._entries.get(self._by_vendor_message_id.get(vendor_message_id, ""))
        if entry is not None:
            self._entries[entry.id] = replace(entry, gateway_id=gateway_id, report=tuple(report))
            self._changes += 1

    def clear(self) -> None:
        """Forget all messages and remove their files."""
        for message_id in list(self._entries):
            self._forget(message_id)
        self._changes += 1

    def entries(self, include_refused: bool = True) -> list[Entry]:
        """The messages, newest first."""
        return [one for one in reversed(self._entries.values()) if include_refused or one.accepted]

    def entry(self, message_id: str) -> Entry:
        """One message; LookupError when it is not, or no longer, here."""
        return self._entries[message_id]

    def body(self, message_id: str) -> RequestBody:
        """The request body as received; LookupError when it is gone. It outlives the message."""
        try:
            with self._path(self.entry(message_id).id).open("rb") as file:
                return RequestBody(file)
        except FileNotFoundError as error:
            raise LookupError(message_id) from error

    def document(self, message_id: str) -> JsonDocument:
        """The request body as JSON; LookupError when it is gone, ValueError when it is no JSON."""
        arrival = self.entry(message_id).arrival
        if not arrival.well_formed:
            raise ValueError("the request body is not JSON")
        return JsonDocument(self.body(message_id), arrival.long_strings)

    def letter(self, message_id: str) -> Letter:
        """Read one message; LookupError when it is gone, ValueError when it is no send request."""
        return self.entry(message_id).arrival.read(self.document(message_id))

    def attachment(self, message_id: str, number: int) -> tuple[LetterAttachment, Iterator[bytes]]:
        """One attachment, counted from 0, and its decoded octets in pieces; LookupError when there is none."""
        attachments = self.letter(message_id).attachments
        if not 0 <= number < len(attachments):
            raise LookupError(number)
        return attachments[number], base64_pieces(attachments[number].content)

    def html(self, message_id: str) -> Iterator[bytes]:
        """The HTML body in pieces of UTF-8; LookupError when there is none."""
        return _text_pieces(self.letter(message_id).html)

    def text(self, message_id: str) -> Iterator[bytes]:
        """The text body in pieces of UTF-8; LookupError when there is none."""
        return _text_pieces(self.letter(message_id).text)

    def _next_id(self, now: float) -> str:
        """Milliseconds and a running number, so that ids sort even within one millisecond or when the clock is set
        back; random at the end, so that an id of an earlier run is not taken for one of this run."""
        self._last_tick = max(self._last_tick + 1, int(now * 1000) << 16)
        return f"{self._last_tick:016x}{secrets.token_hex(4)}"

    def _path(self, message_id: str) -> Path:
        return self._folder / f"{message_id}.json"

    def _make_room(self) -> None:
        while len(self._entries) > MAXIMUM_MESSAGES or self._octets > MAXIMUM_OCTETS:
            self._forget(next(iter(self._entries)))

    def _forget(self, message_id: str) -> None:
        entry = self._entries.pop(message_id)
        self._by_vendor_message_id.pop(entry.arrival.vendor_message_id, None)
        self._octets -= entry.body_octets
        with contextlib.suppress(FileNotFoundError):
            self._path(message_id).unlink()


def _text_pieces(string: JsonString | None) -> Iterator[bytes]:
    if string is None:
        raise LookupError("no such body")
    return (piece.encode() for piece in string_pieces(string))


def plain_headers(pairs: Sequence[tuple[bytes, Sequence[bytes]]]) -> Mapping[str, str]:
    """Header names and values as text; repeated ones are joined as RFC 9110 §5.3 allows."""
    return {name.decode("latin-1"): ", ".join(one.decode("latin-1") for one in values) for name, values in pairs}
