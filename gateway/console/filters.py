"""Which messages a page shows: the filters of its form, as they stand in its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from gateway.console.control_api import arguments
from gateway.console.query import TEXTS, read_selection
from gateway.sandbox.web_request import WebRequest
from gateway.store.records import Selection, State

NAMES = frozenset({*TEXTS, "id", "state", "from", "until"}) - {"before"}
"""The control API's own parameters, so that an address of a page can be turned into one of the API's."""

IN_FRONT = ("text", "recipient", "state")
"""The filters that are always seen; the others are behind a word that opens them."""


@dataclass(frozen=True, slots=True)
class Filters:
    """values are the fields that were filled in; before pages, and is no filter."""

    values: Mapping[str, Sequence[str]]
    before: str = ""

    @property
    def selection(self) -> Selection:
        """The messages that fit. QueryError for a value that cannot be."""
        given = {name: list(values) for name, values in self.values.items()}
        return replace(read_selection(given), before_id=self.before)

    @property
    def has_more(self) -> bool:
        """Whether one of the filters is set that are not always seen."""
        return any(name not in IN_FRONT for name in self.values)

    def value(self, name: str) -> str:
        """What stands in a field of the form."""
        return self.values.get(name, [""])[-1]

    def has_state(self, state: State) -> bool:
        """Whether this state is among those that were asked for."""
        return state.value in self.values.get("state", ())

    def address(self, path: str, **further: str | int) -> str:
        """The address of a page with these filters."""
        pairs = [(name, value) for name, values in self.values.items() for value in values]
        query = urlencode([*pairs, *further.items()])
        return f"{path}?{query}" if query else path


def read_filters(request: WebRequest) -> Filters:
    """The filters of a request. QueryError when they are no text."""
    asked = arguments(request)
    given = {name: [one.strip() for one in asked[name] if one.strip()] for name in sorted(NAMES & asked.keys())}
    filled = {name: values for name, values in given.items() if values}
    return Filters(filled, asked.get("before", [""])[-1])
