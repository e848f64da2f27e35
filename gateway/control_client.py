"""A client of the control API for the command line: one call after the other, blocking."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from gateway.console.access import Role, read_token
from gateway.parts import bound_address
from gateway.settings import Settings

TIMEOUT_SECONDS = 60.0  # an action over 500 messages may wait for a busy disk
PAGE_MESSAGES = 500  # what the API gives at most


class ControlError(Exception):
    """The gateway cannot be asked, or says no; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ControlClient:
    """Where the control API is, and the token to show. certificate is what to trust there; None for plain HTTP."""

    url: str
    token: str = field(repr=False)
    certificate: Path | None = None

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """What the API answers. ControlError when that is no 200."""
        return self._call("GET", f"/api/v1{path}?{urlencode(query)}" if query else f"/api/v1{path}")

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Ask for a change."""
        return self._call("POST", f"/api/v1{path}", json.dumps(document))

    def pages(self, path: str, query: Sequence[tuple[str, str]], most: int | None) -> Iterator[list[dict[str, Any]]]:
        """The pages of a listing, up to so many messages; all when None."""
        before: list[tuple[str, str]] = []
        while most is None or most > 0:
            limit = min(PAGE_MESSAGES, most or PAGE_MESSAGES)
            page = self.get(path, [*query, *before, ("limit", str(limit))])
            yield page["messages"]
            most = None if most is None else most - len(page["messages"])
            if page["next"] is None:
                return
            before = [("before", page["next"])]

    def _call(self, method: str, path: str, body: str | None = None) -> Any:
        connection = self._connection()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            octets = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(f"{self.url} does not answer ({error}); does the gateway run?") from None
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ControlError(f"{self.url} answered {answer.status}: {_told(octets)}")
        return json.loads(octets)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        context = ssl.create_default_context(cafile=str(self.certificate) if self.certificate else None)
        if self.certificate:
            # This very certificate is trusted, so that the name in it need not be the address that we call
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)


def control_client(settings: Settings, url: str = "", token: str = "") -> ControlClient:
    """The client for the gateway of these settings, on this machine. ControlError when its token cannot be read."""
    address = bound_address(settings.console.endpoint)
    if not url and address is None:
        raise ControlError(
            f"console.endpoint is {settings.console.endpoint}: give --url, as in --url http://127.0.0.1:8025"
        )
    scheme = "https" if settings.console.tls else "http"
    host = (address.interface if address else "") or "127.0.0.1"
    base = url or f"{scheme}://{f'[{host}]' if ':' in host else host}:{address.port if address else 0}"
    try:
        shown = token or read_token(settings.state_dir, Role.STEER)
    except OSError as error:
        told = f"{settings.state_dir}: no token to be read ({error.strerror}); run as the gateway's user, or give"
        raise ControlError(f"{told} MAILGATEWAY_TOKEN") from None
    certificate = settings.console.certificate or settings.tls.certificate or settings.state_dir / "tls/certificate.pem"
    return ControlClient(base.rstrip("/"), shown, certificate if base.startswith("https") and not url else None)


def _told(octets: bytes) -> str:
    """The error in an answer."""
    try:
        told = json.loads(octets)["error"]
    except (ValueError, KeyError, TypeError):
        told = octets[:500].decode("utf-8", "replace").strip()
    return str(told)
