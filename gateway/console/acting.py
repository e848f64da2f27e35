"""Actions on waiting messages from the forms of the pages: which, on what, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.console.query import LIMIT, Action, QueryError
from gateway.console.rendering import argument
from gateway.console.steering import Steering
from gateway.sandbox.web_request import WebRequest
from gateway.store.records import WAITING, Selection

DONE = {
    "retry": "will be attempted now",
    "hold": "held",
    "release": "released",
    "cancel": "cancelled",
    "move": "moved",
}
"""What is told of the messages that an action changed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a form asks for. vendors: where to move, empty for other actions; is_sure: it was asked back already."""

    action: str
    vendors: tuple[str, ...]
    is_sure: bool


@dataclass(frozen=True, slots=True)
class Done:
    """How many messages an action changed; unchanged are those that waited no more, or were attempted meanwhile."""

    action: str
    changed: int
    unchanged: int

    @property
    def words(self) -> str:
        """What became of the messages."""
        return DONE[self.action]


def read_wish(request: WebRequest, vendors: frozenset[str]) -> Wish:
    """The wish of a form. vendors are the entries of the settings. QueryError when there is no such action."""
    action, vendor = argument(request, b"action"), argument(request, b"move_to")
    if action not in DONE:
        raise QueryError(f"action: expected one of {', '.join(DONE)}")
    if action == "move" and vendor not in vendors:
        raise QueryError("Choose the vendor to move the messages to.")
    return Wish(action, (vendor,) if action == "move" else (), argument(request, b"sure") == "1")


def read_done(request: WebRequest) -> Done | None:
    """What the page that follows an action tells, from its address; None when it follows none."""
    action = argument(request, b"done")
    changed, unchanged = (_number(argument(request, name)) for name in (b"changed", b"unchanged"))
    return Done(action, changed, unchanged) if action in DONE else None


async def act(steering: Steering, wish: Wish, selection: Selection) -> Done:
    """Do it to all waiting messages that fit, some hundreds a transaction, so that mail is not kept waiting."""
    changed = unchanged = 0
    following: str | None = ""
    while following is not None:
        some = replace(selection, before_id=following) if following else selection
        told = await steering.act(Action(wish.action, some, wish.vendors, LIMIT))
        changed += len(told["changed"])
        unchanged += len(told["unchanged"])
        following = told["next"]
    if selection.message_ids:  # those that waited no more were not even found
        unchanged = len(set(selection.message_ids)) - changed
    return Done(wish.action, changed, unchanged)


async def how_many(steering: Steering, selection: Selection) -> tuple[int, bool]:
    """How many waiting messages fit, and whether there are even more than that."""
    waiting = selection if selection.states else replace(selection, states=WAITING)
    found = await steering.messages(waiting, LIMIT + 1)
    return min(len(found), LIMIT), len(found) > LIMIT


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
