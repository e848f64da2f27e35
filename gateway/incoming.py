"""The incoming message: who sent it, how it came, its mail data; and how that is read into a submission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.accounts.account import Account
from gateway.content.reading import read_content
from gateway.content.spool import Spool
from gateway.message import Envelope, HeaderField, Submission
from gateway.partial import message_digest
from gateway.quickly import quickly_made
from gateway.relay import InThread
from gateway.trace import Hop, missing_fields, received_field
from gateway.vendor import Vendor, load


@quickly_made
@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came in: who sent it, its ids, its envelope, how it came, and its mail data."""

    session_id: str
    message_id: str
    account: Account
    envelope: Envelope
    hop: Hop
    spool: Spool


@dataclass(frozen=True, slots=True)
class Clocks:
    """seconds never goes back and is for waiting; wall_seconds is the time of day, since 1970."""

    seconds: Callable[[], float]
    wall_seconds: Callable[[], float]


class Reader:
    """Reads mail data in the dialect of the account that sent it. A message reads the same however often it is read."""

    def __init__(self, dialects: Mapping[str, Vendor], hostname: str, in_thread: InThread) -> None:
        self._dialects = dialects
        self._hostname = hostname
        self._in_thread = in_thread

    def dialect(self, account: Account) -> Vendor:
        """The dialect of an account; LookupError when there is none of that name any more."""
        return self._dialects.get(account.dialect) or load(account.dialect)

    async def read(self, incoming: Incoming, received_at: float) -> Submission:
        """The submission. received_at is by the wall clock.

        UnreadableError or DialectError when it cannot be read, which the same message will give again.
        """
        dialect = self.dialect(incoming.account)
        if incoming.spool.in_memory:
            content = read_content(incoming.spool)
        else:
            content = await self._in_thread(lambda: read_content(incoming.spool))
        own: list[HeaderField] = []
        left: list[HeaderField] = []
        is_dialect_field = dialect.is_dialect_field
        for one in content.fields:
            (own if is_dialect_field(one.name) else left).append(one)
        options = dialect.read_dialect(own)
        made_id = incoming.message_id
        received = received_field(incoming.hop, self._hostname, made_id, received_at)
        passed = (received, *left, *missing_fields(left, self._hostname, made_id, received_at))
        return Submission(made_id, incoming.envelope, content.with_fields(passed), options)

    async def digest(self, incoming: Incoming) -> bytes:
        """What tells this message from any other, however often the client sends it."""
        name, envelope, spool = incoming.account.name, incoming.envelope, incoming.spool
        if spool.in_memory:
            return message_digest(name, envelope, spool)
        digest: bytes = await self._in_thread(lambda: message_digest(name, envelope, spool))
        return digest
