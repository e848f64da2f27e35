"""The vendors of the settings: where they are, whether their keys and connections work, and what waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from klein import Klein

from gateway.console.figures import LaneDepth, Latency, figures
from gateway.console.lane_states import LaneStates
from gateway.console.minutes import Minutes
from gateway.console.rendering import Rendering, answer_errors
from gateway.console.steering import Steering
from gateway.lane_state import LaneState
from gateway.sandbox.web_request import WebRequest

KEY_CAUSES = frozenset({"key_refused", "operator_key_refused"})


@dataclass(frozen=True, slots=True)
class VendorFacts:
    """A [vendors] entry: its name, whose API it has and where, and whether the settings have a key for it."""

    name: str
    api: str
    url: str
    has_key: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane on the page; state is None when the runner tells nothing of it."""

    key: str
    depth: LaneDepth | None
    state: LaneState | None

    @property
    def key_is_refused(self) -> bool:
        """Whether the vendor did not take the key at the last attempt."""
        return self.state is not None and self.state.cause.lower() in KEY_CAUSES


@dataclass(frozen=True, slots=True)
class ShownVendor:
    """An entry with its lanes, by key, and how long its attempts took in the last hour."""

    facts: VendorFacts
    lanes: tuple[Lane, ...]
    latency: Latency | None


class VendorPages:
    """/vendors."""

    app = Klein()

    def __init__(
        self,
        vendors: Sequence[VendorFacts],
        lanes: LaneStates,
        steering: Steering,
        minutes: Minutes,
        rendering: Rendering,
    ) -> None:
        self.rendering = rendering
        self._vendors = vendors
        self._lanes = lanes
        self._steering = steering
        self._minutes = minutes

    @app.route("/vendors", methods=["GET"])
    async def vendors(self, request: WebRequest) -> str:
        """Each entry."""
        await self._minutes.refresh()
        found = figures(self._minutes.hour(), self._minutes.now(), *await self._steering.depth())
        depths = {one.lane: one for one in found.lanes}
        states = {one.lane: one for one in self._lanes()}
        latencies = {one.vendor: one for one in found.latencies}
        shown = [
            ShownVendor(one, _lanes_of(one.name, depths, states), latencies.get(one.name)) for one in self._vendors
        ]
        return self.rendering.page(request, "vendors.html", here="vendors", vendors=shown)

    answer_errors(app)


def _lanes_of(vendor: str, depths: Mapping[str, LaneDepth], states: Mapping[str, LaneState]) -> tuple[Lane, ...]:
    """The lanes of an entry in which mail waits, or of which the runner knows something."""
    names = sorted(one for one in depths.keys() | states.keys() if one.partition("/")[0] == vendor)
    return tuple(Lane(one.partition("/")[2], depths.get(one), states.get(one)) for one in names)
