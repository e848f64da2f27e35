"""Rides: submissions that wait for the same key at the same vendor travel together, where the vendor takes several.

Nobody waits for company: a request leaves at once while few are under way, and what comes meanwhile leaves together
with the next. All else about a message, its attempts and their end, is as if it had travelled alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from gateway.attempts import ALONE
from gateway.departures import Departure
from gateway.message import Submission
from gateway.outcome import Outcome
from gateway.relay import Note
from gateway.vendor import ApiAnswer, ApiRequest, NoAnswer, batch_key, batch_submissions, translate_batch

REQUESTS_AT_ONCE = 2  # of one key: one is on its way while the next fills; more would only make them smaller
LARGE_OCTETS = 1024 * 1024  # together; to measure more takes longer than a moment
LEAST_SECONDS = 1.0  # for whoever waited too long: enough to fail properly

Outcomes = Mapping[str, Outcome]
Place = tuple[str, bool, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Seat:
    """One submission that waits; done fires with its outcomes and its report."""

    departure: Departure
    submission: Submission
    note: Note
    large: bool
    until: float | None
    done: Deferred[tuple[Outcomes, Sequence[str]]] = field(default_factory=Deferred)


class SharedRides:
    """Makes attempts for several submissions in one request. seconds never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._waiting: dict[Place, deque[_Seat]] = {}
        self._under_way: dict[Place, int] = {}

    async def attempt(
        self,
        departure: Departure,
        submission: Submission,
        note: Note,
        *,
        large: bool,
        deadline_seconds: float | None,
    ) -> tuple[Outcomes, Sequence[str]]:
        """Hand over a submission: the outcome of each forward-path, and the report."""
        vendor = departure.entry.vendor
        if batch_submissions(vendor) == 1:
            return await ALONE.attempt(departure, submission, note, large=large, deadline_seconds=deadline_seconds)
        place = (departure.lane, departure.vendor_account.own_key, batch_key(vendor, submission))
        until = None if deadline_seconds is None else self._seconds() + deadline_seconds
        seat = _Seat(departure, submission, note, large, until)
        self._waiting.setdefault(place, deque()).append(seat)
        self._leave(place)
        return await seat.done

    def _leave(self, place: Place) -> None:
        """Let go what waits, as far as it may."""
        waiting = self._waiting.get(place)
        while waiting and self._under_way.get(place, 0) < REQUESTS_AT_ONCE:
            most = batch_submissions(waiting[0].departure.entry.vendor)
            seats = [waiting.popleft() for _ in range(min(most, len(waiting)))]
            self._under_way[place] = self._under_way.get(place, 0) + 1
            Deferred.fromCoroutine(self._ride(place, seats))
        if not self._waiting.get(place):
            self._waiting.pop(place, None)

    async def _ride(self, place: Place, seats: Sequence[_Seat]) -> None:
        try:
            for seat, outcomes, report in await self._made(seats):
                seat.done.callback((outcomes, report))
        except Exception as error:  # each of them deals with it as with a fault of its own attempt
            for seat in seats:
                if not seat.done.called:
                    seat.done.errback(error)
        finally:
            self._under_way[place] -= 1
            if not self._under_way[place]:
                del self._under_way[place]
            self._leave(place)

    async def _made(self, seats: Sequence[_Seat]) -> list[tuple[_Seat, Outcomes, Sequence[str]]]:
        departure = seats[0].departure
        submissions = [seat.submission for seat in seats]
        translation = translate_batch(departure.entry.vendor, departure.vendor_account, submissions)

        def note(
            request: ApiRequest, answer: ApiAnswer | NoAnswer, seconds: float, *, told_elsewhere: bool = False
        ) -> None:
            for number, seat in enumerate(seats):
                seat.note(request, answer, seconds, told_elsewhere=told_elsewhere or number > 0)

        untils = [seat.until for seat in seats if seat.until is not None]
        deadline_seconds = max(LEAST_SECONDS, min(untils) - self._seconds()) if untils else None
        large = any(seat.large for seat in seats) or sum(one.content.size_octets for one in submissions) > LARGE_OCTETS
        outcomes = await departure.entry.relay.attempt(
            translation.exchange, note, large=large, deadline_seconds=deadline_seconds
        )
        return list(zip(seats, outcomes, translation.reports, strict=True))
