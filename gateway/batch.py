"""Several submissions over a vendor's batch call: their exchanges side by side, their requests joined into one.

Each submission keeps the exchange that it would have alone, so an answer means the same in a batch as outside of it.
What the joined request is, and which piece of its answer is whose, the vendor's BatchCall says. No I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.exchange import ApiAnswer, ApiRequest, Exchange, NoAnswer, Translation
from gateway.message import Submission
from gateway.outcome import Outcome

# Short texts are in memory while a request is written; as much as the largest single message of the strictest vendor
TOGETHER_OCTETS = 10_000_000
# Answers repeat addresses, and the HTTP client reads 1 MiB of an answer: 400 octets for each address with its name
TOGETHER_RECIPIENTS = 2000
# So many messages that fail alone too, and nothing that works, are no messages' fault
FAILED_ALONE = 2

BatchExchange = Generator[ApiRequest, ApiAnswer | NoAnswer, Sequence[Mapping[str, Outcome]]]
"""As an Exchange, for several submissions: it ends with the outcomes of each, in their order."""


@dataclass(frozen=True, slots=True)
class BatchTranslation:
    """Submissions said in a vendor's API: one exchange for all, and the report of each, as in a Translation."""

    exchange: BatchExchange
    reports: Sequence[Sequence[str]]


def concerns_all(answer: ApiAnswer) -> bool:
    """Whether an answer is about the key, the rate or the vendor itself, and so about every message alike."""
    return answer.status in (401, 408, 429) or answer.status // 100 not in (2, 4)


@dataclass(frozen=True, slots=True)
class BatchCall:
    """A vendor's way to take several messages in one request.

    submissions and octets are its limits. key: submissions of equal keys may travel in one request. join: one request
    out of several to the same URL. part: the answer to each of them, in order, out of an answer of success; NoAnswer
    for a piece that cannot be read; None for a piece that says only that its message was not taken: it is sent alone,
    where the answer says why. concerns_all: whether an answer other than success would be given to any message; one
    that would not may be the fault of a single message, and the others are sent again without it.
    """

    submissions: int
    octets: int
    key: Callable[[Submission], str]
    join: Callable[[Sequence[ApiRequest]], ApiRequest]
    part: Callable[[ApiAnswer], Sequence[ApiAnswer | NoAnswer | None]]
    concerns_all: Callable[[ApiAnswer], bool] = concerns_all


@dataclass(slots=True)
class _Member:
    """A submission in a batch: its place, its exchange, and the request that it waits to have answered."""

    place: int
    submission: Submission
    exchange: Exchange
    request: ApiRequest


def translated(
    call: BatchCall | None, submissions: Sequence[Submission], translations: Sequence[Translation]
) -> BatchTranslation:
    """The translations of these submissions as one. Without a batch call their requests go one after the other."""
    return BatchTranslation(_exchange(call, submissions, translations), [one.report for one in translations])


def _exchange(
    call: BatchCall | None, submissions: Sequence[Submission], translations: Sequence[Translation]
) -> BatchExchange:
    """In rounds: every exchange that is not at its end has one request answered in each."""
    outcomes: list[Mapping[str, Outcome]] = [{} for _ in submissions]
    waiting: list[_Member] = []
    for place, (submission, translation) in enumerate(zip(submissions, translations, strict=True)):
        try:
            waiting.append(_Member(place, submission, translation.exchange, next(translation.exchange)))
        except StopIteration as stop:
            outcomes[place] = stop.value
    while waiting:
        answers = yield from _round(call, waiting)
        still_waiting = []
        for member in waiting:
            try:
                member.request = member.exchange.send(answers[member.place])
                still_waiting.append(member)
            except StopIteration as stop:
                outcomes[member.place] = stop.value
        waiting = still_waiting
    return outcomes


