"""The credentials that the operator makes: list, add, deactivate, and a secret made anew, shown once."""

from __future__ import annotations

from urllib.parse import quote

from klein import Klein

from gateway.accounts.credentials import mechanisms_of
from gateway.console.credential_office import CredentialOffice
from gateway.console.query import QueryError
from gateway.console.rendering import Rendering, answer_errors, argument, see_other
from gateway.sandbox.web_request import WebRequest

QUESTIONS = {
    "deactivate": "Deactivate {}? Nobody can log in with it any more, and the name stays taken.",
    "regenerate": "Give {} a new secret? Clients that have the old one can log in no more.",
}


class CredentialPages:
    """/credentials. A secret is in the answer to the form that made it, and nowhere else."""

    app = Klein()

    def __init__(self, office: CredentialOffice, rendering: Rendering) -> None:
        self.rendering = rendering
        self._office = office

    @app.route("/credentials", methods=["GET"])
    async def credentials(self, request: WebRequest) -> str:
        """All of them, and the form for a new one."""
        return await self._list(request)

    @app.route("/credentials", methods=["POST"])
    async def add(self, request: WebRequest) -> str:
        """Make a credential, and show its secret."""
        user_name, vendor, stream, mechanisms = (
            argument(request, name).strip() for name in (b"user_name", b"vendor", b"stream", b"mechanisms")
        )
        if vendor not in self._office.vendors:
            raise QueryError("Choose the vendor whose key it stands for.")
        try:
            user_name, secret = await self._office.add(user_name, vendor, stream, keeps_secret=bool(mechanisms))
        except ValueError as error:
            request.setResponseCode(400)
            given = {"user_name": user_name, "vendor": vendor, "stream": stream, "mechanisms": mechanisms}
            return await self._list(request, problem=str(error), given=given)
        return self._secret(request, user_name, secret)

    @app.route("/credentials/<user_name>", methods=["POST"])
    async def change(self, request: WebRequest, user_name: str) -> str | None:
        """Deactivate it, or make its secret anew; asks back first."""
        action = argument(request, b"action")
        if action not in QUESTIONS:
            raise QueryError(f"action: expected one of {', '.join(QUESTIONS)}")
        if argument(request, b"sure") != "1":
            return self.rendering.page(
                request,
                "confirm.html",
                here="credentials",
                question=QUESTIONS[action].format(user_name),
                label=action.capitalize(),
                path=f"/credentials/{quote(user_name, safe='')}",
                back="/credentials",
                fields=[("action", action), ("sure", "1")],
            )
        if action == "regenerate":
            return await self._regenerate(request, user_name)
        if not await self._office.deactivate(user_name):
            raise LookupError(user_name)
        see_other(request, "/credentials")
        return None

    async def _regenerate(self, request: WebRequest, user_name: str) -> str:
        """A new secret; kept for challenge mechanisms when the old one was."""
        try:
            return self._secret(request, user_name, await self._office.regenerate(user_name))
        except ValueError as error:
            raise QueryError(str(error)) from None

    async def _list(self, request: WebRequest, **values: object) -> str:
        found = await self._office.listing()
        rows = [(one, mechanisms_of(one)) for one in found]
        about = {"problem": "", "given": {}, "rows": rows, "vendors": self._office.vendors}
        return self.rendering.page(request, "credentials.html", here="credentials", **(about | values))

    def _secret(self, request: WebRequest, user_name: str, secret: str) -> str:
        return self.rendering.page(request, "secret.html", here="credentials", user_name=user_name, secret=secret)

    answer_errors(app)
