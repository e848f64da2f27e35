"""The console: its classes of pages, put together behind the guard.

What may come in and which headers go out is security.py's; JSON is control_api.py's and api.py's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from klein import Klein
from twisted.web.resource import IResource

from gateway.console import health
from gateway.console.access import OPEN, Access
from gateway.console.credential_office import CredentialOffice, CredentialParts
from gateway.console.credential_pages import CredentialPages
from gateway.console.kept_content import KeptContent
from gateway.console.lane_states import LaneStates, no_lane_states
from gateway.console.login_pages import LoginPages
from gateway.console.message_pages import MessagePages
from gateway.console.metrics import CONTENT_TYPE
from gateway.console.minutes import Minutes
from gateway.console.mounts import Mounts
from gateway.console.overview_pages import OverviewPages
from gateway.console.queue_pages import QueuePages
from gateway.console.rendering import Rendering, answer_errors, see_other
from gateway.console.sandbox_pages import SandboxPages, SandboxParts
from gateway.console.security import METRICS_PATH, PUBLIC_PATHS, Guard
from gateway.console.steering import Steering
from gateway.console.vendor_pages import VendorFacts, VendorPages
from gateway.sandbox.web_request import WebRequest

_STATIC_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What the console is made of.

    ready: tells whether the gateway should get work. metrics: gives the page for Prometheus, which needs no login where
    is_local: only this machine reaches the console. allowed_hosts: names, without port, that the
    Host header may have. sandbox: None when there is none. control: what is mounted at /api/v1/; bounces: Postmark's
    bounce API, None where there is no store to read. is_https: cookies are for TLS alone. lanes: what the queue's
    runner knows.
    """

    steering: Steering
    minutes: Minutes
    content: KeptContent
    credentials: CredentialParts
    vendors: Sequence[VendorFacts]
    control: IResource
    bounces: IResource
    ready: health.Ready
    metrics: Callable[[], Awaitable[bytes]]
    wall_seconds: Callable[[], float]
    allowed_hosts: frozenset[str]
    sandbox: SandboxParts | None = None
    access: Access = OPEN
    is_https: bool = False
    is_local: bool = True
    lanes: LaneStates = no_lane_states


def console_resource(parts: ConsoleParts) -> IResource:
    """The root of the console's port."""
    rendering = Rendering(parts.access, parts.wall_seconds, has_inbox=parts.sandbox is not None)
    names = frozenset(one.name for one in parts.vendors)
    service = ServicePages(parts, rendering)
    pages: dict[str, Klein] = {}
    if parts.sandbox is not None:
        sandbox = SandboxPages(parts.sandbox, rendering)
        pages |= dict.fromkeys(("/sandbox", "/api/v1/sandbox"), sandbox.app)
    pages |= {
        "/overview": OverviewPages(parts.steering, parts.minutes, rendering).app,
        "/messages": MessagePages(parts.steering, parts.content, names, rendering).app,
        "/queue": QueuePages(parts.steering, names, rendering).app,
        "/credentials": CredentialPages(CredentialOffice(parts.credentials), rendering).app,
        "/vendors": VendorPages(parts.vendors, parts.lanes, parts.steering, parts.minutes, rendering).app,
        **dict.fromkeys(("/login", "/logout"), LoginPages(parts.access, rendering, is_https=parts.is_https).app),
        **dict.fromkeys(("/livez", "/readyz", "/metrics", "/static", "/api"), service.app),
    }
    front = sandbox.app if parts.sandbox is not None else service.app
    mounts = Mounts({path: app.resource() for path, app in pages.items()}, front.resource())
    public = (*PUBLIC_PATHS, METRICS_PATH) if parts.is_local else PUBLIC_PATHS
    return Guard(mounts, parts.allowed_hosts, parts.access, public)


class ServicePages:
    """Health, the control API, what pages are made with, and the way from / where there is no inbox."""

    app = Klein()

    def __init__(self, parts: ConsoleParts, rendering: Rendering) -> None:
        self.rendering = rendering
        self._parts = parts
        # Few and small, so they are read once; a name that is not among them is not found.
        folder = files("gateway.console").joinpath("static")
        self._static = {one.name: one.read_bytes() for one in folder.iterdir() if one.name[0] not in "._"}

    @app.route("/", methods=["GET"])
    def front(self, request: WebRequest) -> None:
        """Lead to the overview."""
        see_other(request, "/overview")

    @app.route("/api/v1/postmark", branch=True)
    def bounces_api(self, request: WebRequest) -> IResource:
        """Postmark's bounce API."""
        return self._parts.bounces

    @app.route("/livez", methods=["GET"])
    def livez(self, request: WebRequest) -> bytes:
        """Whether the process runs."""
        return health.live(request)

    @app.route("/readyz", methods=["GET"])
    async def readyz(self, request: WebRequest) -> bytes:
        """Whether the gateway should get work."""
        return await health.readiness(request, self._parts.ready)

    @app.route("/metrics", methods=["GET"])
    async def metrics(self, request: WebRequest) -> bytes:
        """What Prometheus asks for."""
        octets = await self._parts.metrics()
        request.setHeader("Content-Type", CONTENT_TYPE)
        return octets

    @app.route("/static/<name>", methods=["GET"])
    def static(self, request: WebRequest, name: str) -> bytes:
        """Style, script and icon."""
        octets = self._static[name]
        request.setHeader("Content-Type", _STATIC_TYPES[name.rpartition(".")[2]])
        request.setHeader("Cache-Control", "no-cache")
        return octets

    @app.route("/api/v1/", branch=True)
    def control_api(self, request: WebRequest) -> IResource:
        """The control API."""
        return self._parts.control

    answer_errors(app)
