"""The deliveries to one webhook, so that a slow or broken receiver keeps no other waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.events import Alarm, Reporter
from gateway.exchange import ApiAnswer, ApiRequest, NoAnswer
from gateway.http_body import OctetsBody, RequestBody
from gateway.notices.webhooks import Verdict, Webhook, is_too_old, next_wait_seconds, read_answer, request_headers
from gateway.store.records import WebhookPost

AT_ONCE = 4  # requests to one receiver: enough to keep one busy, too few to hurt it
LONGEST_PAUSE_SECONDS = 300.0  # a receiver that is well again has its mail's events within five minutes


class Client(Protocol):
    """The HTTP client, as far as a lane needs it."""

    async def close(self) -> None:
        """Close the connections that are kept open."""

    async def exchange(
        self, request: ApiRequest, body: RequestBody | None, deadline_seconds: float
    ) -> ApiAnswer | NoAnswer:
        """Make one request and read its answer."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all lanes use. finish writes what came of a post: None, or when it is to be tried again; it never fails.

    wall_seconds is the time of day; seconds never goes back; chance gives random numbers from 0 to 1.
    """

    finish: Callable[[WebhookPost, float | None], Awaitable[None]]
    wall_seconds: Callable[[], float]
    seconds: Callable[[], float]
    chance: Callable[[], float]
    report: Reporter


class Lane:
    """One webhook's posts that are in hand, and what is known of its receiver."""

    def __init__(self, webhook: Webhook, client: Client, shared: Shared) -> None:
        self._webhook = webhook
        self._client = client
        self._shared = shared
        self._waiting: deque[WebhookPost] = deque()
        self._sending = 0
        self.is_gone = False
        """The receiver wants nothing any more."""
        self._pause_until = 0.0
        self._fails = False

    @property
    def in_hand(self) -> int:
        """How many posts wait here or are being sent."""
        return len(self._waiting) + self._sending

    def pause_seconds(self) -> float:
        """How long a post has to wait because others failed; 0 when it need not. That is no attempt of it.

        Random above the pause itself, so that not all that wait come back in one moment.
        """
        left_seconds = self._pause_until - self._shared.seconds()
        return left_seconds * (1 + self._shared.chance()) if left_seconds > 0 else 0.0

    def add(self, post: WebhookPost) -> None:
        """Deliver a claimed post as soon as may be."""
        self._waiting.append(post)
        self._start()

    async def change(self, webhook: Webhook, client: Client) -> None:
        """Send by these from now on; requests under way end as they began. A webhook that is another one now has no
        failures behind it."""
        if webhook != self._webhook:
            self.is_gone = self._fails = False
            self._pause_until = 0.0
        before, self._client = self._client, client
        self._webhook = webhook
        await before.close()

    def give_back(self) -> list[WebhookPost]:
        """The posts that wait here, which somebody else is to deliver."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    async def close(self) -> None:
        """Send nothing more; what is in hand is delivered again by whoever claims it after the lease."""
        self._waiting.clear()
        await self._client.close()

    def _start(self) -> None:
        while self._waiting and self._sending < AT_ONCE:
            post = self._waiting.popleft()
            self._sending += 1
            Deferred.fromCoroutine(self._handle(post)).addErrback(self._failed)

    async def _handle(self, post: WebhookPost) -> None:
        try:
            pause_seconds = self.pause_seconds()
            if self.is_gone:
                await self._shared.finish(post, None)
            elif pause_seconds > 0:
                await self._shared.finish(post, self._shared.wall_seconds() + pause_seconds)
            else:
                await self._send(post)
        finally:
            self._sending -= 1
            self._start()

    async def _send(self, post: WebhookPost) -> None:
        webhook = self._webhook
        request = ApiRequest("POST", webhook.url, request_headers(webhook, post, self._shared.wall_seconds()))
        answer = await self._client.exchange(request, OctetsBody(post.body), webhook.timeout_seconds)
        verdict = read_answer(webhook, answer)
        if verdict is Verdict.TAKEN:
            self._fails = False
            await self._shared.finish(post, None)
        elif webhook != self._webhook:  # it says nothing of the one that there is now
            await self._shared.finish(post, self._shared.wall_seconds())
        elif verdict is Verdict.GONE:
            self.is_gone = True
            self._tell("410 Gone: nothing more is sent to it until it is changed, or the next start")
            await self._shared.finish(post, None)
        elif verdict is Verdict.DROPPED:
            self._tell(f"{post.post_id} was not taken and is given up: {_words(answer)}")
            await self._shared.finish(post, None)
        else:
            await self._try_again(post, answer, verdict)

    async def _try_again(self, post: WebhookPost, answer: ApiAnswer | NoAnswer, verdict: Verdict) -> None:
        """Wait and try again, if it is not too late; the other posts wait as long as this one when they had better."""
        if not self._fails:
            self._fails = True
            self._tell(f"{post.post_id} was not taken and is tried again: {_words(answer)}")
        wait_seconds = next_wait_seconds(self._webhook, post, answer, self._shared.chance())
        now = self._shared.wall_seconds()
        if verdict is Verdict.UNWELL and wait_seconds is not None:
            pause_seconds = min(wait_seconds, LONGEST_PAUSE_SECONDS)
            self._pause_until = max(self._pause_until, self._shared.seconds() + pause_seconds)
        if wait_seconds is None or is_too_old(self._webhook, post, now + wait_seconds):
            self._tell(f"{post.post_id} is given up after {post.attempts + 1} attempts: {_words(answer)}")
            await self._shared.finish(_counted(post), None)
        else:
            await self._shared.finish(_counted(post), now + wait_seconds)

    def _tell(self, text: str) -> None:
        self._shared.report(Alarm(f"webhook {self._webhook.name}: {text}"))

    def _failed(self, failure: Failure) -> None:
        """A fault of our own: the lease ends, and the post is tried again."""
        self._tell(f"{type(failure.value).__name__} while posting")


def _counted(post: WebhookPost) -> WebhookPost:
    return replace(post, attempts=post.attempts + 1)


def _words(answer: ApiAnswer | NoAnswer) -> str:
    """For the log: never the body, which is the receiver's."""
    return answer.reason if isinstance(answer, NoAnswer) else f"status {answer.status}"
