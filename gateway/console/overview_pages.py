"""The overview: how mail goes at the moment, and the sum of all that was ever accepted."""

from __future__ import annotations

from klein import Klein

from gateway.console.figures import Figures, figures
from gateway.console.minutes import Minutes
from gateway.console.rendering import Rendering, answer_errors
from gateway.console.steering import Steering
from gateway.sandbox.web_request import WebRequest


class OverviewPages:
    """/overview. Its figures alone are at /overview/figures, for the page's script."""

    app = Klein()

    def __init__(self, steering: Steering, minutes: Minutes, rendering: Rendering) -> None:
        self.rendering = rendering
        self._steering = steering
        self._minutes = minutes

    @app.route("/overview", methods=["GET"])
    async def overview(self, request: WebRequest) -> str:
        """The whole page."""
        return await self._page(request, "overview.html")

    @app.route("/overview/figures", methods=["GET"])
    async def figures(self, request: WebRequest) -> str:
        """What changes of it."""
        return await self._page(request, "figures.html")

    async def _page(self, request: WebRequest, template: str) -> str:
        found = await self._figures()
        is_whole = self._minutes.is_whole
        return self.rendering.page(request, template, here="overview", figures=found, is_whole=is_whole)

    async def _figures(self) -> Figures:
        await self._minutes.refresh()
        totals, depth = await self._steering.depth()
        return figures(self._minutes.hour(), self._minutes.now(), totals, depth)

    answer_errors(app)
