"""Remembers for a short while whether a secret was good, without keeping it, and asks only once at a time.

Secrets are kept as a keyed hash (BLAKE2b with a key made at start), so a copy of the memory gives none away.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator

from twisted.internet.defer import Deferred

GOOD_SECONDS = 300  # a revoked key goes on logging in for this long at most; its first send is refused all the same
BAD_SECONDS = 30  # a key just made works soon, and a program that repeats a bad one costs one question a half minute
ENTRIES = 10_000  # about 3 MB; a public endpoint's keys in use at one time


class RememberedAnswers:
    """Answers to yes-or-no questions about secrets; None stands for "nobody could say" and is never remembered.

    hash_key: the one of other processes that remember together. told hears of each answer remembered here, None for one
    that is forgotten; the others have it by note().
    """

    def __init__(self, seconds: Callable[[], float], hash_key: bytes | None = None) -> None:
        self._seconds = seconds
        self._hash_key = hash_key or secrets.token_bytes(32)
        self.told: Callable[[bytes, bool | None], None] | None = None
        self._answers: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._asking: dict[bytes, list[Deferred[bool | None]]] = {}

    async def ask(self, *secret: str, question: Callable[[], Awaitable[bool | None]]) -> bool | None:
        """The remembered answer, or that of the question; the same question in flight is waited for."""
        entry = self._hash(secret)
        known = self._known(entry)
        if known is not None:
            return known
        if entry in self._asking:
            waiting: Deferred[bool | None] = Deferred()
            self._asking[entry].append(waiting)
            return await waiting
        self._asking[entry] = []
        answer: bool | None = None
        try:
            answer = await question()
            if answer is not None:
                self.note(entry, answer)
                self._tell(entry, answer)
        finally:
            for waiting in self._asking.pop(entry):
                waiting.callback(answer)
        return answer

    def forget(self, *secret: str) -> None:
        """The answer for this secret holds no more."""
        entry = self._hash(secret)
        self.note(entry, None)
        self._tell(entry, None)

    def note(self, entry: bytes, answer: bool | None, age_seconds: float = 0.0) -> None:
        """The answer for what has this hash; None when it holds no more."""
        if answer is None:
            self._answers.pop(entry, None)
            return
        self._answers[entry] = (answer, self._seconds() + (GOOD_SECONDS if answer else BAD_SECONDS) - age_seconds)
        self._answers.move_to_end(entry)
        if len(self._answers) > ENTRIES:
            self._answers.popitem(last=False)

    def copies(self) -> Iterator[tuple[bytes, bool, float]]:
        """All that is remembered, as note() takes it, for another process."""
        for entry, (answer, until) in self._answers.items():
            age_seconds = (GOOD_SECONDS if answer else BAD_SECONDS) - (until - self._seconds())
            yield entry, answer, age_seconds

    def _tell(self, entry: bytes, answer: bool | None) -> None:
        if self.told is not None:
            self.told(entry, answer)

    def _known(self, entry: bytes) -> bool | None:
        answer, until = self._answers.get(entry, (False, 0.0))
        return answer if until > self._seconds() else None

    def _hash(self, secret: tuple[str, ...]) -> bytes:
        return hashlib.blake2b("\0".join(secret).encode(), key=self._hash_key, digest_size=32).digest()
