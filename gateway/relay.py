"""One attempt: drives a vendor's exchange over the HTTP client until it says what came of it.

What the requests say is the vendor's, how they travel the client's; the deadline is over a whole exchange.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

from gateway.content.json_body import JsonBody
from gateway.vendor import ApiAnswer, ApiRequest, JsonValue, NoAnswer, Vendor, VendorAccount

T = TypeVar("T")
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a blocking call beside the reactor."""


class Note(Protocol):
    """Is told of a request, its answer, and how many seconds that took. told_elsewhere: another's note has it too."""

    def __call__(
        self, request: ApiRequest, answer: ApiAnswer | NoAnswer, seconds: float, *, told_elsewhere: bool = False
    ) -> None:
        """One request."""


class Client(Protocol):
    """The HTTP client, as far as a relay needs it."""

    async def close(self) -> None:
        """Close the connections that are kept open."""

    async def exchange(
        self, request: ApiRequest, body: JsonBody | None, deadline_seconds: float
    ) -> ApiAnswer | NoAnswer:
        """Make one request and read its answer."""


class Relay:
    """Makes the attempts at one vendor entry of the settings."""

    def __init__(
        self,
        client: Client,
        seconds: Callable[[], float],
        in_thread: InThread,
        *,
        exchange_seconds: float,
        login_seconds: float,
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._in_thread = in_thread
        self.exchange_seconds = exchange_seconds
        self._login_seconds = login_seconds

    def attempt(
        self,
        exchange: Generator[ApiRequest, ApiAnswer | NoAnswer, T],
        note: Note,
        *,
        large: bool,
        deadline_seconds: float | None = None,
    ) -> Coroutine[Any, Any, T]:
        """Hand over submissions. large: the body is measured in a thread, because that takes more than a moment.

        note is told of each request and its answer, as they came. A deadline can only be shorter than the usual.
        """
        until_seconds = min(self.exchange_seconds, deadline_seconds or self.exchange_seconds)
        return self._drive(exchange, until_seconds, note, large=large)

    async def check_key(self, vendor: Vendor, account: VendorAccount) -> bool | None:
        """Ask the vendor about a key: True, False, or None when it could not say."""
        return await self._drive(vendor.check_key(account), self._login_seconds, _no_note, large=False)

    async def close(self) -> None:
        """Make no further attempt."""
        await self._client.close()

    async def _drive(
        self,
        exchange: Generator[ApiRequest, ApiAnswer | NoAnswer, T],
        deadline_seconds: float,
        note: Note,
        *,
        large: bool,
    ) -> T:
        until = self._seconds() + deadline_seconds
        slowest_seconds = 0.0
        try:
            request = next(exchange)
            while True:
                document = request.json
                body = None if document is None else await self._measured(document) if large else JsonBody(document)
                began = self._seconds()
                left_seconds = until - began
                # A request that the deadline would cut has no known outcome; one that is not begun can be made later
                if left_seconds > 2 * slowest_seconds:
                    answer = await self._client.exchange(request, body, left_seconds)
                    took_seconds = self._seconds() - began
                    slowest_seconds = max(slowest_seconds, took_seconds)
                    note(request, answer, took_seconds)
                    request = exchange.send(answer)
                else:
                    request = exchange.send(NoAnswer(wholly_written=False, reason="no time left for this request"))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _measured(self, document: JsonValue) -> JsonBody:
        body: JsonBody = await self._in_thread(lambda: JsonBody(document))
        return body


def _no_note(
    request: ApiRequest, answer: ApiAnswer | NoAnswer, seconds: float, *, told_elsewhere: bool = False
) -> None:
    """The question whether a key is good is in no log."""