def _round(
    call: BatchCall | None, waiting: Sequence[_Member]
) -> Generator[ApiRequest, ApiAnswer | NoAnswer, dict[int, ApiAnswer | NoAnswer]]:
    """The answer to each one's request. A load that is refused for what may be one's fault is sent in smaller ones."""
    answers: dict[int, ApiAnswer | NoAnswer] = {}
    loads = deque(_loads(call, waiting))
    failed_alone, works = 0, False
    while loads:
        load = loads.popleft()
        answer = yield _request(call, load)
        failed = _may_be_of_all(answer)
        failed_alone += failed and len(load) == 1
        if (not failed and _ends_all(answer, call)) or (failed_alone == FAILED_ALONE and not works):
            # What stops one would stop the others: they are not sent, and certainly not taken
            answers |= {one.place: answer for one in load}
            answers |= {one.place: _unsent(answer) for left in loads for one in left}
            return answers
        works = works or not failed
        if call is None or len(load) == 1:
            answers[load[0].place] = answer
        elif isinstance(answer, ApiAnswer) and 200 <= answer.status < 300:
            pieces = dict(zip((one.place for one in load), _pieces(call, answer, len(load)), strict=True))
            answers |= {place: piece for place, piece in pieces.items() if piece is not None}
            loads.extendleft([one] for one in reversed(load) if pieces[one.place] is None)
        else:
            loads.extendleft(reversed(_smaller(load, works=works)))
    return answers


def _request(call: BatchCall | None, load: Sequence[_Member]) -> ApiRequest:
    return call.join([one.request for one in load]) if call and len(load) > 1 else load[0].request


def _smaller(load: list[_Member], *, works: bool) -> list[list[_Member]]:
    """Halves; while it is not known whether the vendor works at all, the first ones alone and the rest."""
    if works:
        return [load[: len(load) // 2], load[len(load) // 2 :]]
    return [part for part in (*([one] for one in load[:FAILED_ALONE]), load[FAILED_ALONE:]) if part]


def _may_be_of_all(answer: ApiAnswer | NoAnswer) -> bool:
    """Whether only more answers tell if one message is to blame: the vendor failed, or the key may not send that.

    A failure that names a time is everybody's.
    """
    if isinstance(answer, NoAnswer):
        return False
    return answer.status == 403 or (answer.status == 500 and "retry-after" not in answer.headers)


def _ends_all(answer: ApiAnswer | NoAnswer, call: BatchCall | None) -> bool:
    if isinstance(answer, NoAnswer):
        return True
    return (call.concerns_all if call else concerns_all)(answer)


def _unsent(answer: ApiAnswer | NoAnswer) -> ApiAnswer | NoAnswer:
    """What an answer means for those that were not sent. A 403 refuses nobody who was not in the request."""
    if isinstance(answer, NoAnswer):
        return NoAnswer(False, f"not sent, after {answer.reason}")
    return NoAnswer(False, "not sent, after HTTP 403") if answer.status == 403 else answer


def _pieces(call: BatchCall, answer: ApiAnswer, count: int) -> Sequence[ApiAnswer | NoAnswer | None]:
    """As many as there are messages. Of another number nobody can say which is whose, so the vendor may have them."""
    pieces = call.part(answer)
    if len(pieces) == count:
        return pieces
    return [NoAnswer(True, f"the answer to {count} messages tells of {len(pieces)}")] * count


def _loads(call: BatchCall | None, waiting: Iterable[_Member]) -> Iterator[list[_Member]]:
    """Those that travel in one request each, in order."""
    by_url: dict[str, list[_Member]] = {}
    for member in waiting:
        by_url.setdefault(member.request.url, []).append(member)
    for members in by_url.values():
        load: list[_Member] = []
        for member in members:
            if load and not (call and _fits(call, [*load, member])):
                yield load
                load = []
            load.append(member)
        yield load


def _fits(call: BatchCall, load: Sequence[_Member]) -> bool:
    """Within the limits; and never two of one idempotency key, of which only one would be taken."""
    submissions = [one.submission for one in load]
    return (
        len(load) <= call.submissions
        # As in SMTP: base64 is shorter in JSON, escapes are longer; a 413 in between is answered by halves
        and sum(one.content.size_octets for one in submissions) <= min(call.octets, TOGETHER_OCTETS)
        and sum(len(one.envelope.forward_paths) for one in submissions) <= TOGETHER_RECIPIENTS
        and len({one.idempotency_key for one in submissions}) == len(load)
    )
