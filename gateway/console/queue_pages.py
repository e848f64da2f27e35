"""The queue: what waits, and what to do about it, for one message or many."""

from __future__ import annotations

from dataclasses import replace

from klein import Klein

from gateway.console.acting import Wish, act, how_many, read_done, read_wish
from gateway.console.filters import Filters, read_filters
from gateway.console.query import DEFAULT_LIMIT, LIMIT, QueryError
from gateway.console.rendering import Rendering, answer_errors, argument, see_other
from gateway.console.steering import Steering
from gateway.console.wording import plural
from gateway.sandbox.web_request import WebRequest
from gateway.store.records import WAITING, Selection

QUESTIONS = {
    "retry": "Attempt {these} now?",
    "hold": "Hold {these}? Nothing is attempted until somebody releases them.",
    "release": "Release {these}?",
    "cancel": "Cancel {these}? They will not be delivered, and nobody is told.",
    "move": "Move {these} to {vendor}?",
}


class QueuePages:
    """/queue. vendors are the entries of the settings, to which messages may be moved."""

    app = Klein()

    def __init__(self, steering: Steering, vendors: frozenset[str], rendering: Rendering) -> None:
        self.rendering = rendering
        self._steering = steering
        self._vendors = vendors

    @app.route("/queue", methods=["GET"])
    async def queue(self, request: WebRequest) -> str:
        """What waits, newest first, with a box for each to choose it by."""
        filters = read_filters(request)
        found = await self._steering.messages(_waiting(filters), DEFAULT_LIMIT + 1)
        totals, depth = await self._steering.depth()
        return self.rendering.page(
            request,
            "queue.html",
            here="queue",
            filters=filters,
            states=WAITING,
            vendors=sorted(self._vendors),
            messages=found[:DEFAULT_LIMIT],
            next=found[DEFAULT_LIMIT - 1].message_id if len(found) > DEFAULT_LIMIT else None,
            waiting=sum(messages for messages, _ in depth.values()),
            oldest_at=min((at for _, at in depth.values()), default=None),
            totals=totals,
            done=read_done(request),
        )

    @app.route("/queue", methods=["POST"])
    async def act(self, request: WebRequest) -> str | None:
        """Do it to the messages that were chosen, or to all that fit the filters; asks back before it is many."""
        filters = replace(read_filters(request), before="")
        wish = read_wish(request, self._vendors)
        everything = argument(request, b"everything") == "1"
        chosen = [one.decode("utf-8", "replace") for one in request.args.get(b"selected", [])]
        if not everything and not 0 < len(chosen) <= LIMIT:
            raise QueryError("Choose the messages first, by the boxes in front of them.")
        selection = _waiting(filters) if everything else Selection(message_ids=tuple(chosen))
        if not wish.is_sure and (everything or wish.action == "cancel"):
            return await self._ask_back(request, filters, wish, selection)
        done = await act(self._steering, wish, selection)
        see_other(
            request,
            filters.address("/queue", done=done.action, changed=done.changed, unchanged=done.unchanged),
        )
        return None

    async def _ask_back(self, request: WebRequest, filters: Filters, wish: Wish, selection: Selection) -> str:
        count, has_more = await how_many(self._steering, selection)
        these = f"more than {plural(count, 'message')}" if has_more else plural(count, "message")
        fields = [("action", wish.action), ("sure", "1"), *(("move_to", one) for one in wish.vendors)]
        if selection.message_ids:
            fields += [("selected", one) for one in selection.message_ids]
        else:
            fields.append(("everything", "1"))
        return self.rendering.page(
            request,
            "confirm.html",
            here="queue",
            question=QUESTIONS[wish.action].format(these=these, vendor=", ".join(wish.vendors)),
            label=f"{wish.action.capitalize()} {these}",
            path=filters.address("/queue"),
            back=filters.address("/queue"),
            fields=fields,
        )

    answer_errors(app)


def _waiting(filters: Filters) -> Selection:
    """The selection of the filters; of states only those in which a message waits."""
    selection = filters.selection
    states = tuple(one for one in selection.states if one in WAITING)
    return replace(selection, states=states or WAITING)
