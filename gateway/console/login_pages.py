"""Logging a browser in and out. What a session is, is access.py's."""

from __future__ import annotations

from klein import Klein

from gateway.console import login
from gateway.console.access import Access
from gateway.console.rendering import Rendering, answer_errors, argument, see_other
from gateway.sandbox.web_request import WebRequest


class LoginPages:
    """/login and /logout. is_https: the cookie is for TLS alone."""

    app = Klein()

    def __init__(self, access: Access, rendering: Rendering, *, is_https: bool) -> None:
        self.rendering = rendering
        self._access = access
        self._is_https = is_https

    @app.route("/login", methods=["GET"])
    def ask(self, request: WebRequest) -> str:
        """Where a browser shows a token."""
        return self.rendering.page(request, "login.html", next=login.next_path(argument(request, b"next")), wrong=False)

    @app.route("/login", methods=["POST"])
    def log_in(self, request: WebRequest) -> str | None:
        """Begin a session and go to where the browser wanted to go."""
        wanted = login.next_path(argument(request, b"next"))
        name = self._access.begin_session(argument(request, b"token").strip())
        if name is None:
            request.setResponseCode(403)
            return self.rendering.page(request, "login.html", next=wanted, wrong=True)
        login.set_cookie(request, name, secure=self._is_https)
        see_other(request, wanted)
        return None

    @app.route("/logout", methods=["POST"])
    def log_out(self, request: WebRequest) -> None:
        """End the browser's session."""
        self._access.end_session(login.session_name(request))
        login.set_cookie(request, "", secure=self._is_https)
        see_other(request, "/login")

    answer_errors(app)
