"""Follows a message that a running gateway has taken, by its control API: what "mailgateway send-test" shows.

Called by the command line only, so it may wait.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

MESSAGE_ID = re.compile(r"\A250 (?:2\.\d+\.\d+ )?OK ([0-9a-z]+)(?: |\Z)")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
WAITING = ("queued", "held")
ASK_SECONDS = 5.0
POLL_SECONDS = 0.5
LOGGED_SECONDS = 3.0  # the log of direct mode is written half a second after the reply, and later on a busy disk
ANSWER_OCTETS = 1024 * 1024  # a story with its attempts has some kilobytes


class NotFollowedError(Exception):
    """Nothing can be learnt of the message; the text says why."""


def message_id_of(reply: str) -> str | None:
    """The gateway's id in its 250 reply, None when there is none."""
    found = MESSAGE_ID.search(reply)
    return found[1] if found else None


def follow(console: str, token: str, message_id: str, wait_seconds: float) -> Iterator[str]:
    """What becomes of the message, a line for each change, until all is decided or the time is over.

    NotFollowedError when the console has no such message, or is not there.
    """
    began, shown = time.monotonic(), ""
    until, logged_until = began + wait_seconds, began + min(wait_seconds, LOGGED_SECONDS)
    while True:
        story = _story(f"{console.rstrip('/')}/api/v1/messages/{message_id}", token)
        if story is None and time.monotonic() < logged_until:
            time.sleep(POLL_SECONDS)
            continue
        if story is None:
            raise NotFollowedError("the console answered 404")
        line = _line(story)
        if line != shown:
            shown = line
            yield line
        if story.get("state") not in WAITING or time.monotonic() > until:
            return
        time.sleep(POLL_SECONDS)


def _line(story: dict[str, Any]) -> str:
    """The message's state, and where each recipient stands."""
    recipients = (one for one in story.get("recipients", ()) if isinstance(one, dict))
    told = (" ".join(filter(None, map(str, _recipient(one)))) for one in recipients)
    return "; ".join([str(story.get("state", "unknown")), *told])


def _recipient(one: dict[str, Any]) -> Iterator[object]:
    yield f"{one.get('path', '')}:"
    yield one.get("state", "")
    yield f"by {one['vendor']}" if one.get("vendor") else ""
    yield one.get("vendor_message_id") or ""
    yield f"({one['reason']})" if one.get("reason") else ""


def _story(url: str, token: str) -> dict[str, Any] | None:
    """What the console has of the message; None when it knows none."""
    parts = urlsplit(url)
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
        raise NotFollowedError('expected "https://...", or "http://..." on this machine, where nobody reads the token')
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme has been looked at
        with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:  # noqa: S310 - as above
            story = msgspec.json.decode(answer.read(ANSWER_OCTETS))
    except urllib.error.HTTPError as error:
        if error.code == http.client.NOT_FOUND:
            return None
        raise NotFollowedError(f"the console answered {error.code}") from None
    except (OSError, ValueError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise NotFollowedError(f"the console cannot be asked: {error}") from None
    if not isinstance(story, dict):
        raise NotFollowedError("the console's answer is no message")
    return story
