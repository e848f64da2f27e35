"""The event feed as server-sent events (HTML standard, 9.2): one reader of the store for all browsers that listen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.console.message_document import event_document
from gateway.console.steering import Steering
from gateway.sandbox.web_request import WebRequest
from gateway.store.interface import StoreError
from gateway.store.records import StoredEvent

POLL_SECONDS = 1.0  # other processes write events too, so the store is asked; only while somebody listens
BATCH = 500  # events a poll; more of them a second are passed over, and the page asks for totals anyway
LISTENERS = 100  # each is a connection that stays open
QUIET_POLLS = 15  # polls without event until a comment is sent, so that proxies do not cut the connection

_log = Logger(namespace="mailgateway")


class EventStream:
    """Serves the feed to as many browsers as listen."""

    def __init__(self, steering: Steering, clock: Any) -> None:
        self._steering = steering
        self._listening: dict[WebRequest, Deferred[None]] = {}
        self._last = 0
        self._quiet = 0
        self._loop = LoopingCall(self._begin_poll)
        self._loop.clock = clock

    async def serve(self, request: WebRequest, last_seen: int | None) -> None:
        """Write events until the client leaves. last_seen is the number that it has, None for a new listener."""
        if len(self._listening) >= LISTENERS:
            request.setResponseCode(503)
            return
        newest = await self._steering.last_event_number()
        request.setHeader("Content-Type", "text/event-stream")
        request.write(b"retry: 2000\n\n")
        if last_seen is not None and last_seen < newest:
            self._write(request, await self._steering.events(last_seen, BATCH))
        gone: Deferred[None] = Deferred()
        if not self._listening:
            self._last = newest
        self._listening[request] = gone
        request.notifyFinish().addBoth(lambda _: self._leave(request))
        if not self._loop.running:
            self._loop.start(POLL_SECONDS, now=False)
        await gone

    def _leave(self, request: WebRequest) -> None:
        gone = self._listening.pop(request, None)
        if not self._listening and self._loop.running:
            self._loop.stop()
        if gone is not None:
            gone.callback(None)

    def _begin_poll(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._poll())

    async def _poll(self) -> None:
        try:
            found = await self._steering.events(self._last, BATCH)
        except StoreError as error:
            _log.warn("the event feed cannot be read: {error}", error=str(error))
            return
        self._quiet = 0 if found else self._quiet + 1
        for request in tuple(self._listening):
            self._write(request, found)
            if self._quiet == QUIET_POLLS:
                request.write(b": still here\n\n")
        if self._quiet == QUIET_POLLS:
            self._quiet = 0
        if found:
            self._last = found[-1].number

    def _write(self, request: WebRequest, events: Sequence[StoredEvent]) -> None:
        for event in events:
            document = msgspec.json.encode(event_document(event))
            request.write(b"id: %d\nevent: message-event\ndata: %s\n\n" % (event.number, document))
