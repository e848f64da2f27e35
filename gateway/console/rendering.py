"""The pages' templates, with what all of them show: where one can go, who one is. And how errors are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.console import wording
from gateway.console.access import Access
from gateway.console.attachment import octets_in_words
from gateway.console.health import write_json
from gateway.console.login import visitor_of
from gateway.console.query import QueryError
from gateway.sandbox.web_request import WebRequest
from gateway.store.interface import StoreError

_log = Logger(namespace="mailgateway")


class Rendering:
    """Makes pages. has_inbox: there is a sandbox to lead to."""

    def __init__(self, access: Access, wall_seconds: Callable[[], float], *, has_inbox: bool) -> None:
        self._access = access
        self._wall_seconds = wall_seconds
        self._templates = Environment(
            loader=PackageLoader("gateway.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["has_inbox"] = has_inbox
        self._templates.filters |= {"octets": octets_in_words, **wording.FILTERS}

    def page(self, request: WebRequest, template: str, **values: object) -> str:
        """A page. here, when given, names the entry of the navigation that it belongs to."""
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        visitor, is_open = visitor_of(request, self._access), self._access.is_open
        about = {"visitor": visitor, "is_open": is_open, "now": self._wall_seconds(), "here": ""}
        return self._templates.get_template(template).render(about | values)

    def error(self, request: WebRequest, status: int, text: str) -> str | bytes:
        """A page, or JSON below /api/, that says what went wrong."""
        if request.path.startswith(b"/api/"):
            return write_json(request, {"error": text}, status)
        request.setResponseCode(status)
        return self.page(request, "error.html", status=status, text=text)


class Pages(Protocol):
    """A class of pages: klein's routes, and what they are made with."""

    @property
    def rendering(self) -> Rendering:
        """The templates."""


def see_other(request: WebRequest, address: str) -> None:
    """Lead the browser from an answered form to a page of ours (RFC 9110 §15.4.4)."""
    request.setResponseCode(303)
    request.setHeader("Location", address)


def argument(request: WebRequest, name: bytes) -> str:
    """The last value of a form's or query string's field, empty when there is none."""
    return request.args.get(name, [b""])[-1].decode("utf-8", "replace")


def answer_errors(app: Klein, *not_there: type[Exception]) -> None:
    """Let the routes of a class of pages raise what they like. not_there are further errors that mean 404."""

    @app.handle_errors(HTTPException, LookupError, *not_there)
    def not_found(self: Pages, request: IRequest, failure: Failure) -> str | bytes:
        web = cast("WebRequest", request)
        if isinstance(failure.value, MethodNotAllowed):
            web.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
            return self.rendering.error(web, 405, "This address does not take this method.")
        return self.rendering.error(web, 404, "There is nothing here. A message may have made room for newer ones.")

    @app.handle_errors(QueryError)
    def not_understood(self: Pages, request: IRequest, failure: Failure) -> str | bytes:
        return self.rendering.error(cast("WebRequest", request), 400, str(failure.value))

    @app.handle_errors(StoreError)
    def no_store(self: Pages, request: IRequest, failure: Failure) -> str | bytes:
        return self.rendering.error(cast("WebRequest", request), 503, f"The store cannot be used: {failure.value}")

    @app.handle_errors(Exception)
    def failed(self: Pages, request: IRequest, failure: Failure) -> str | bytes:
        _log.failure("the console failed", failure)
        return self.rendering.error(cast("WebRequest", request), 500, "The console failed; the log says why.")
