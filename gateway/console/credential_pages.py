"""The credentials that the operator makes: list, add, deactivate, and a secret made anew, shown once."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from klein import Klein

from gateway.accounts.credentials import make_credential, mechanisms_of, new_user_name, regenerate_credential
from gateway.accounts.seal import Seal
from gateway.console.kept_content import InThread
from gateway.console.query import QueryError
from gateway.console.rendering import Rendering, answer_errors, argument, see_other
from gateway.sandbox.web_request import WebRequest
from gateway.store.interface import Store
from gateway.user_names import UserNames

QUESTIONS = {
    "deactivate": "Deactivate {}? Nobody can log in with it any more, and the name stays taken.",
    "regenerate": "Give {} a new secret? Clients that have the old one can log in no more.",
}


@dataclass(frozen=True, slots=True)
class CredentialParts:
    """vendors are the entries of the settings, with their rules for user names; reserved are user names, in lower case,
    that dialects give to whoever shows an API key. seal_folder has the key that secrets are sealed with, for the
    mechanisms that need them."""

    store: Store
    vendors: Mapping[str, UserNames]
    reserved: frozenset[str]
    seal_folder: Path
    in_thread: InThread
    wall_seconds: Callable[[], float]


class CredentialPages:
    """/credentials. A secret is in the answer to the form that made it, and nowhere else."""

    app = Klein()

    def __init__(self, parts: CredentialParts, rendering: Rendering) -> None:
        self.rendering = rendering
        self._parts = parts

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
        parts = self._parts
        if vendor not in parts.vendors:
            raise QueryError("Choose the vendor whose key it stands for.")

        def make() -> str:
            seal = Seal(parts.seal_folder) if mechanisms else None
            names = parts.vendors[vendor]
            return make_credential(parts.store, user_name, vendor, self._now(), seal, names=names, stream=stream)

        user_name = user_name or new_user_name(parts.vendors[vendor])
        try:
            if user_name.casefold() in parts.reserved:
                raise ValueError(f"{user_name} is the user name that goes with an API key; choose another one")
            secret = await parts.in_thread(make)
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
        if not await self._parts.store.write(lambda transaction: transaction.deactivate_credential(user_name)):
            raise LookupError(user_name)
        see_other(request, "/credentials")
        return None

    async def _regenerate(self, request: WebRequest, user_name: str) -> str:
        """A new secret; kept for challenge mechanisms when the old one was."""
        store, folder = self._parts.store, self._parts.seal_folder
        old = await store.read(lambda transaction: transaction.credential(user_name))
        keeps = old is not None and old.sealed_secret is not None

        def make() -> str:
            return regenerate_credential(store, user_name, self._now(), Seal(folder) if keeps else None)

        try:
            return self._secret(request, user_name, await self._parts.in_thread(make))
        except ValueError as error:
            raise QueryError(str(error)) from None

    async def _list(self, request: WebRequest, **values: object) -> str:
        found = await self._parts.store.read(lambda transaction: transaction.credentials())
        rows = [(one, mechanisms_of(one)) for one in found]
        about = {"problem": "", "given": {}, "rows": rows, "vendors": self._parts.vendors}
        return self.rendering.page(request, "credentials.html", here="credentials", **(about | values))

    def _secret(self, request: WebRequest, user_name: str, secret: str) -> str:
        return self.rendering.page(request, "secret.html", here="credentials", user_name=user_name, secret=secret)

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._parts.wall_seconds(), datetime.UTC)

    answer_errors(app)
