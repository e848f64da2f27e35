"""The requests of one attempt and their answers, as the message log and the metrics have them."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.store.records import Call
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer

ANSWER_CHARACTERS = 2048  # of each answer in the message log: an error's words, and not a proxy's whole page
CALLS = 20  # of each attempt in the message log; a message for a hundred hidden recipients makes a hundred
MASKED = "***"


@dataclass(slots=True)
class Calls:
    """The requests of one attempt for the message log, without the key they were made with.

    timed has the status and the seconds of each, but for those that another attempt tells of.
    """

    key: str = field(repr=False)
    calls: list[Call] = field(default_factory=list)
    timed: list[tuple[int, float]] = field(default_factory=list)

    def note(
        self, request: ApiRequest, answer: ApiAnswer | NoAnswer, seconds: float, *, told_elsewhere: bool = False
    ) -> None:
        """One request and its answer."""
        status = 0 if isinstance(answer, NoAnswer) else answer.status
        if not told_elsewhere:
            self.timed.append((status, seconds))
        if len(self.calls) == CALLS:
            return
        text = answer.reason if isinstance(answer, NoAnswer) else answer.body.decode("utf-8", "replace")
        # Masked before it is cut: half a key would not be found
        shown = self._masked(text)[:ANSWER_CHARACTERS]
        self.calls.append(Call(request.method, self._masked(request.url), status, seconds, shown))

    def _masked(self, text: str) -> str:
        return text.replace(self.key, MASKED) if self.key else text
